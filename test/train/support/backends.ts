// The backends that tests of training run on: both, where the native library is installed.

import { createRequire } from "node:module";
import type { BackendName } from "../../../src/train/backends/backends.js";

/** Whether `npm run setup:tensorflow` (or npm itself) has installed the native library. */
export const HAS_TENSORFLOW: boolean = isInstalled();

export const BACKENDS_HERE: readonly BackendName[] = HAS_TENSORFLOW ? ["tensorflow", "wasm"] : ["wasm"];

function isInstalled(): boolean {
  try {
    createRequire(import.meta.url).resolve("@tensorflow/tfjs-node/package.json");
    return true;
  } catch {
    return false;
  }
}
