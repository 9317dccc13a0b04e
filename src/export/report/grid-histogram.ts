// How values lie on the grid of their quantizer: what of them each integer gets, and how much the ends cut off. Counts in
// the grid's own units, so that layers of any scale can be laid side by side.

import { roundHalfEven } from "../../quant/affine.js";
import { qmax, qmin, type QuantSpec } from "../../quant/spec.js";

/** Bins over a grid of any bits; with 8 bits four integers share one. */
export const GRID_BINS = 64;

/** Shares are of all values, to three digits. */
export interface GridHistogram {
  readonly layer: string;
  readonly what: "weights" | "activations";
  readonly bits: number;
  /** Least and greatest step. */
  readonly scale: readonly [number, number];
  /** Share of the real values in each of {@link GRID_BINS} bins, from half a step below the least integer to half a step above the greatest. */
  readonly real: readonly number[];
  /** Share of each integer, or of each four with 8 bits. */
  readonly integers: readonly number[];
  /** Share of the real values below the first bin and above the last: they become the least and the greatest integer. */
  readonly below: number;
  readonly above: number;
}

export class GridCounts {
  readonly #low: number;
  readonly #levels: number;
  readonly #real = new Float64Array(GRID_BINS);
  readonly #integers: Float64Array;
  #below = 0;
  #above = 0;
  #total = 0;

  /** @param spec of the grid */
  constructor(spec: QuantSpec) {
    this.#low = qmin(spec);
    this.#levels = qmax(spec) - this.#low + 1;
    this.#integers = new Float64Array(Math.min(this.#levels, GRID_BINS));
  }

  /**
   * @param position `x / s + z`, a real number whose nearest integer is that of x
   * @param integer that stands for it; the nearest in the grid when absent
   */
  add(position: number, integer?: number): void {
    const share = (position - this.#low + 0.5) / this.#levels;
    if (share < 0) this.#below++;
    else if (share > 1) this.#above++;
    else {
      const bin = Math.min(Math.floor(share * GRID_BINS), GRID_BINS - 1);
      this.#real[bin] = (this.#real[bin] as number) + 1;
    }
    const last = this.#levels - 1;
    const level = Math.min(Math.max((integer ?? roundHalfEven(position)) - this.#low, 0), last);
    const at = Math.floor((level * this.#integers.length) / this.#levels);
    this.#integers[at] = (this.#integers[at] as number) + 1;
    this.#total++;
  }

  /** null before anything was added */
  shares(): Pick<GridHistogram, "real" | "integers" | "below" | "above"> | null {
    if (this.#total === 0) return null;
    const share = (count: number): number => Number((count / this.#total).toPrecision(3));
    return {
      real: Array.from(this.#real, share),
      integers: Array.from(this.#integers, share),
      below: share(this.#below),
      above: share(this.#above),
    };
  }
}
