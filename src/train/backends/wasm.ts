// tfjs's WebAssembly backend as training uses it: the same memory and kernels under a name of its own, with the
// kernels of wasm-kernels added. The backend `wasm` itself stays as tfjs made it, since the float oracle runs there.

import { createRequire } from "node:module";
import { dirname, sep } from "node:path";
import * as tf from "@tensorflow/tfjs";
import type * as Wasm from "@tensorflow/tfjs-backend-wasm";
import { registerKernel } from "./kernel.js";
import { WASM_KERNELS } from "./wasm-kernels/kernels.js";
import { type Heap, loopsOf } from "./wasm-kernels/loops.js";

/** What tfjs calls the backend of training. */
export const WASM_BACKEND = "qdg-wasm";

/**
 * Starts the backend, leaving tfjs's current one as it is.
 *
 * @returns the version
 * @throws Error when it does not start
 */
export async function startWasm(): Promise<string> {
  const require = createRequire(import.meta.url);
  const wasm = require("@tensorflow/tfjs-backend-wasm") as typeof Wasm;
  if (tf.findBackendFactory(WASM_BACKEND) === null) {
    const before = tf.getBackend();
    wasm.setWasmPaths(
      `${dirname(createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm"))}${sep}`,
    );
    try {
      if (!(await tf.setBackend("wasm"))) throw new Error("WebAssembly did not start");
      const backend = tf.backend();
      loopsOf(backend as unknown as Heap);
      tf.copyRegisteredKernels("wasm", WASM_BACKEND);
      for (const kernel of WASM_KERNELS) registerKernel(kernel, WASM_BACKEND);
      tf.registerBackend(WASM_BACKEND, () => backend, 0);
    } finally {
      if (before) await tf.setBackend(before);
    }
  }
  return `@tensorflow/tfjs-backend-wasm ${wasm.version_wasm}`;
}
