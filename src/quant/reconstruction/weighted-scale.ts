// The scale of one row of weights, by squared error in which each weight counts as its input does.

import { QdgError } from "../../base/error.js";
import type { QuantSpec } from "../spec.js";
import { qmax, qmin } from "../spec.js";
import { SMALLEST_SCALE } from "../weight-scale.js";

const CANDIDATES = 30;
/** Of the largest weight: below it, few bits clip with profit; many do not. */
const LEAST_FEW_BITS = 0.3;
const LEAST_MANY_BITS = 0.6;
const FEW_BITS = 4;
const MOST = 1.05;
const REFITS = 2;

/**
 * s > 0 with small `sum_i h_i (s q_i - w_i)^2`, `q_i = clip(round(w_i / s))`: candidates from a share of the largest
 * |w| to a little more than it, each refitted by `s = <w, q>_h / <q, q>_h`.
 *
 * @param w one row; `h` >= 0 of the same length
 * @returns a float32; 1 for a row of zeros
 * @throws QdgError `invalid-data` for numbers that are not finite
 */
export function weightedScale(w: Float64Array, h: Float64Array, spec: QuantSpec, where: string): number {
  let largest = 0;
  for (const x of w) largest = Math.max(largest, Math.abs(x));
  if (!Number.isFinite(largest) || w.some(Number.isNaN)) {
    throw new QdgError(
      "invalid-data",
      where,
      "its reconstructed weights are not finite; calibrate on other samples",
    );
  }
  if (largest < SMALLEST_SCALE) return 1;
  const low = qmin(spec);
  const high = qmax(spec);
  const least = spec.bits <= FEW_BITS ? LEAST_FEW_BITS : LEAST_MANY_BITS;
  let best = largest / high;
  let error = Number.POSITIVE_INFINITY;
  for (let i = 0; i < CANDIDATES; i++) {
    let s = ((least + ((MOST - least) * i) / (CANDIDATES - 1)) * largest) / high;
    for (let refit = 0; refit <= REFITS; refit++) {
      let ww = 0;
      let wq = 0;
      let qq = 0;
      const reciprocal = 1 / s;
      for (let k = 0; k < w.length; k++) {
        const x = w[k] as number;
        const q = Math.min(Math.max(Math.round(x * reciprocal), low), high);
        const weight = h[k] as number;
        ww += weight * x * x;
        wq += weight * x * q;
        qq += weight * q * q;
      }
      const found = ww - 2 * s * wq + s * s * qq;
      if (found < error) {
        error = found;
        best = s;
      }
      if (!(wq > 0)) break;
      s = wq / qq;
    }
  }
  return Math.max(Math.fround(best), SMALLEST_SCALE);
}
