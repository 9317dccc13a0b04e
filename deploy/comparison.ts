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

/** On the picture in the size that the network takes, so that its kernels are compared and not the scaling; one thread each. */
export async function compareOn(
  url: string,
  manifest: Manifest,
  { name, options }: { readonly name: string; readonly options: LoadOptions },
  source: File | HTMLCanvasElement,
): Promise<Compared> {
  const model: Model = await load(url, { ...options, threads: 1, cache: false });
  try {
    const picture = await scaled(source, manifest);
    const times: number[] = [];
    let label = "";
    for (let run = 0; run <= RUNS; run++) {
      const result = await model.classify(picture);
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

/** As the browser scales it. */
async function scaled(source: File | HTMLCanvasElement, { classifier }: Manifest): Promise<ImageData> {
  const { width = 1, height = 1 } = classifier?.input ?? {};
  const bitmap = await createImageBitmap(source);
  const context = new OffscreenCanvas(width, height).getContext("2d");
  if (!context) throw new Error("this browser has no 2D canvas");
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  return context.getImageData(0, 0, width, height);
}
