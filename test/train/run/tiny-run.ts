// The smallest run that has everything in it: drawn images of 8 px, resnet8, WebAssembly, a dozen steps.

import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { isOnnxNetwork, loadModel } from "../../../src/train/trainable-model.js";
import type { AskedTrainOptions } from "../../../src/train/run/train-options.js";
import type { TrainObserver } from "../../../src/train/run/observer.js";
import { silentObserver } from "../../../src/train/run/observer.js";

export const TINY: AskedTrainOptions = {
  data: "shapes-dg",
  shapesCount: 4,
  testDomain: ["sketch"],
  method: "gaqat",
  bits: 3,
  imageSize: 8,
  steps: 12,
  batchSize: 2,
  backend: "wasm",
  evalEvery: 4,
  logEvery: 2,
  checkpointEvery: 3,
  window: 4,
  threads: 0,
  holdoutFraction: 0.25,
};

/** Everything that a run leaves which must not depend on the clock or on where it was stopped. */
export interface RunContent {
  readonly files: readonly string[];
  readonly model: unknown;
  readonly log: readonly unknown[];
  readonly results: readonly unknown[];
  readonly freezing: readonly unknown[];
}

export async function contentOf(folder: string): Promise<RunContent> {
  const lines = async (name: string, ...without: readonly string[]): Promise<unknown[]> =>
    (await readFile(join(folder, `${name}.jsonl`), "utf8"))
      .split("\n")
      .slice(0, -1)
      .map((line) => {
        const entries = Object.entries(JSON.parse(line) as Record<string, unknown>);
        return Object.fromEntries(entries.filter(([key]) => !without.includes(key)));
      });
  const files = (await readdir(folder)).sort();
  const kept = await loadModel(join(folder, files.includes("model.json") ? "model.json" : "model.onnx"));
  const { weights, ...model } = isOnnxNetwork(kept) ? { ...kept, graph: null } : kept;
  const results = await lines("results", "step_time", "mem_gb", "args");
  return {
    files,
    model: { ...model, weights: [...weights].map(([name, { data }]) => [name, sha256(data)]) },
    log: await lines("log", "imagesPerSecond"),
    results,
    freezing: await lines("freezing"),
  };
}

/** Of bytes that are compared: vitest goes through arrays one by one. */
export function sha256(bytes: NodeJS.ArrayBufferView): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Aborts once `step` steps are finished. */
export function stopAfter(step: number): { readonly observer: TrainObserver; readonly signal: AbortSignal } {
  const controller = new AbortController();
  const observer: TrainObserver = {
    ...silentObserver,
    stepped: (facts) => {
      if (facts.step === step) controller.abort();
    },
  };
  return { observer, signal: controller.signal };
}
