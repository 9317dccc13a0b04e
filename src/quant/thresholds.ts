// Where the integers of a quantizer begin, as float32 numbers: quantizing by comparisons, for processors whose
// division is not correctly rounded.

import { quantize } from "./affine.js";
import type { Quantization } from "./spec.js";

/**
 * `t[i] = min {x float32 : quantize(x) > low + i}`, for the integers low..high of one quantizer. So
 * `quantize(x) = low + #{i : x >= t[i]}` once clipped to low..high, without a division.
 *
 * @param quantization with one scale, above 0; quantize rises with x, which bisection needs
 * @returns high - low ascending numbers; Infinity where no float32 reaches the integer
 */
export function quantizationThresholds(quantization: Quantization, low: number, high: number): Float32Array {
  const at = (x: number): number => quantize(Float32Array.of(x), [1], quantization)[0] as number;
  return Float32Array.from({ length: high - low }, (_, i) => {
    let below = orderOf(Number.NEGATIVE_INFINITY);
    let above = orderOf(Number.POSITIVE_INFINITY);
    while (above - below > 1) {
      const middle = Math.floor((below + above) / 2);
      if (at(numberAt(middle)) > low + i) above = middle;
      else below = middle;
    }
    return numberAt(above);
  });
}

const bits = new DataView(new ArrayBuffer(4));

/** The place of a float32 among all of them: neighbours differ by 1; -0 and 0 share a place. */
function orderOf(x: number): number {
  bits.setFloat32(0, x);
  const magnitude = bits.getUint32(0) & 0x7fffffff;
  return x < 0 ? -magnitude : magnitude;
}

function numberAt(order: number): number {
  bits.setUint32(0, Math.abs(order));
  const x = bits.getFloat32(0);
  return order < 0 ? -x : x;
}
