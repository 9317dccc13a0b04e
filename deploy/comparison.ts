// The picture on the paper through every runtime that the site brings, one after the other, each loaded anew and let go.

import { load, type LoadOptions, type Manifest, type Model } from "../src/web.js";
import { nameOf, runtimeBytes } from "./runtime-names.js";

export interface Compared {
  readonly name: string;
  readonly milliseconds: number;
  readonly modelBytes: number;
  readonly runtimeBytes: number;
  readonly label: string;
}

/** Runs whose times count; one before them is left out, in which code is compiled. */
const RUNS = 9;

/** What the site can run the picture with. */
export function comparableRuntimes(manifest: Manifest): readonly { name: string; options: LoadOptions }[] {
  const has = (engine: string, device: string): boolean =>
    manifest.runtime.files.some((file) => file.engine === engine && file.device === device);
  const wasm = { engine: "onnxruntime", device: "wasm" } as const;
  return [
    ...(has("qdg", "wasm") ? [{ engine: "qdg", device: "wasm" } as const] : []),
    ...(has("onnxruntime", "wasm") ? [wasm] : []),
    ...(has("onnxruntime", "wasm") && manifest.float32 ? [{ ...wasm, model: "float32" } as const] : []),
  ].map((options) => ({
    name: "model" in options ? `${nameOf(options)}, float32` : nameOf(options),
    options,
  }));
}

/** Decoding is not timed. One thread each, so that the kernels are compared. */
export async function compareOn(
  url: string,
  manifest: Manifest,
  { name, options }: { readonly name: string; readonly options: LoadOptions },
  source: File | HTMLCanvasElement,
): Promise<Compared> {
  const model: Model = await load(url, { ...options, threads: 1, cache: false });
  try {
    const times: number[] = [];
    let label = "";
    for (let run = 0; run <= RUNS; run++) {
      const result = await model.classify(source);
      if (run > 0) times.push(result.latencyMs);
      ({ label } = result);
    }
    const file =
      options.model === "float32"
        ? manifest.float32
        : manifest.models.find(({ device }) => device === model.device);
    return {
      name,
      milliseconds: times.sort((a, b) => a - b)[RUNS >> 1] ?? NaN,
      modelBytes: file?.sizeBytes ?? 0,
      runtimeBytes: runtimeBytes(manifest, model),
      label,
    };
  } finally {
    await model.dispose();
  }
}
