// The tfjs backends that tests of training run on, each with the reason where it cannot run here.

import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";

const wasmFolder = join(
  dirname(fileURLToPath(import.meta.resolve("@tensorflow/tfjs-backend-wasm/package.json"))),
  "dist",
  "/",
);

/** By require: an optional package has no types where it is not installed. */
function nativeReason(): string | null {
  try {
    createRequire(import.meta.url)("@tensorflow/tfjs-node");
    return null;
  } catch (thrown) {
    return `@tensorflow/tfjs-node does not load: ${String(thrown).split("\n", 1)[0]}`;
  }
}

export interface TestBackend {
  readonly name: "cpu" | "wasm" | "tensorflow";
  /** Null where it runs. */
  readonly unavailable: string | null;
}

export const testBackends: readonly TestBackend[] = [
  { name: "cpu", unavailable: null },
  { name: "wasm", unavailable: null },
  { name: "tensorflow", unavailable: nativeReason() },
];

export async function setTestBackend(name: TestBackend["name"]): Promise<void> {
  if (name === "wasm") setWasmPaths(wasmFolder);
  if (!(await tf.setBackend(name))) throw new Error(`tfjs's backend ${name} does not start`);
  await tf.ready();
}
