// The arithmetic of quantization, defined once. Training, export, the reference interpreter and the
// tests call these functions or are tested against them. All real numbers are float32, as at run time.

import { QdgError } from "../base/error.js";
import type { Quantization, QuantParams } from "./spec.js";
import { qmax, qmin } from "./spec.js";

/**
 * The nearest integer, ties to even (IEEE 754 roundTiesToEven, ONNX QuantizeLinear).
 * Exact for |x| < 2^51, where adding 1.5 * 2^52 leaves no room for a fraction.
 */
export function roundHalfEven(x: number): number {
  const shift = 6755399441055744;
  return Math.abs(x) < 2251799813685248 ? x + shift - shift : x;
}

/** Whether x is a power of two or the negative of one: a product with it only moves the exponent. */
export function isPowerOfTwo(x: number): boolean {
  return Number.isInteger(Math.log2(Math.abs(x)));
}

/** `min(max(x, low), high)`; NaN gives `low`. */
export function clip(x: number, low: number, high: number): number {
  return x > low ? (x < high ? x : high) : low;
}

/**
 * `q = clip(roundHalfEven(fl(x / scale)) + zeroPoint, qmin, qmax)` (ONNX QuantizeLinear, then Clip),
 * fl: rounding to float32. Scales run along `spec.axis` of `shape`.
 *
 * @returns integers, one an element of x
 */
export function quantize(x: Float32Array, shape: readonly number[], quantization: Quantization): Int32Array {
  const { spec, params } = quantization;
  const low = qmin(spec);
  const high = qmax(spec);
  const q = new Int32Array(x.length);
  forEachChannel(shape, spec.axis, params, x.length, (start, end, k) => {
    const scale = params.scale[k] as number;
    const zeroPoint = params.zeroPoint[k] as number;
    for (let i = start; i < end; i++) {
      const ratio = Math.fround((x[i] as number) / scale);
      q[i] = clip(roundHalfEven(ratio) + zeroPoint, low, high);
    }
  });
  return q;
}

/** `x = fl(fl(q - zeroPoint) * scale)` (ONNX DequantizeLinear). */
export function dequantize(
  q: ArrayLike<number>,
  shape: readonly number[],
  quantization: Quantization,
): Float32Array {
  const { spec, params } = quantization;
  const x = new Float32Array(q.length);
  forEachChannel(shape, spec.axis, params, q.length, (start, end, k) => {
    const scale = params.scale[k] as number;
    const zeroPoint = params.zeroPoint[k] as number;
    for (let i = start; i < end; i++) x[i] = Math.fround((q[i] as number) - zeroPoint) * scale;
  });
  return x;
}

/** `dequantize(quantize(x))`: the real numbers that the integers stand for. */
export function fakeQuantize(
  x: Float32Array,
  shape: readonly number[],
  quantization: Quantization,
): Float32Array {
  return dequantize(quantize(x, shape, quantization), shape, quantization);
}

/**
 * The factor from an integer sum to the integers of the output: `m = fl(fl(scaleX * scaleW) / scaleY)`,
 * as ONNX Runtime's integer kernels compute it.
 */
export function requantizeMultiplier(scaleX: number, scaleW: number, scaleY: number): number {
  return Math.fround(Math.fround(scaleX * scaleW) / scaleY);
}

/** `q = clip(roundHalfEven(fl(acc * m)) + zeroPoint, qmin, qmax)`, acc an integer below 2^31. */
export function requantize(
  acc: number,
  multiplier: number,
  zeroPoint: number,
  low: number,
  high: number,
): number {
  return clip(roundHalfEven(Math.fround(Math.fround(acc) * multiplier)) + zeroPoint, low, high);
}

/**
 * Calls `visit(start, end, k)` for each run of elements that share the parameters of channel k. `k` is 0
 * throughout when there is one scale for the tensor.
 */
export function forEachChannel(
  shape: readonly number[],
  axis: number | null,
  params: QuantParams,
  length: number,
  visit: (start: number, end: number, k: number) => void,
): void {
  if (axis === null) {
    visit(0, length, 0);
    return;
  }
  const channels = shape[axis] ?? 0;
  if (params.scale.length !== channels) {
    throw new QdgError(
      "internal",
      "forEachChannel",
      `got ${params.scale.length} scales for axis ${axis} of [${shape.join(", ")}]`,
    );
  }
  const inner = shape.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  let k = 0;
  for (let start = 0; start < length; start += inner) {
    visit(start, start + inner, k);
    k = k + 1 === channels ? 0 : k + 1;
  }
}
