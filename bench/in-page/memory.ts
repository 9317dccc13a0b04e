// What of a page's memory only the page can tell: the bytes of its WebAssembly memories, which no protocol of the browser
// counts; and the model that holds them, loaded as a page loads it.

import type { load, Model } from "../../dist/web.js";
import { feedsOf } from "../interleaved.js";

type Load = typeof load;

export interface MemoryHarness {
  /** Counts WebAssembly memories from now on. */
  watchMemories(request: object): Promise<void>;
  /** Loads a model and holds it. */
  load(request: { readonly path: string; readonly engine: "qdg" | "onnxruntime" }): Promise<void>;
  /** Runs it once on noise. */
  run(request: object): Promise<void>;
  /** Of all WebAssembly memories that are still in use after a collection. */
  memoryBytes(request: object): Promise<number>;
}

interface WasmMemory {
  readonly buffer: ArrayBufferLike;
}

const memories: WeakRef<WasmMemory>[] = [];
let model: Model | null = null;

export const memoryHarness: MemoryHarness = {
  async watchMemories() {
    const { WebAssembly: api } = globalThis as unknown as {
      readonly WebAssembly: { Memory: new (descriptor: object) => WasmMemory };
    };
    api.Memory = new Proxy(api.Memory, {
      construct(target, [descriptor]: [object]) {
        const memory = new target(descriptor);
        memories.push(new WeakRef(memory));
        return memory;
      },
    });
  },

  async load({ path, engine }) {
    // Through the import map: TypeScript does not find what only the page has.
    const bundle: string = "web/web.js";
    const { load: loadModel } = (await import(bundle)) as { readonly load: Load };
    const wasmPaths = engine === "onnxruntime" && { wasmPaths: "onnxruntime/" };
    model = await loadModel(path, { engine, device: "wasm", cache: false, threads: 1, ...wasmPaths });
  },

  async run() {
    if (model === null) throw new Error("no model is loaded");
    await model.run(feedsOf(model));
  },

  memoryBytes: async () =>
    memories.reduce((sum, memory) => sum + (memory.deref()?.buffer.byteLength ?? 0), 0),
};
