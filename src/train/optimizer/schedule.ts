// The learning rate of a step. A pure function of the step, so that a resumed run needs no state for it.

import { QdgError } from "../../base/error.js";
import { type Cycles, cyclicPart } from "./cycles.js";

export const SCHEDULE_NAMES = ["constant", "cosine", "wsd", "cyclic"] as const;
export type ScheduleName = (typeof SCHEDULE_NAMES)[number];

export interface Schedule {
  readonly name: ScheduleName;
  /** The highest rate: after the warm-up. */
  readonly learningRate: number;
  /** Length of the run. */
  readonly steps: number;
  /** Steps of linear warm-up; 0 for none. */
  readonly warmup: number;
  /** Of `wsd`: the share of the run, at its end, in which the rate falls; above 0, up to 1. */
  readonly cooldown?: number;
  /** Of `cyclic`. */
  readonly cycles?: Cycles;
}

/** Hägele et al. 2024: a fifth of a run is enough of a cooldown to end where a cosine of the same length does. */
export const DEFAULT_COOLDOWN = 0.2;

/** The first step of the cooldown of `wsd`: `n - round(cooldown n)`, at least a step before the end. */
export function cooldownStart({
  steps,
  cooldown = DEFAULT_COOLDOWN,
}: Pick<Schedule, "steps" | "cooldown">): number {
  return steps - Math.max(1, Math.round(cooldown * steps));
}

/**
 * With L the learning rate, w the warm-up, n the steps:
 * `L * (step + 1) / w` while step < w; then L (`constant`), or `L * (1 + cos(pi * (step - w) / (n - w))) / 2`
 * (`cosine`), which would reach 0 at step n, the first that is not taken. `wsd` (warm-up, stable, decay): L until
 * {@link cooldownStart} c, then `L * (1 - sqrt((step - c) / (n - c)))` (Hägele et al., NeurIPS 2024, which ends lower than a
 * straight line), 0 at step n. A warm-up that is not over by then goes on, and the cooldown is met where it ends. `cyclic`: L times {@link cyclicPart}.
 *
 * @param step from 0
 * @throws QdgError `usage` for a rate that is not finite and > 0, steps below 1, a warm-up that is not shorter
 * than the run, a cooldown that is no share of it
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
  const { cooldown = DEFAULT_COOLDOWN } = schedule;
  if (!(cooldown > 0 && cooldown <= 1)) {
    throw new QdgError("usage", "cooldown", `got ${cooldown}, expected a share of the run above 0, up to 1`);
  }
  if (step < warmup) return (learningRate * (step + 1)) / warmup;
  switch (name) {
    case "constant":
      return learningRate;
    case "cosine": {
      const part = Math.min((step - warmup) / (steps - warmup), 1);
      return (learningRate * (1 + Math.cos(Math.PI * part))) / 2;
    }
    case "wsd": {
      const begin = cooldownStart(schedule);
      const part = Math.min(Math.max((step - begin) / (steps - begin), 0), 1);
      return learningRate * (1 - Math.sqrt(part));
    }
    case "cyclic":
      return learningRate * cyclicPart(schedule.cycles ?? { steps, from: 0, cycles: 1, fineTuning: 0 }, step);
    default:
      return name satisfies never;
  }
}
