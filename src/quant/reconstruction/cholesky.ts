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

/** Rows that are solved together: U is read once for all of them, and it is larger than a cache. */
const TOGETHER = 4;

/**
 * Solves `X H = Y`, a row at a time: X takes the place of Y.
 *
 * @param y rows of n numbers
 */
export function solveRows(factor: Factor, y: Float64Array): void {
  const { n } = factor;
  const rows = n === 0 ? 0 : y.length / n;
  for (let first = 0; first < rows; first += TOGETHER) {
    const block = Array.from({ length: TOGETHER }, (_, r) =>
      first + r < rows ? y.subarray((first + r) * n, (first + r + 1) * n) : new Float64Array(n),
    );
    solveBlock(factor, block as unknown as Block);
  }
}

type Block = readonly [Float64Array, Float64Array, Float64Array, Float64Array];

/** `v U = y`, then `x U^T = v`, for four rows. */
function solveBlock({ n, u }: Factor, [a, b, c, d]: Block): void {
  for (let i = 0; i < n; i++) {
    const reciprocal = 1 / (u[i * n + i] as number);
    const [va, vb, vc, vd] = [a, b, c, d].map((y) => (y[i] = (y[i] as number) * reciprocal)) as [
      number,
      number,
      number,
      number,
    ];
    for (let j = i + 1, at = i * n + j; j < n; j++, at++) {
      const factor = u[at] as number;
      a[j] = (a[j] as number) - va * factor;
      b[j] = (b[j] as number) - vb * factor;
      c[j] = (c[j] as number) - vc * factor;
      d[j] = (d[j] as number) - vd * factor;
    }
  }
  for (let i = n - 1; i >= 0; i--) {
    let [sa, sb, sc, sd] = [a[i] as number, b[i] as number, c[i] as number, d[i] as number];
    for (let j = i + 1, at = i * n + j; j < n; j++, at++) {
      const factor = u[at] as number;
      sa -= factor * (a[j] as number);
      sb -= factor * (b[j] as number);
      sc -= factor * (c[j] as number);
      sd -= factor * (d[j] as number);
    }
    const reciprocal = 1 / (u[i * n + i] as number);
    a[i] = sa * reciprocal;
    b[i] = sb * reciprocal;
    c[i] = sc * reciprocal;
    d[i] = sd * reciprocal;
  }
}
