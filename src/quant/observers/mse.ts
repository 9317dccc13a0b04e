// The observer that weighs clipping against rounding: the scale (and zero point) of least expected squared
// error. It works on counts in bins; the data is gone by then.

import type { QuantParams, QuantSpec } from "../spec.js";
import { qmax, qmin } from "../spec.js";
import { HALF_BINS, Histogram } from "./histogram.js";
import type { Observer, ObserverOptions } from "./observer.js";
import { ceilLog2, noClippingScale, paramsOf, paramsOfRange, refuseAxis } from "./range.js";

/** Coarse candidates go down 12 octaves from the scale at which nothing clips, 8 an octave. */
const OCTAVES = 12;
const PER_OCTAVE = 8;
/** Then as many between the best and each of its neighbours. */
const FINE = 8;

/**
 * Minimizes `E(s, z) = mean (x - s (q - z))^2`, `q = clip(roundHalfEven(x / s) + z, qmin, qmax)`, over scales s and,
 * for a spec that is not symmetric, zero points z. Values count as spread evenly over their bin, and the
 * integral over a bin is exact: with `t = x / s`, `r = q - z`,
 * ```
 * F(x) = s^3 (r / 12 + (t - r)^3 / 3),   F'(x) = (x - s r)^2
 * ```
 * (each whole step adds s^3/12, so F has no jumps). For a given s, z moves only the two ends of the range,
 * and E is convex in z, so its best z is found by bisection.
 */
export class MseObserver implements Observer {
  /** What was seen; for quantizers that are found together. */
  readonly histogram: Histogram = new Histogram();

  observe(x: Float32Array, where: string = "calibration"): void {
    this.histogram.add(x, where);
  }

  params(spec: QuantSpec, options: ObserverOptions = {}): QuantParams {
    refuseAxis(spec);
    const { low, high } = this.histogram;
    const unclipped = paramsOfRange(low, high, spec, options);
    const top = noClippingScale(low, high, spec);
    // Nothing to weigh: only zeros, or only values that no integer of the spec can stand for.
    if (top < 2 ** -126) return unclipped;

    const bins = occupiedBins(this.histogram);
    let best = { scale: unclipped.scale[0] as number, zeroPoint: unclipped.zeroPoint[0] as number };
    let least = expectedError(bins, best.scale, best.zeroPoint, spec);
    const judge = (candidate: number): void => {
      const scale = Math.fround(candidate);
      if (scale < 2 ** -126) return;
      const zeroPoint = spec.symmetric ? 0 : bestZeroPoint(bins, scale, spec);
      const error = expectedError(bins, scale, zeroPoint, spec);
      if (error < least) {
        least = error;
        best = { scale, zeroPoint };
      }
    };
    if (options.powerOfTwo) {
      const from = Math.min(ceilLog2(top), 127);
      for (let exponent = from; exponent > from - OCTAVES; exponent--) judge(2 ** exponent);
    } else {
      // One candidate above: a rounded zero point can make room useful there.
      for (let i = -1; i <= OCTAVES * PER_OCTAVE; i++) judge(top * 2 ** (-i / PER_OCTAVE));
      const middle = best.scale;
      for (let i = -FINE; i <= FINE; i++) judge(middle * 2 ** (i / PER_OCTAVE / (FINE + 1)));
    }
    return paramsOf(best.scale, best.zeroPoint);
  }
}

/** Edges of the bins that hold anything, and how many values a unit of x each holds. */
interface Bins {
  readonly start: Float64Array;
  readonly width: number;
  readonly density: Float64Array;
}

function occupiedBins(histogram: Histogram): Bins {
  const { counts, width, total } = histogram;
  const start: number[] = [];
  const density: number[] = [];
  counts.forEach((count, bin) => {
    if (count === 0) return;
    start.push((bin - HALF_BINS) * width);
    density.push(count / total / width);
  });
  return { start: Float64Array.from(start), width, density: Float64Array.from(density) };
}

function expectedError(bins: Bins, scale: number, zeroPoint: number, spec: QuantSpec): number {
  const { start, width, density } = bins;
  const low = qmin(spec) - zeroPoint;
  const high = qmax(spec) - zeroPoint;
  const reciprocal = 1 / scale;
  let sum = 0;
  let end = NaN;
  let atEnd = 0;
  for (let i = 0; i < start.length; i++) {
    const from = start[i] as number;
    const to = from + width;
    // Neighbours share an edge, so most bins need one evaluation.
    const atStart = from === end ? atEnd : integral(from * reciprocal, low, high);
    atEnd = integral(to * reciprocal, low, high);
    end = to;
    sum += (density[i] as number) * (atEnd - atStart);
  }
  return sum * scale ** 3;
}

/** `F(x) / s^3` at t = x / s; low and high are the ends of q - z. */
function integral(t: number, low: number, high: number): number {
  const r = Math.min(Math.max(Math.round(t), low), high);
  const rest = t - r;
  return r / 12 + (rest * rest * rest) / 3;
}

function bestZeroPoint(bins: Bins, scale: number, spec: QuantSpec): number {
  let low = qmin(spec);
  let high = qmax(spec);
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (expectedError(bins, scale, middle, spec) <= expectedError(bins, scale, middle + 1, spec))
      high = middle;
    else low = middle + 1;
  }
  return low;
}
