// Integers of a weighted layer by what they do to its output, not to the weights: the target that makes up for the
// error of the inputs, a scale, and rounding in which each error is made up for by the weights still open.
// Statistics come in, integers come out; nothing here runs a network.

import type { QuantSpec } from "../spec.js";
import { qmax, qmin } from "../spec.js";
import { pairedWeights } from "../paired-weights.js";
import { cholesky, solveRows } from "./cholesky.js";
import { weightedScale } from "./weighted-scale.js";

/** What was seen of a layer, or of one group of its channels: P positions, each with K inputs and O outputs. */
export interface LayerStatistics {
  /** K */
  readonly inputs: number;
  /** `sum_p x_p x_p^T` of the quantized network's inputs, K x K, symmetric, row-major */
  readonly gram: Float64Array;
  /** `sum_p y_p x_p^T`: the float network's outputs without bias against those inputs, O x K */
  readonly cross: Float64Array;
  /** P */
  readonly positions: number;
}

export interface ReconstructOptions {
  /** Where a pair of weights of one sign must not exceed a sum: {@link PairLimit}. */
  readonly pairs?: PairLimit | null;
  /** The layer's name, for errors. */
  readonly where: string;
}

/** Elements `order[2i]` and `order[2i + 1]` of a row, of one sign, may add up to `limit` at most. */
export interface PairLimit {
  readonly order: ArrayLike<number>;
  readonly limit: number;
}

export interface Reconstructed {
  /** O x K */
  readonly integers: Int32Array;
  /** One scale > 0 for each of the O rows. */
  readonly scale: Float32Array;
}

/**
 * Of the mean diagonal, where positions are many. A fit follows the noise of few: without the terms in K / P MobileNetV2 0.35
 * at W4A8 has 12.1 dB against the float network, with the first of them 13.6.
 */
const DAMPING = 0.01;
/** Where inputs are all 0. */
const ABSOLUTE_FLOOR = 1e-6;

/**
 * With `H = gram / P`, `D = cross / P` and `L = lambda I`, for each output row w:
 *
 * - target `w' = (d + lambda w) (H + L)^-1`, which minimizes `|y - w' x|^2 + lambda |w' - w|^2`: y is what the float
 *   network gives, x what the quantized network feeds;
 * - scale s by {@link weightedScale} over diag(H);
 * - `q` with small `(s q - w') (H + L) (s q - w')^T`: elements in the order of falling diag(H), each rounded to nearest
 *   of its own best value given the errors of those before it. With `H + L = U^T U` in the opposite order that is back
 *   substitution with rounding in it.
 *
 * lambda is `0.01 (1 + 30 r + 50 r^2) mean(diag H) + 1e-6` with r = K / P: few positions say little, and channels that never
 * fire make H singular.
 *
 * Source: Frantar et al., "GPTQ", ICLR 2023, as nearest-plane rounding (Chen et al. 2025); Nagel et al., "Up or Down?",
 * ICML 2020, for the objective with the quantized network's inputs.
 *
 * @param w float weights, O x K
 * @throws QdgError `invalid-data` for statistics that are not finite
 */
export function reconstruct(
  w: Float32Array,
  statistics: LayerStatistics,
  spec: QuantSpec,
  options: ReconstructOptions,
): Reconstructed {
  const { inputs: n, gram, cross, positions } = statistics;
  const rows = n === 0 ? 0 : w.length / n;
  const h = gram.map((sum) => sum / Math.max(1, positions));
  const diagonal = Float64Array.from({ length: n }, (_, i) => h[i * n + i] as number);
  const mean = diagonal.reduce((sum, each) => sum + each, 0) / Math.max(1, n);
  const scarcity = n / Math.max(1, positions);
  const lambda = DAMPING * (1 + 30 * scarcity + 50 * scarcity ** 2) * mean + ABSOLUTE_FLOOR;
  for (let i = 0; i < n; i++) h[i * n + i] = (diagonal[i] as number) + lambda;
  // The factor in rising order of the diagonal, so that substitution begins with the largest.
  const rising = Int32Array.from({ length: n }, (_, i) => i).sort(
    (a, b) => (diagonal[a] as number) - (diagonal[b] as number) || b - a,
  );
  const factor = cholesky(permuted(h, rising), n, options.where);
  const targets = new Float64Array(w.length);
  for (let row = 0; row < rows; row++) {
    const at = row * n;
    for (let i = 0; i < n; i++) {
      const k = rising[i] as number;
      targets[at + i] = (cross[at + k] as number) / Math.max(1, positions) + lambda * (w[at + k] as number);
    }
  }
  solveRows(factor, targets);
  const importance = Float64Array.from(rising, (i) => (diagonal[i] as number) + lambda);
  const integers = new Int32Array(w.length);
  const scale = new Float32Array(rows);
  const partners = options.pairs ? partnersOf(options.pairs, rising) : null;
  const errors = new Float64Array(n);
  const chosen = new Int32Array(n);
  for (let row = 0; row < rows; row++) {
    const at = row * n;
    const target = targets.subarray(at, at + n);
    const free = weightedScale(target, importance, spec, options.where);
    const rounded = roundInOrder(factor.u, target, free, spec, partners, errors, chosen);
    scale[row] = free;
    keep(chosen, integers, at, rising);
    if (!rounded.bound || !options.pairs) continue;
    // A coarser scale binds fewer pairs; how coarse, plain rounding under the same bound says well enough.
    const wider = pairedScale(target, rising, free, options.pairs, spec, options.where);
    if (roundInOrder(factor.u, target, wider, spec, partners, errors, chosen).error >= rounded.error)
      continue;
    scale[row] = wider;
    keep(chosen, integers, at, rising);
  }
  return { integers, scale };
}

/** Of the row from `at` on, in the order of the weights. */
function keep(chosen: Int32Array, integers: Int32Array, at: number, rising: Int32Array): void {
  for (let i = 0; i < chosen.length; i++) integers[at + (rising[i] as number)] = chosen[i] as number;
}

function pairedScale(
  target: Float64Array,
  rising: Int32Array,
  free: number,
  { order, limit }: PairLimit,
  spec: QuantSpec,
  where: string,
): number {
  const row = new Float32Array(target.length);
  rising.forEach((k, i) => (row[k] = target[i] as number));
  const met = Float32Array.from(order, (k) => row[k] as number);
  return pairedWeights(met, free, limit, { ...spec, axis: null }, { where }).scale;
}

interface Partners {
  /** For each element, in the factor's order, the one that it meets, or -1. */
  readonly of: Int32Array;
  readonly limit: number;
}

function partnersOf({ order, limit }: PairLimit, rising: Int32Array): Partners {
  const place = new Int32Array(rising.length);
  rising.forEach((k, i) => (place[k] = i));
  const of = new Int32Array(rising.length).fill(-1);
  for (let i = 0; i + 1 < order.length; i += 2) {
    const a = place[order[i] as number] as number;
    const b = place[order[i + 1] as number] as number;
    of[a] = b;
    of[b] = a;
  }
  return { of, limit };
}

/**
 * From the last element to the first; `errors` and `chosen` are written.
 *
 * @returns `(s q - w') (H + L) (s q - w')^T`, and whether a pair was bound
 */
function roundInOrder(
  u: Float64Array,
  target: Float64Array,
  scale: number,
  spec: QuantSpec,
  partners: Partners | null,
  errors: Float64Array,
  chosen: Int32Array,
): { readonly error: number; readonly bound: boolean } {
  const n = target.length;
  let error = 0;
  let bound = false;
  const lowest = qmin(spec);
  const highest = qmax(spec);
  for (let i = n - 1; i >= 0; i--) {
    let carried = 0;
    const row = i * n;
    for (let j = i + 1; j < n; j++) carried += (u[row + j] as number) * (errors[j] as number);
    const best = (target[i] as number) - carried / (u[row + i] as number);
    let low = lowest;
    let high = highest;
    const partner = partners ? (partners.of[i] as number) : -1;
    if (partner > i && partners) {
      const met = chosen[partner] as number;
      if (met > 0) high = Math.min(high, partners.limit - met);
      else if (met < 0) low = Math.max(low, -partners.limit - met);
    }
    const nearest = Math.round(best / scale);
    const q = Math.min(Math.max(nearest, low), high);
    if (q !== Math.min(Math.max(nearest, lowest), highest)) bound = true;
    chosen[i] = q;
    errors[i] = q * scale - (target[i] as number);
    error += ((u[row + i] as number) * (q * scale - best)) ** 2;
  }
  return { error, bound };
}

/** `h[order, order]` of its upper triangle; the rest stays 0. */
function permuted(h: Float64Array, order: Int32Array): Float64Array {
  const n = order.length;
  const out = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    const from = (order[i] as number) * n;
    for (let j = i; j < n; j++) out[i * n + j] = h[from + (order[j] as number)] as number;
  }
  return out;
}
