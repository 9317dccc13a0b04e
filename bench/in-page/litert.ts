// A .tflite on LiteRT.js behind qdg's interface of sessions: XNNPACK on WebAssembly, one thread. A run is handed a tensor and
// gives one, as with the other runtimes.

import type { Session, Tensor } from "qdg";

/** What is used of @litertjs/core. */
interface LiteRt {
  loadLiteRt(folder: string): Promise<unknown>;
  loadAndCompile(
    model: Uint8Array,
    options: { readonly accelerator: "wasm"; readonly cpuOptions: { readonly numThreads: 1 } },
  ): Promise<CompiledModel>;
  readonly Tensor: new (data: Float32Array, shape: readonly number[]) => LiteRtTensor;
}

interface CompiledModel {
  getInputDetails(): readonly TensorDetails[];
  getOutputDetails(): readonly TensorDetails[];
  run(inputs: LiteRtTensor[]): Promise<LiteRtTensor[]>;
  delete(): void;
}

interface TensorDetails {
  readonly name: string;
  readonly dtype: string;
  readonly shape: Int32Array;
}

interface LiteRtTensor {
  /** A copy. */
  toTypedArray(): Float32Array<ArrayBuffer>;
  delete(): void;
}

const MODULE: string = "@litertjs/core";
/** From the page. Of its builds the one with relaxed SIMD is loaded where there is any. */
const BINARIES = "npm/@litertjs/core/wasm/";

let loaded: Promise<LiteRt> | null = null;

async function load(): Promise<LiteRt> {
  const liteRt = (await import(MODULE)) as LiteRt;
  await liteRt.loadLiteRt(BINARIES);
  return liteRt;
}

export async function openLiteRt(bytes: Uint8Array): Promise<Session> {
  const liteRt = await (loaded ??= load());
  const model = await liteRt.loadAndCompile(bytes, { accelerator: "wasm", cpuOptions: { numThreads: 1 } });
  const inputs = model.getInputDetails().map(infoOf);
  const outputs = model.getOutputDetails().map(infoOf);
  return {
    inputs,
    outputs,
    async run(feeds) {
      const tensors = inputs.map(({ name }) => {
        const { data, shape } = feeds[name] as Tensor<"float32">;
        return new liteRt.Tensor(data, shape);
      });
      const results = await model.run(tensors);
      const named = outputs.map(({ name, shape }, i): [string, Tensor] => {
        const data = (results[i] as LiteRtTensor).toTypedArray();
        return [name, { dtype: "float32", shape, data }];
      });
      for (const each of [...tensors, ...results]) each.delete();
      return Object.fromEntries(named);
    },
    async dispose() {
      model.delete();
    },
  };
}

function infoOf({ name, dtype, shape }: TensorDetails): {
  readonly name: string;
  readonly dtype: "float32";
  readonly shape: readonly number[];
} {
  if (dtype !== "float32") throw new Error(`${name}: got ${dtype}, expected float32`);
  return { name, dtype, shape: [...shape] };
}
