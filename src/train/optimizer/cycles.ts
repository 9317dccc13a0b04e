// The learning rate of SQWA: cycles whose low points are captured, then a low rate. A pure function of the step, which
// the schedule and the method both read.

export interface Cycles {
  /** Length of the run. */
  readonly steps: number;
  /** The first step of the first cycle. */
  readonly from: number;
  /** Cycles, all of about one length. */
  readonly cycles: number;
  /** Share of the steps from `from` on, at their end, that are fine-tuning; 0 <= share < 1. */
  readonly fineTuning: number;
}

/** The rate at a low point and at the start of fine-tuning, as a part of the highest. */
export const LOW_RATE = 0.1;

/** The first step of fine-tuning: `n - floor(share (n - from))`, at least `cycles` steps after `from`. */
export function fineTuningStart({ steps, from, cycles, fineTuning }: Cycles): number {
  return Math.max(steps - Math.floor(fineTuning * (steps - from)), Math.min(from + cycles, steps));
}

/** Whether `step` is the last of its cycle: a low point. */
export function isLowPoint(cycles: Cycles, step: number): boolean {
  const end = fineTuningStart(cycles);
  if (step < cycles.from || step >= end) return false;
  return cycleOf(cycles, end, step + 1) > cycleOf(cycles, end, step);
}

/**
 * Of the highest rate, the part that a step takes: 1 before the first cycle; in a cycle of m steps, at its k-th,
 * `low + (1 - low) (1 + cos(pi k / (m - 1))) / 2`, from 1 down to low = 0.1; in fine-tuning `low (1 + cos(pi part)) / 2`,
 * from 0.1 to 0 at the end of the run.
 */
export function cyclicPart(cycles: Cycles, step: number): number {
  const { from, steps } = cycles;
  const end = fineTuningStart(cycles);
  if (step < from) return 1;
  if (step >= end) {
    const part = Math.min((step - end) / (steps - end), 1);
    return (LOW_RATE * (1 + Math.cos(Math.PI * part))) / 2;
  }
  const cycle = cycleOf(cycles, end, step);
  const [first, next] = [startOf(cycles, end, cycle), startOf(cycles, end, cycle + 1)];
  const part = next - first < 2 ? 1 : (step - first) / (next - first - 1);
  return LOW_RATE + ((1 - LOW_RATE) * (1 + Math.cos(Math.PI * part))) / 2;
}

/** The first step of a cycle, counted from 0. */
function startOf({ from, cycles }: Cycles, end: number, cycle: number): number {
  return from + Math.ceil((cycle * (end - from)) / cycles);
}

function cycleOf({ from, cycles }: Cycles, end: number, step: number): number {
  return Math.floor(((step - from) * cycles) / (end - from));
}
