// tfjs's own backends, as tests of methods take them; those of one that is not here are skipped, with its reason.

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import type { TestOptions } from "vitest";
import { BACKENDS } from "./backends.js";

const wasmFolder = join(
  dirname(fileURLToPath(import.meta.resolve("@tensorflow/tfjs-backend-wasm/package.json"))),
  "dist",
  "/",
);

export interface TestBackend {
  readonly name: "cpu" | "wasm" | "tensorflow";
  /** Of tests that run on it. */
  readonly options: TestOptions;
}

export const testBackends: readonly TestBackend[] = [
  { name: "cpu", options: {} },
  { name: "wasm", options: {} },
  ...BACKENDS.filter(({ name }) => name === "tensorflow"),
];

export async function setTestBackend(name: TestBackend["name"]): Promise<void> {
  if (name === "wasm") setWasmPaths(wasmFolder);
  if (!(await tf.setBackend(name))) throw new Error(`tfjs's backend ${name} does not start`);
  await tf.ready();
}
