// One job of a sweep: a training run with a name. What makes two jobs the same run, and where the paths among its
// options lead, are decided here and nowhere else.

import { createHash } from "node:crypto";
import { resolve } from "node:path";
import type { AskedTrainOptions, TrainOptionName } from "../train/run/train-options.js";
import { BUILT_IN_MODELS, SELF } from "../train/run/train-options.js";

export interface SweepJob {
  /** Its place in the sweep, from 0. */
  readonly index: number;
  /** Of its run folder; letters, digits and `._+-` only. */
  readonly name: string;
  /** As the sweep asks for them, paths as they are written there. */
  readonly options: AskedTrainOptions;
  /** See identityOf. */
  readonly identity: string;
}

export interface Sweep {
  /** That of its file. */
  readonly name: string;
  /** What relative paths are relative to: the folder of the file, absolute. */
  readonly base: string;
  readonly jobs: readonly SweepJob[];
}

/** What a job's name, and the folder below `--out`, may look like. Names that come from elsewhere are held to it. */
export const JOB_NAME: RegExp = /^[A-Za-z0-9][\w.+-]{0,199}$/;

/** They say how a machine works, and change nothing in what is computed. */
export const MACHINE_OPTIONS: readonly TrainOptionName[] = ["cache", "threads", "checkpointEvery"];

/** Options that are paths, and the words that stand for something else. */
const PATHS: Readonly<Partial<Record<TrainOptionName, readonly string[]>>> = {
  data: ["shapes-dg"],
  model: BUILT_IN_MODELS,
  teacher: [SELF],
  cache: ["none"],
};

/** The same options with absolute paths. */
export function resolvedOptions(options: AskedTrainOptions, base: string): AskedTrainOptions {
  const found: Record<string, unknown> = { ...options };
  for (const [name, words] of Object.entries(PATHS)) {
    const value = found[name];
    if (typeof value === "string" && !words.includes(value)) found[name] = resolve(base, value);
  }
  return found;
}

/** SHA-256 of the options but for those of the machine, in hexadecimal; the order in which they are written does not count. */
export function identityOf(options: AskedTrainOptions): string {
  const entries = Object.entries(options).filter(
    ([name, value]) => value !== undefined && !MACHINE_OPTIONS.includes(name as TrainOptionName),
  );
  return createHash("sha256")
    .update(canonicalJson(Object.fromEntries(entries)))
    .digest("hex");
}

/** SHA-256 of names and identities in their order: another one, and an index means another job. */
export function hashOf({ jobs }: Sweep): string {
  const facts = jobs.map(({ name, identity }) => [name, identity]);
  return createHash("sha256").update(JSON.stringify(facts)).digest("hex");
}

/** JSON with the keys of every object in the order of the alphabet. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    typeof each === "object" && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  );
}
