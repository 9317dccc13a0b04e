// Losses since the last line that told their mean.

import type { StepReport } from "../methods/method.js";

export interface LossSum {
  readonly sum: number;
  /** Of the perturbed point; 0 for a method without a second pass. */
  readonly smooth: number;
  readonly count: number;
}

export const NO_LOSSES: LossSum = { sum: 0, smooth: 0, count: 0 };

export function addLoss({ sum, smooth, count }: LossSum, report: StepReport): LossSum {
  return { sum: sum + report.loss, smooth: smooth + (report.smoothLoss ?? 0), count: count + 1 };
}

/** null before the first step. */
export function meanLoss({ sum, count }: LossSum): number | null {
  return count === 0 ? null : sum / count;
}
