// What every observer is: it is shown values, then asked for a scale and a zero point. Observers keep
// statistics, never the data, and do not know which value of a graph they watch.

import { QdgError } from "../../base/error.js";
import type { QuantParams, QuantSpec } from "../spec.js";

export interface ObserverOptions {
  /** Only scales 2^e, e a whole number. */
  readonly powerOfTwo?: boolean;
}

/**
 * Finds the parameters of one quantizer of activations. Values that must share a scale are shown to one
 * observer. What it finds depends on which tensors it was shown, not on their order.
 */
export interface Observer {
  /**
   * @param x the values of one tensor; not kept
   * @param where the value's name, for errors
   * @throws QdgError `invalid-data` for NaN or infinity
   */
  observe(x: Float32Array, where?: string): void;

  /**
   * One scale (float32, > 0) and one integer zero point within the range of `spec`, so that real 0 is always
   * an integer exactly. When nothing but 0 was seen, or nothing at all, or the scale would be below 2^-126:
   * scale 1, and zero point 0 (`qmin` when not symmetric).
   *
   * @throws QdgError `internal` for a spec with an axis
   */
  params(spec: QuantSpec, options?: ObserverOptions): QuantParams;
}

/** Least and greatest of `x`, and 0. @throws QdgError `invalid-data` for NaN or infinity */
export function finiteRange(x: Float32Array, where: string): readonly [low: number, high: number] {
  let low = 0;
  let high = 0;
  let total = 0;
  for (let i = 0; i < x.length; i++) {
    const value = x[i] as number;
    if (value < low) low = value;
    if (value > high) high = value;
    // NaN and infinity stay in the sum, so that one test after the loop finds them.
    total += value - value;
  }
  if (total !== 0) {
    const bad = x.find((value) => !Number.isFinite(value));
    throw new QdgError(
      "invalid-data",
      where,
      `got ${bad} while observing values, expected finite numbers; look for the first layer that gives it, and at the preprocessing`,
    );
  }
  return [low, high];
}
