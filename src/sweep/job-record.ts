// `job.json` in a run folder: which job it is of, by which qdg, and whether it is done. A folder of another version or
// of other options is never taken for a result of this one.

import { stat } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../base/atomic-file.js";
import { QdgError } from "../base/error.js";
import { VERSION } from "../base/version.js";
import { objectOf, oneOf, textOf } from "../train/report/fields.js";
import { readJson } from "../train/report/json-lines.js";
import type { SweepJob } from "./job.js";

/** new: nothing is there yet; begun: goes on, from its checkpoint where there is one. */
export type JobState = "new" | "begun" | "finished";

const RECORD = "job.json";
const FORMAT = 1;

/**
 * How far the job of a run folder is. Changes nothing.
 *
 * @throws QdgError `exists` for a run that is no job of a sweep, is of other options, or of another version of qdg;
 * `invalid-json`, `invalid-data` for a damaged record
 */
export async function jobState(folder: string, job: SweepJob): Promise<JobState> {
  const path = join(folder, RECORD);
  if (!(await isThere(path))) {
    if (!(await isThere(join(folder, "run.json")))) return "new";
    throw new QdgError(
      "exists",
      folder,
      "there is a run in this folder that no sweep has made; move it away, or give another --out",
    );
  }
  const record = objectOf(await readJson(path), path);
  const remedy = "remove the folder, or give another --out";
  const version = textOf(record["qdg"], `${path}: qdg`);
  if (version !== VERSION) {
    throw new QdgError(
      "exists",
      folder,
      `was made by qdg ${version}, and this is ${VERSION}: results of two versions do not go into one table; ${remedy}`,
    );
  }
  if (textOf(record["identity"], `${path}: identity`) !== job.identity) {
    throw new QdgError(
      "exists",
      folder,
      `is the job ${job.name} with other options than the sweep has now; ${remedy}`,
    );
  }
  return oneOf<JobState>(record["state"], ["begun", "finished"], `${path}: state`);
}

/** Makes the folder where it is not there. */
export async function writeJobRecord(
  folder: string,
  job: SweepJob,
  state: "begun" | "finished",
): Promise<void> {
  const { name, identity, options } = job;
  const record = { version: FORMAT, qdg: VERSION, name, identity, state, options };
  await writeFileAtomic(join(folder, RECORD), `${JSON.stringify(record, null, 2)}\n`, { force: true });
}

export async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null;
}
