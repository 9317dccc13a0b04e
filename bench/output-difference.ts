// How far two runtimes' outputs of one network are apart.

/** Largest difference of an element, relative to the largest expected one; NaN where there are not as many, or one is no number. */
export function outputDifference(outputs: readonly number[], expected: readonly number[]): number {
  if (outputs.length !== expected.length) return Number.NaN;
  const largest = Math.max(...expected.map(Math.abs));
  return Math.max(...expected.map((x, i) => Math.abs(x - (outputs[i] as number)))) / largest;
}
