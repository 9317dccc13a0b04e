// From a range of real numbers to a scale and a zero point. Where the range comes from is the observer's.

import { QdgError } from "../../base/error.js";
import { clip, roundHalfEven } from "../affine.js";
import type { QuantParams, QuantSpec } from "../spec.js";
import { qmax, qmin } from "../spec.js";
import type { ObserverOptions } from "./observer.js";

/** Smallest and largest exponent of a normal float32 power of two. */
const MIN_EXPONENT = -126;
const MAX_EXPONENT = 127;

/**
 * The smallest scale at which [low, high], 0 included, is not clipped:
 * - symmetric: `max(high / qmax, low / qmin)`, zero point 0; an end without integers (low < 0, unsigned) is
 *   left out, since nothing can hold it;
 * - asymmetric: `(high - low) / (qmax - qmin)`, and `zeroPoint = clip(roundHalfEven(qmin - low / scale))`, whose
 *   rounding can clip up to half a step at one end.
 *
 * With `powerOfTwo` the next power of two above. An empty range ([0, 0]) gives scale 1.
 */
export function paramsOfRange(
  low: number,
  high: number,
  spec: QuantSpec,
  options: ObserverOptions = {},
): QuantParams {
  refuseAxis(spec);
  const bottom = Math.min(low, 0);
  const top = Math.max(high, 0);
  const scale = normalScale(noClippingScale(bottom, top, spec), options.powerOfTwo ?? false);
  return paramsOf(scale, spec.symmetric ? 0 : zeroPointFor(bottom, scale, spec));
}

/** Scale at which nothing in [low, high] clips, not rounded; low <= 0 <= high. 0 for an empty range. */
export function noClippingScale(low: number, high: number, spec: QuantSpec): number {
  const least = qmin(spec);
  const greatest = qmax(spec);
  if (!spec.symmetric) return (high - low) / (greatest - least);
  return Math.max(high / greatest, least < 0 ? low / least : 0);
}

/** `clip(roundHalfEven(qmin - low / scale), qmin, qmax)`: the integer of real 0 when qmin stands for `low`. */
export function zeroPointFor(low: number, scale: number, spec: QuantSpec): number {
  return clip(roundHalfEven(qmin(spec) - low / scale), qmin(spec), qmax(spec));
}

export function paramsOf(scale: number, zeroPoint: number): QuantParams {
  return { scale: Float32Array.of(scale), zeroPoint: Int32Array.of(zeroPoint) };
}

/** @throws QdgError `internal`: activations have one scale a tensor */
export function refuseAxis(spec: QuantSpec): void {
  if (spec.axis !== null) {
    throw new QdgError(
      "internal",
      "observer",
      `got axis ${spec.axis}, expected one scale for the whole tensor`,
    );
  }
}

/** A normal float32, or the power of two at or above; 1 for what is below 2^-126 altogether. */
function normalScale(scale: number, powerOfTwo: boolean): number {
  if (scale < 2 ** MIN_EXPONENT) return 1;
  const rounded = Math.fround(scale);
  if (!powerOfTwo) return rounded;
  return 2 ** Math.min(MAX_EXPONENT, ceilLog2(rounded));
}

/** The least e with 2^e >= x, exactly: Math.log2 alone may be off by one next to a power of two. */
export function ceilLog2(x: number): number {
  let exponent = Math.ceil(Math.log2(x));
  while (2 ** exponent < x) exponent++;
  while (2 ** (exponent - 1) >= x) exponent--;
  return exponent;
}
