// A histogram whose range grows by doubling, so that what it holds does not depend on the order of the data.
// It counts; what the counts mean is the observers'.

import { finiteRange } from "./observer.js";
import { ceilLog2 } from "./range.js";

/** Bins on each side of 0. */
export const HALF_BINS = 2048;

/**
 * Counts in 2 * 2048 bins of equal width over [-R, R), R a power of two above every |x| seen: from 1024 to
 * 2048 bins lie between 0 and the largest |x|. Bin i counts `floor(x / width) = i - 2048`. When R doubles,
 * bins merge in pairs, which gives the very counts that the wider bins would have had from the start.
 *
 * Exact zeros are not counted. They are integers exactly under every scale, so they say nothing about the
 * range; counted, the many zeros after a ReLU would pull a percentile down to nothing.
 */
export class Histogram {
  /** Exact below 2^53. */
  readonly counts: Float64Array = new Float64Array(2 * HALF_BINS);
  /** Least and greatest value seen, and 0. */
  low = 0;
  high = 0;
  /** Values counted. */
  total = 0;
  #exponent: number | null = null;

  /** Width of a bin; 0 before anything but 0 was seen. */
  get width(): number {
    return this.#exponent === null ? 0 : 2 ** this.#exponent / HALF_BINS;
  }

  /** @throws QdgError `invalid-data` for NaN or infinity; the counts are then as before */
  add(x: Float32Array, where: string): void {
    const [low, high] = finiteRange(x, where);
    const largest = Math.max(high, -low);
    if (largest === 0) return;
    this.low = Math.min(this.low, low);
    this.high = Math.max(this.high, high);
    this.#grow(largest);
    const perUnit = 1 / this.width;
    const counts = this.counts;
    let zeros = 0;
    for (let i = 0; i < x.length; i++) {
      const value = x[i] as number;
      if (value === 0) {
        zeros++;
        continue;
      }
      const bin = Math.floor(value * perUnit) + HALF_BINS;
      counts[bin] = (counts[bin] as number) + 1;
    }
    this.total += x.length - zeros;
  }

  /**
   * The x that `fraction` of what was counted lies below, interpolated within its bin; 0 when nothing was
   * counted. Never outside [low, high].
   */
  quantile(fraction: number): number {
    const wanted = fraction * this.total;
    let below = 0;
    for (let bin = 0; bin < this.counts.length; bin++) {
      const count = this.counts[bin] as number;
      if (count > 0 && below + count >= wanted) {
        const x = (bin - HALF_BINS + (wanted - below) / count) * this.width;
        return Math.min(Math.max(x, this.low), this.high);
      }
      below += count;
    }
    return this.high;
  }

  #grow(largest: number): void {
    // Strictly above, since the last bin ends before R.
    const exponent = ceilLog2(largest);
    const needed = Math.max(2 ** exponent === largest ? exponent + 1 : exponent, -126);
    this.#exponent ??= needed;
    for (; this.#exponent < needed; this.#exponent++) this.#mergePairs();
  }

  /** Bins 2j and 2j+1, counted from the middle, become bin j. */
  #mergePairs(): void {
    const merged = new Float64Array(2 * HALF_BINS);
    this.counts.forEach((count, bin) => {
      const to = Math.floor((bin - HALF_BINS) / 2) + HALF_BINS;
      merged[to] = (merged[to] as number) + count;
    });
    this.counts.set(merged);
  }
}
