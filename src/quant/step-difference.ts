// How far two lists of integers are apart, in steps: what every comparison of runs counts.

export interface StepDifference {
  /** Elements that differ. */
  readonly count: number;
  /** Largest |a - b|; one step is one integer. Infinity: an element of one side is not a number. */
  readonly largestSteps: number;
}

/** Of lists of one length; integers may be held as floats. */
export function stepDifference(a: ArrayLike<number>, b: ArrayLike<number>): StepDifference {
  let [count, largestSteps] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    if (a[i] === b[i]) continue;
    count++;
    const steps = Math.abs((a[i] as number) - (b[i] as number));
    largestSteps = Math.max(largestSteps, Number.isNaN(steps) ? Number.POSITIVE_INFINITY : steps);
  }
  return { count, largestSteps };
}
