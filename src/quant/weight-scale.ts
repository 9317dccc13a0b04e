// Finds scales of weights from the weights alone: by least squared error, an index of the axis at a time.
// Float weights are not kept or changed here, and no data is looked at.

import { QdgError } from "../base/error.js";
import { sizeOf } from "../base/tensor.js";
import type { QuantParams, QuantSpec } from "./spec.js";
import { qmax, qmin } from "./spec.js";

export interface WeightScaleOptions {
  /** Only scales 2^e, e a whole number. */
  readonly powerOfTwo?: boolean;
  /** The weight's name, for errors. */
  readonly where?: string;
}

/** Smallest normal float32. No scale is below it: runtimes may flush what is. */
export const SMALLEST_SCALE: number = 2 ** -126;

/** Work for one channel: coarse candidates are `EFFORT / n`, within the two bounds. */
const EFFORT = 8192;
const FEWEST_CANDIDATES = 16;
const MOST_CANDIDATES = 1024;
const FINE_CANDIDATES = 4;
const MOST_ALTERNATIONS = 5;

/** `<w,q>` and `<q,q>` of the last call of {@link assign}: written in place, so that nothing is allocated. */
interface Sums {
  wq: number;
  qq: number;
}

/**
 * For each index k of `spec.axis`, the scale s > 0 that makes
 * `E(s) = sum_i (w_i - s q_i)^2` small, `q_i = clip(roundHalfEven(fl(w_i / s)), qmin, qmax)`.
 *
 * E has many local minima. With q fixed it is a parabola with its minimum at `s = <w,q> / <q,q>`, of height
 * `<w,w> - <w,q>^2 / <q,q>`. So each candidate of a geometric grid is judged by that height, at no extra
 * cost; a finer grid around the best follows, then q and s are improved in turns until neither changes. The
 * grid reaches from `mean|w| / 2^bits`, where everything clips, to the scale at which nothing clips (or, where
 * there are few weights and a dense grid is cheap, to `max|w|`), and holds the latter, so E is never above
 * that of the largest weight's scale. Both ends of the range are used: -2^(b-1) too.
 *
 * A channel without any |w| >= 2^-126 gets scale 1 (its integers are all 0).
 *
 * @param w weights, row-major, of `shape`, at most one axis with scales
 * @returns one float32 scale an index (or one), zero points 0
 * @throws QdgError `invalid-weights` for NaN or infinity, `internal` for a spec that is not symmetric
 */
export function leastSquaresScale(
  w: Float32Array,
  shape: readonly number[],
  spec: QuantSpec,
  options: WeightScaleOptions = {},
): QuantParams {
  const where = options.where ?? "weights";
  if (!spec.symmetric || sizeOf(shape) !== w.length) {
    throw new QdgError(
      "internal",
      where,
      "leastSquaresScale needs a symmetric spec and weights that fill their shape",
    );
  }
  const channels = spec.axis === null ? 1 : (shape[spec.axis] ?? 0);
  const inner = spec.axis === null ? w.length : sizeOf(shape.slice(spec.axis + 1));
  const size = channels === 0 ? 0 : w.length / channels;
  const channel = new Float32Array(size);
  const scale = new Float32Array(channels);
  const sums: Sums = { wq: 0, qq: 0 };
  for (let k = 0; k < channels; k++) {
    for (let to = 0, from = k * inner; to < size; to += inner, from += inner * channels) {
      channel.set(w.subarray(from, from + inner), to);
    }
    scale[k] = channelScale(channel, spec, options.powerOfTwo ?? false, sums, where);
  }
  return { scale, zeroPoint: new Int32Array(channels) };
}

function channelScale(
  w: Float32Array,
  spec: QuantSpec,
  powerOfTwo: boolean,
  sums: Sums,
  where: string,
): number {
  const low = qmin(spec);
  const high = qmax(spec);
  let least = 0;
  let most = 0;
  let total = 0;
  let square = 0;
  for (let i = 0; i < w.length; i++) {
    const x = w[i] as number;
    if (x < least) least = x;
    if (x > most) most = x;
    total += Math.abs(x);
    square += x * x;
  }
  if (!Number.isFinite(total)) {
    const bad = w.find((x) => !Number.isFinite(x));
    throw new QdgError(
      "invalid-weights",
      where,
      `got ${bad}, expected finite numbers; train again or mend the file`,
    );
  }
  const largest = Math.max(most, -least);
  if (largest < SMALLEST_SCALE) return 1;

  const noClipping = largestScale(least, most, low, high);
  const smallest = Math.min(noClipping, total / w.length / 2 ** spec.bits);
  if (powerOfTwo) return bestPowerOfTwo(w, noClipping, smallest, low, high, square, sums);

  const candidates = Math.max(FEWEST_CANDIDATES, Math.min(MOST_CANDIDATES, Math.floor(EFFORT / w.length)));
  const top = candidates > FEWEST_CANDIDATES ? Math.max(noClipping, largest) : noClipping;
  const ratio = (smallest / top) ** (1 / candidates);
  let best = 0;
  let gain = -1;
  const judge = (candidate: number): boolean => {
    assign(w, candidate, low, high, sums);
    if (sums.qq === 0) return false;
    const found = (sums.wq * sums.wq) / sums.qq;
    if (found <= gain) return false;
    gain = found;
    best = sums.wq / sums.qq;
    return true;
  };
  judge(noClipping);
  let nearest = noClipping;
  for (let i = 0, candidate = top; i <= candidates; i++, candidate *= ratio) {
    if (judge(candidate)) nearest = candidate;
  }
  for (let i = 1; i < FINE_CANDIDATES; i++) {
    const step = ratio ** (i / FINE_CANDIDATES);
    judge(nearest * step);
    judge(nearest / step);
  }
  for (let i = 0; i < MOST_ALTERNATIONS && judge(best); i++);
  return Math.max(Math.fround(best), SMALLEST_SCALE);
}

/** Scale at which neither end clips; an end without an integer for it (unsigned, w < 0) does not count. */
function largestScale(least: number, most: number, low: number, high: number): number {
  return Math.max(most / high, low < 0 ? least / low : 0, SMALLEST_SCALE);
}

function bestPowerOfTwo(
  w: Float32Array,
  noClipping: number,
  smallest: number,
  low: number,
  high: number,
  square: number,
  sums: Sums,
): number {
  let best = 1;
  let error = Infinity;
  const from = Math.min(127, Math.ceil(Math.log2(noClipping)) + 1);
  const to = Math.max(-126, Math.floor(Math.log2(smallest)));
  for (let exponent = from; exponent >= to; exponent--) {
    const candidate = 2 ** exponent;
    assign(w, candidate, low, high, sums);
    const found = square - 2 * candidate * sums.wq + candidate * candidate * sums.qq;
    if (found < error) {
      error = found;
      best = candidate;
    }
  }
  return best;
}

/**
 * Sums over `q = roundHalfEven(clip(w / scale, low, high))`. This loop is where the time goes, so it
 * multiplies by the reciprocal, in float64. That can differ from `fl(w / scale)` only next to a tie, where
 * both integers are as good, and the scale that comes out is used with the arithmetic of affine.ts anyway.
 */
function assign(w: Float32Array, scale: number, low: number, high: number, sums: Sums): void {
  const reciprocal = 1 / scale;
  // 1.5 * 2^52: adding and subtracting it rounds half to even, see roundHalfEven.
  const shift = 6755399441055744;
  let wq = 0;
  let qq = 0;
  for (let i = 0; i < w.length; i++) {
    const x = w[i] as number;
    const q = Math.min(Math.max(x * reciprocal, low), high) + shift - shift;
    wq += x * q;
    qq += q * q;
  }
  sums.wq = wq;
  sums.qq = qq;
}
