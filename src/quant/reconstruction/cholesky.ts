// Dense positive definite systems in float64: the factor, and solving with it. Rows are contiguous in every inner
// loop; nothing here knows what the numbers stand for.

import { QdgError } from "../../base/error.js";

/** `H = U^T U` with U upper triangular, n x n, row-major; below the diagonal of `u` nothing is read. */
export interface Factor {
  readonly n: number;
  readonly u: Float64Array;
}

/** Rows that are updated together: two of them and the rest of a row of 4096 stay in a core's cache. */
const BLOCK = 48;

/**
 * Cholesky: `H = U^T U`.
 *
 * @param h symmetric, n x n, row-major; its upper triangle is read, and overwritten by U
 * @param where for the error
 * @throws QdgError `invalid-data` when H is not positive definite, in float64
 */
export function cholesky(h: Float64Array, n: number, where: string): Factor {
  for (let first = 0; first < n; first += BLOCK) {
    const end = Math.min(first + BLOCK, n);
    for (let k = first; k < end; k++) {
      const row = k * n;
      const pivot = h[row + k] as number;
      if (!(pivot > 0)) {
        throw new QdgError(
          "invalid-data",
          where,
          `its inputs make no positive definite matrix (pivot ${pivot} at ${k} of ${n}); calibrate on other samples`,
        );
      }
      const root = Math.sqrt(pivot);
      const reciprocal = 1 / root;
      h[row + k] = root;
      for (let j = k + 1; j < n; j++) h[row + j] = (h[row + j] as number) * reciprocal;
      for (let i = k + 1; i < end; i++) subtract(h, i * n, row, i, n, h[row + i] as number);
    }
    // The block's rows are done: the rows below take them all in one pass each.
    for (let i = end; i < n; i++) {
      for (let k = first; k < end; k++) subtract(h, i * n, k * n, i, n, h[k * n + i] as number);
    }
  }
  return { n, u: h };
}

/** `h[to + j] -= factor * h[from + j]` for j from `first` to n - 1. */
function subtract(h: Float64Array, to: number, from: number, first: number, n: number, factor: number): void {
  if (factor === 0) return;
  for (let j = first; j < n; j++) h[to + j] = (h[to + j] as number) - factor * (h[from + j] as number);
}

/**
 * Solves `x H = y` for one row: x takes the place of y.
 *
 * @param y of n numbers
 */
export function solveRow({ n, u }: Factor, y: Float64Array): void {
  for (let i = 0; i < n; i++) {
    const v = (y[i] as number) / (u[i * n + i] as number);
    y[i] = v;
    if (v === 0) continue;
    for (let j = i + 1, at = i * n + j; j < n; j++, at++) y[j] = (y[j] as number) - v * (u[at] as number);
  }
  for (let i = n - 1; i >= 0; i--) {
    let sum = y[i] as number;
    for (let j = i + 1, at = i * n + j; j < n; j++, at++) sum -= (u[at] as number) * (y[j] as number);
    y[i] = sum / (u[i * n + i] as number);
  }
}
