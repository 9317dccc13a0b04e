// The learning rate of a step. A pure function of the step, so that a resumed run needs no state for it.

import { QdgError } from "../../base/error.js";

export const SCHEDULE_NAMES = ["constant", "cosine"] as const;
export type ScheduleName = (typeof SCHEDULE_NAMES)[number];

export interface Schedule {
  readonly name: ScheduleName;
  /** The highest rate: after the warm-up. */
  readonly learningRate: number;
  /** Length of the run. */
  readonly steps: number;
  /** Steps of linear warm-up; 0 for none. */
  readonly warmup: number;
}

/**
 * With L the learning rate, w the warm-up, n the steps:
 * `L * (step + 1) / w` while step < w; then L (`constant`), or `L * (1 + cos(pi * (step - w) / (n - w))) / 2`
 * (`cosine`), which would reach 0 at step n, the first that is not taken.
 *
 * @param step from 0
 * @throws QdgError `usage` for a rate that is not finite and > 0, steps below 1, a warm-up that is not shorter
 * than the run
 */
export function learningRateAt(schedule: Schedule, step: number): number {
  const { name, learningRate, steps, warmup } = schedule;
  if (!(Number.isFinite(learningRate) && learningRate > 0)) {
    throw new QdgError("usage", "learningRate", `got ${learningRate}, expected a finite number > 0`);
  }
  if (!(Number.isSafeInteger(steps) && steps >= 1)) {
    throw new QdgError("usage", "steps", `got ${steps}, expected an integer from 1`);
  }
  if (!(Number.isSafeInteger(warmup) && warmup >= 0 && warmup < steps)) {
    throw new QdgError(
      "usage",
      "warmup",
      `got ${warmup} steps, expected an integer from 0, shorter than the run of ${steps}`,
    );
  }
  if (step < warmup) return (learningRate * (step + 1)) / warmup;
  switch (name) {
    case "constant":
      return learningRate;
    case "cosine": {
      const part = Math.min((step - warmup) / (steps - warmup), 1);
      return (learningRate * (1 + Math.cos(Math.PI * part))) / 2;
    }
    default:
      return name satisfies never;
  }
}
