// What a finished run has come to: the accuracies of the model that it keeps, as qdg report has them.

import { heldOut, selected, sourceValidation } from "../train/report/compare-runs.js";
import { readRun } from "../train/report/run-folder.js";
import type { JobAccuracy } from "./observer.js";

/** @throws QdgError as readRun */
export async function runAccuracy(folder: string): Promise<JobAccuracy> {
  const run = await readRun(folder);
  const kept = selected(run);
  if (!kept) return { validation: null, heldOut: null };
  return { validation: sourceValidation(run, kept), heldOut: heldOut(run, kept) };
}
