// What is said of a run whose numbers are not finite any more: where, and from where it can go on.

import { QdgError } from "../../base/error.js";
import type { TrainOptions } from "./train-options.js";

export interface NotFinite {
  readonly step: number;
  /** Where it was first seen. */
  readonly where: string;
  /** The first one whose output is not finite; null where all are. */
  readonly layer: string | null;
  /** The last good checkpoint; null before the first. */
  readonly saved: { readonly step: number; readonly path: string } | null;
  readonly options: Pick<TrainOptions, "steps" | "learningRate">;
}

/** @returns a QdgError `runtime` */
export function notFiniteError({ step, where, layer, saved, options }: NotFinite, cause?: unknown): QdgError {
  const back =
    saved === null
      ? "there is no checkpoint yet"
      : `the last good checkpoint is ${saved.path}, of step ${saved.step}`;
  return new QdgError(
    "runtime",
    layer ?? where,
    `step ${step} of ${options.steps}: numbers are not finite (first seen in ${where}); ${back}; start anew with a lower --learning-rate than ${options.learningRate}, or with --clip-norm`,
    { cause },
  );
}
