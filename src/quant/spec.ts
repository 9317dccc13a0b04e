// What a quantizer was asked to be, and what was found for it. No arithmetic on data here.

import { QdgError } from "../base/error.js";

/**
 * What was asked for: integers of `bits` bits.
 * `axis` is the axis with a scale an index (null: one scale for the whole tensor). `symmetric` fixes the
 * zero point at 0; `narrowRange` leaves out the lowest integer.
 */
export interface QuantSpec {
  readonly bits: number;
  readonly signed: boolean;
  readonly symmetric: boolean;
  readonly narrowRange: boolean;
  readonly axis: number | null;
}

/** What was found: one scale and one zero point an index of the axis, or one of each. */
export interface QuantParams {
  readonly scale: Float32Array;
  readonly zeroPoint: Int32Array;
}

export interface Quantization {
  readonly spec: QuantSpec;
  readonly params: QuantParams;
}

export const MIN_BITS = 2;
export const MAX_BITS = 8;

/** Lowest integer: -2^(b-1) signed, 0 unsigned; one more with `narrowRange`. */
export function qmin(spec: QuantSpec): number {
  return (spec.signed ? -(2 ** (spec.bits - 1)) : 0) + (spec.narrowRange ? 1 : 0);
}

/** Highest integer: 2^(b-1) - 1 signed, 2^b - 1 unsigned. */
export function qmax(spec: QuantSpec): number {
  return spec.signed ? 2 ** (spec.bits - 1) - 1 : 2 ** spec.bits - 1;
}

/** Signed, symmetric, one scale an index of `axis`. */
export function weightSpec(bits: number, axis: number | null): QuantSpec {
  return { bits, signed: true, symmetric: true, narrowRange: false, axis };
}

/**
 * Unsigned with zero point 0 for a value that is never negative; otherwise unsigned with a zero point
 * of its own (`asymmetric`), or signed and symmetric.
 */
export function activationSpec(bits: number, range: "non-negative" | "signed" | "asymmetric"): QuantSpec {
  return {
    bits,
    signed: range === "signed",
    symmetric: range !== "asymmetric",
    narrowRange: false,
    axis: null,
  };
}

/** @throws QdgError `invalid-quantization` unless bits is an integer in 2..8 */
export function checkBits(bits: number, where: string): void {
  if (!Number.isInteger(bits) || bits < MIN_BITS || bits > MAX_BITS) {
    throw new QdgError(
      "invalid-quantization",
      where,
      `bits: got ${bits}, expected an integer from ${MIN_BITS} to ${MAX_BITS}`,
    );
  }
}

/**
 * Checks parameters that a user or a training run gave.
 *
 * @param channels number of scales expected: the size of the axis, or 1
 * @throws QdgError `invalid-quantization` for a wrong length, a scale that is not finite and > 0, or a
 * zero point outside qmin..qmax
 */
export function checkParams(spec: QuantSpec, params: QuantParams, channels: number, where: string): void {
  const fail = (what: string): never => {
    throw new QdgError("invalid-quantization", where, what);
  };
  if (params.scale.length !== channels) {
    fail(`got ${params.scale.length} scales, expected ${channels}`);
  }
  if (params.zeroPoint.length !== channels) {
    fail(`got ${params.zeroPoint.length} zero points, expected ${channels}`);
  }
  params.scale.forEach((scale, k) => {
    if (!Number.isFinite(scale) || scale <= 0) {
      fail(`scale[${k}]: got ${scale}, expected a finite number > 0`);
    }
  });
  params.zeroPoint.forEach((zeroPoint, k) => {
    if (zeroPoint < qmin(spec) || zeroPoint > qmax(spec) || (spec.symmetric && zeroPoint !== 0)) {
      const expected = spec.symmetric ? "0" : `${qmin(spec)}..${qmax(spec)}`;
      fail(`zeroPoint[${k}]: got ${zeroPoint}, expected ${expected}`);
    }
  });
}
