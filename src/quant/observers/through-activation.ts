// Quantizers before and after an activation function, found together: what matters of the first rounding is
// what the function leaves of it.

import { dequantize, quantize } from "../affine.js";
import { type QuantParams, type QuantSpec, qmax, qmin } from "../spec.js";
import { HALF_BINS, type Histogram } from "./histogram.js";
import { noClippingScale, paramsOf } from "./range.js";

/** Coarse candidates for the first scale: 4 octaves down from where nothing clips, 12 an octave. */
const OCTAVES = 4;
const PER_OCTAVE = 12;
/** Zero points are tried at this many places, then around the best. */
const ZERO_POINT_PLACES = 32;

export interface ParamsAround {
  readonly before: QuantParams;
  readonly after: QuantParams;
}

/**
 * Minimizes `E1 = mean (f(x) - f(Q1(x)))^2` over the first quantizer, then
 * `E2 = mean (f(x) - Q2(f(Q1(x))))^2` over the second. A LeakyReLU, for one, leaves a tenth of the error of
 * negative values, so Q1 spends its integers on positive ones; and Q2 finds Q1's own scale, at which
 * positive values are not rounded a second time.
 *
 * @param histogram of x; each bin counts at its middle
 * @param f the activation function
 * @returns null when nothing but 0 was seen
 */
export function paramsAroundActivation(
  histogram: Histogram,
  f: (x: number) => number,
  before: QuantSpec,
  after: QuantSpec,
): ParamsAround | null {
  const points = pointsOf(histogram, f);
  const top = noClippingScale(histogram.low, histogram.high, before);
  if (points.x.length === 0 || top < 2 ** -120) return null;
  const first = firstQuantizer(points, f, before, top);
  const second = secondQuantizer(points, f, before, first, after);
  return second && { before: first, after: second };
}

interface Points {
  readonly x: Float64Array;
  readonly fx: Float64Array;
  readonly share: Float64Array;
}

function pointsOf(histogram: Histogram, f: (x: number) => number): Points {
  const x: number[] = [];
  const share: number[] = [];
  histogram.counts.forEach((count, bin) => {
    if (count === 0) return;
    x.push((bin - HALF_BINS + 0.5) * histogram.width);
    share.push(count / histogram.total);
  });
  return { x: Float64Array.from(x), fx: Float64Array.from(x, f), share: Float64Array.from(share) };
}

function firstQuantizer(points: Points, f: (x: number) => number, spec: QuantSpec, top: number): QuantParams {
  let best = { scale: top, zeroPoint: 0 };
  let least = Number.POSITIVE_INFINITY;
  const judge = (scale: number, zeroPoint: number): void => {
    const error = firstError(points, f, spec, scale, zeroPoint);
    if (error < least) {
      least = error;
      best = { scale, zeroPoint };
    }
  };
  const [low, high] = spec.symmetric ? [0, 0] : [qmin(spec), qmax(spec)];
  const step = Math.max(1, Math.floor((high - low) / ZERO_POINT_PLACES));
  for (let i = 0; i <= OCTAVES * PER_OCTAVE; i++) {
    const scale = Math.fround(top * 2 ** (-i / PER_OCTAVE));
    for (let zeroPoint = low; zeroPoint <= high; zeroPoint += step) judge(scale, zeroPoint);
  }
  const { scale: middle, zeroPoint: around } = best;
  for (let i = -4; i <= 4; i++) {
    const scale = Math.fround(middle * 2 ** (i / 4 / PER_OCTAVE));
    const from = Math.max(low, around - step + 1);
    for (let zeroPoint = from; zeroPoint <= Math.min(high, around + step - 1); zeroPoint++)
      judge(scale, zeroPoint);
  }
  return paramsOf(best.scale, best.zeroPoint);
}

function firstError(
  { x, fx, share }: Points,
  f: (x: number) => number,
  spec: QuantSpec,
  scale: number,
  zeroPoint: number,
): number {
  const low = qmin(spec) - zeroPoint;
  const high = qmax(spec) - zeroPoint;
  const levels = Float64Array.from({ length: high - low + 1 }, (_, i) => f((low + i) * scale));
  let error = 0;
  for (let i = 0; i < x.length; i++) {
    const r = Math.round((x[i] as number) / scale);
    const difference = (fx[i] as number) - (levels[(r < low ? low : r > high ? high : r) - low] as number);
    error += (share[i] as number) * difference * difference;
  }
  return error;
}

/** Over the levels of the first quantizer: each level y holds n values whose f(x) sum to s, so E2 = sum n Q2(y)^2 - 2 s Q2(y) + constant. */
function secondQuantizer(
  { x, fx, share }: Points,
  f: (x: number) => number,
  before: QuantSpec,
  first: QuantParams,
  spec: QuantSpec,
): QuantParams | null {
  const low = qmin(before);
  const integers = Int32Array.from({ length: qmax(before) - low + 1 }, (_, i) => low + i);
  const levels = Float32Array.from(
    dequantize(integers, [integers.length], { spec: before, params: first }),
    f,
  );
  const count = new Float64Array(levels.length);
  const sum = new Float64Array(levels.length);
  quantize(Float32Array.from(x), [x.length], { spec: before, params: first }).forEach((q, i) => {
    count[q - low] = (count[q - low] as number) + (share[i] as number);
    sum[q - low] = (sum[q - low] as number) + (share[i] as number) * (fx[i] as number);
  });
  const used = levels.filter((_, i) => (count[i] as number) > 0);
  const top = noClippingScale(Math.min(0, ...used), Math.max(0, ...used), spec);
  if (top < 2 ** -120) return null;
  const own = first.scale[0] as number;
  const scales = [
    own,
    ...Array.from({ length: OCTAVES * PER_OCTAVE + 2 }, (_, i) => top * 2 ** ((1 - i) / PER_OCTAVE)),
  ];
  let best: QuantParams | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (const scale of scales) {
    const zeroPoints = spec.symmetric
      ? [0]
      : Array.from({ length: qmax(spec) - qmin(spec) + 1 }, (_, i) => qmin(spec) + i);
    for (const zeroPoint of zeroPoints) {
      const [from, to] = [qmin(spec) - zeroPoint, qmax(spec) - zeroPoint];
      let error = 0;
      for (let i = 0; i < levels.length; i++) {
        if (count[i] === 0) continue;
        const r = Math.round((levels[i] as number) / scale);
        const y = (r < from ? from : r > to ? to : r) * scale;
        error += y * ((count[i] as number) * y - 2 * (sum[i] as number));
      }
      if (error < least) {
        least = error;
        best = paramsOf(Math.fround(scale), zeroPoint);
      }
    }
  }
  return best;
}
