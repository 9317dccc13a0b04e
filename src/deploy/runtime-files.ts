// Which files a page needs for which runtime, and where the installed packages have them. They are copied into a site, so
// that a page never asks another origin.

import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { errorText, QdgError } from "../base/error.js";
import { ORT_WEB_FILES } from "../runtime/ort-web-files.js";
import { ENGINE_FILES } from "../web/runtimes/engine.js";
import type { WebDevice, WebEngine } from "../web/manifest.js";

export interface RuntimeFile {
  readonly engine: WebEngine;
  readonly device: WebDevice;
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** @throws QdgError `unavailable` when onnxruntime-web is not installed or another version than expected */
export async function onnxruntimeFiles(devices: readonly WebDevice[]): Promise<RuntimeFile[]> {
  const { resolve } = createRequire(import.meta.url);
  const names = devices.flatMap((device) =>
    [ORT_WEB_FILES[device].mjs, ORT_WEB_FILES[device].wasm].map((name) => ({ device, name })),
  );
  try {
    return await Promise.all(
      names.map(async ({ device, name }) => ({
        engine: "onnxruntime" as const,
        device,
        name,
        bytes: await readFile(resolve(`onnxruntime-web/${name}`)),
      })),
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

/** @throws QdgError `unavailable` where qdg was not built */
export async function engineFiles(): Promise<RuntimeFile[]> {
  try {
    const [simd, relaxed] = await Promise.all([read("simd.wasm"), read("relaxed.wasm")]);
    return [
      { engine: "qdg", device: "wasm", name: ENGINE_FILES.simd, bytes: simd },
      { engine: "qdg", device: "wasm", name: ENGINE_FILES.relaxed, bytes: relaxed },
    ];
  } catch (thrown) {
    throw new QdgError("unavailable", "the engine", `${errorText(thrown)}; npm run build makes its kernels`, {
      cause: thrown,
    });
  }
}

/** The same number of folders up from src/deploy and dist/deploy. */
function read(file: string): Promise<Uint8Array> {
  return readFile(fileURLToPath(new URL(`../../dist/engine/${file}`, import.meta.url)));
}
