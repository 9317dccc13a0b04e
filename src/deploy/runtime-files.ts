// Which files of onnxruntime-web a page needs for which device, and where the installed package has them. They are
// copied into a site, so that a page never asks another origin.

import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";
import { errorText, QdgError } from "../base/error.js";
import type { WebDevice } from "../web/manifest.js";

/** The names that onnxruntime-web itself uses; its builds for WebGPU load the one with `asyncify`. */
const NAMES: { readonly [device in WebDevice]: readonly string[] } = {
  wasm: ["ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"],
  webgpu: ["ort-wasm-simd-threaded.asyncify.mjs", "ort-wasm-simd-threaded.asyncify.wasm"],
};

export interface RuntimeFile {
  readonly name: string;
  readonly device: WebDevice;
  readonly bytes: Uint8Array;
}

/** @throws QdgError `unavailable` when onnxruntime-web is not installed or another version than expected */
export async function runtimeFiles(devices: readonly WebDevice[]): Promise<RuntimeFile[]> {
  const { resolve } = createRequire(import.meta.url);
  try {
    return await Promise.all(
      devices.flatMap((device) =>
        NAMES[device].map(async (name) => ({
          name,
          device,
          bytes: await readFile(resolve(`onnxruntime-web/${name}`)),
        })),
      ),
    );
  } catch (thrown) {
    throw new QdgError(
      "unavailable",
      "onnxruntime-web",
      `${errorText(thrown)}; install it (npm install onnxruntime-web)`,
      { cause: thrown },
    );
  }
}
