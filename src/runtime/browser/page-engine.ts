// The engine in the page, in the shape of onnxruntime-web, so that one harness drives both. `npm run build` bundles this
// file and all that it imports into dist/page-engine.mjs, which the page loads beside the engine's kernels.

import type { Tensor as QdgTensor } from "../../base/tensor.js";
import { VERSION } from "../../base/version.js";
import { compileModules, relaxedClass } from "../../engine/module.js";
import { openEngine } from "../engine-session.js";
import type { TensorInfo } from "../runtime.js";
import type { PageMetadata, PageOrt, PageTensor } from "./page-harness.js";

// Not awaited here: the page counts as loaded before a module that waits has come to its end.
const modules = (async () => compileModules(await kernel("simd"), await kernel("relaxed")))();

export const env: PageOrt["env"] = {
  logLevel: "fatal",
  versions: { web: versionText() },
  wasm: {},
  webgpu: {},
};

export class Tensor implements PageTensor {
  readonly type: string;
  readonly data: ArrayBufferView;
  readonly dims: readonly number[];

  constructor(type: string, data: ArrayBufferView, dims: readonly number[]) {
    this.type = type;
    this.data = data;
    this.dims = dims;
  }

  dispose(): void {}
}

export const InferenceSession: PageOrt["InferenceSession"] = {
  async create(model) {
    const session = await openEngine(await modules, model, "model");
    return {
      inputMetadata: session.inputs.map(metadataOf),
      outputMetadata: session.outputs.map(metadataOf),
      run: async (feeds) => {
        const tensors = Object.entries(feeds).map(([name, { type, dims, data }]) => [
          name,
          { dtype: type, shape: dims, data } as QdgTensor,
        ]);
        const results = await session.run(Object.fromEntries(tensors) as Record<string, QdgTensor>);
        return Object.fromEntries(
          Object.entries(results).map(([name, { dtype, shape, data }]) => [
            name,
            new Tensor(dtype, data as ArrayBufferView, shape),
          ]),
        );
      },
    };
  },
};

async function versionText(): Promise<string> {
  return `${VERSION}, relaxed SIMD ${await relaxedClass(await modules)}`;
}

async function kernel(name: string): Promise<Uint8Array> {
  // Not `new URL("...", import.meta.url)` in one expression, which a bundler takes for an asset of its own.
  const here = import.meta.url;
  const response = await fetch(new URL(`${name}.wasm`, here));
  if (!response.ok) throw new Error(`GET ${response.status} for the engine's kernels`);
  return new Uint8Array(await response.arrayBuffer());
}

function metadataOf({ name, dtype, shape }: TensorInfo): PageMetadata {
  return { name, isTensor: true, type: dtype, shape };
}
