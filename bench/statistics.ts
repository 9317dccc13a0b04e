// Order statistics of times. Medians and quartiles, never means: one interrupted run must not move a result.

export interface Quartiles {
  readonly q1: number;
  readonly median: number;
  readonly q3: number;
}

/** Quantile p in 0..1 of sorted numbers, linear between the two nearest. @throws RangeError without numbers */
function quantile(sorted: readonly number[], p: number): number {
  const at = p * (sorted.length - 1);
  const low = Math.floor(at);
  const [a, b] = [sorted[low], sorted[Math.ceil(at)]];
  if (a === undefined || b === undefined) throw new RangeError("got no numbers, expected at least one");
  return a + (b - a) * (at - low);
}

/** The three quartiles, by linear interpolation. @throws RangeError without numbers */
export function quartiles(numbers: readonly number[]): Quartiles {
  const sorted = numbers.toSorted((a, b) => a - b);
  return { q1: quantile(sorted, 0.25), median: quantile(sorted, 0.5), q3: quantile(sorted, 0.75) };
}

/**
 * How many times faster `candidate` is than `peer`: quartiles of `peer[i] / candidate[i]`, the times of one
 * round, so that what slows down a whole round counts in neither. On a quiet machine the median is that of
 * the peer's times over that of the candidate's.
 *
 * @param peer times, as many as of the candidate
 * @throws RangeError without times, or with more of one than of the other
 */
export function speedup(peer: readonly number[], candidate: readonly number[]): Quartiles {
  if (peer.length !== candidate.length) {
    throw new RangeError(`got ${peer.length} and ${candidate.length} times, expected as many of both`);
  }
  return quartiles(peer.map((time, round) => time / (candidate[round] as number)));
}

/** @throws RangeError without numbers */
export function median(numbers: readonly number[]): number {
  return quartiles(numbers).median;
}

/** "2.50 [2.40, 2.61]": the median, and the quartiles around it. */
export function spread({ q1, median: middle, q3 }: Quartiles, digits: number): string {
  return `${middle.toFixed(digits)} [${q1.toFixed(digits)}, ${q3.toFixed(digits)}]`;
}
