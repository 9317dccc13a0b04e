// Sweep files of the tests, the smallest that have everything in them, and runs that nobody has trained.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { VERSION } from "../../src/base/version.js";
import { trainCommand } from "../../src/cli/commands/train.js";
import type { RunTrain, TrainCall, TrainEnd } from "../../src/sweep/run-job.js";
import type { AskedTrainOptions } from "../../src/train/run/train-options.js";

/** Drawn images of 8 px, resnet8, WebAssembly, a dozen steps. */
export const TINY_OPTIONS: AskedTrainOptions = {
  data: "shapes-dg",
  shapesCount: 4,
  imageSize: 8,
  steps: 12,
  batchSize: 2,
  backend: "wasm",
  evalEvery: 6,
  logEvery: 3,
  checkpointEvery: 2,
  threads: 0,
  holdoutFraction: 0.25,
};

export interface SweepJson {
  readonly options?: unknown;
  readonly grid?: unknown;
  readonly exclude?: unknown;
}

/** @returns the path of the file */
export async function writeSweep(folder: string, json: SweepJson | string, name = "tiny"): Promise<string> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, `${name}.json`);
  await writeFile(path, typeof json === "string" ? json : JSON.stringify(json));
  return path;
}

/** Of so many jobs. */
export function tinySweep(seeds: number, methods: readonly string[] = ["lsq"]): SweepJson {
  const grid = { method: methods, testDomain: ["sketch"], seed: Array.from({ length: seeds }, (_, i) => i) };
  return { options: { ...TINY_OPTIONS, bits: 3 }, grid };
}

/** What `qdg train` makes of its arguments. */
export function optionsOf(args: readonly string[]): Readonly<Record<string, unknown>> {
  const command = trainCommand();
  command.parseOptions([...args]);
  return command.opts();
}

export const ENDED_WELL: TrainEnd = { code: 0, signal: null, error: null, notes: 0 };

/** A run that is finished at once: what `--out` of a real one has, without a network. */
export const pretendedTraining: RunTrain = async ({ args, onSaved }: TrainCall) => {
  const { out, force: _, resume: __, perturbScales: ___, ...options } = optionsOf(args);
  await writePretendedRun(out as string, options);
  onSaved?.(1);
  return ENDED_WELL;
};

export async function writePretendedRun(
  folder: string,
  options: Readonly<Record<string, unknown>>,
  qdg: string = VERSION,
): Promise<void> {
  const [test = "sketch"] = (options["testDomain"] ?? []) as readonly string[];
  const domains = ["flat", test].map((name) => ({
    name,
    role: name === test ? "test" : "source",
    training: 6,
    validation: 2,
  }));
  const run = {
    version: 1,
    qdg,
    created: "2026-01-01T00:00:00.000Z",
    options,
    backend: { name: "wasm", version: "0" },
    model: { name: "resnet8", parameters: 1 },
    classes: ["a", "b"],
    domains,
    quantizers: [],
  };
  const line = {
    step: options["steps"],
    quantized: true,
    domains: domains.map(({ name }) => name),
    env0_in_acc: 0.5,
    env0_out_acc: 0.5,
    env1_in_acc: 0.25,
    env1_out_acc: 0.25,
  };
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "checkpoint.bin"), "a checkpoint");
  await writeFile(join(folder, "model.json"), "{}");
  await writeFile(join(folder, "results.jsonl"), `${JSON.stringify(line)}\n`);
  await writeFile(join(folder, "run.json"), JSON.stringify(run));
}
