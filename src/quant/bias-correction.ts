// Takes out of a layer's output the mean error that rounding its weights brought in, by way of the bias.
// Post-training only: scales learned in training are used as they are.

import { QdgError } from "../base/error.js";
import { sizeOf } from "../base/tensor.js";

/** How weights meet input channels; shapes as in the graph (K out, C in, R S kernel). */
export type CorrectedLayer =
  /** Weights [K, C/group, ...kernel]. */
  | { readonly op: "Conv"; readonly shape: readonly number[]; readonly group: number }
  /** Weights [K, C] (transB = 1). */
  | { readonly op: "Gemm"; readonly shape: readonly number[] }
  /** Weights [C, K, ...kernel]; `strides` one a kernel axis. */
  | {
      readonly op: "ConvTranspose";
      readonly shape: readonly number[];
      readonly strides: readonly number[];
    };

/**
 * `b'[k] = b[k] - sum_{c,r,s} (wq - w)[k,c,r,s] * mean(x_c)`.
 *
 * Quantized weights `wq = w + e` shift the mean of output k by `E[e x] = sum e E[x]`, since the error does not depend on
 * the input; this takes the shift away. Padding is not looked at: near a border fewer inputs contribute, so
 * the correction is exact in the interior. In a ConvTranspose an output position meets one in `product(strides)` of the
 * kernel's elements on average, so the sum is divided by that.
 *
 * Source: Nagel, van Baalen, Blankevoort, Welling, "Data-Free Quantization Through Weight Equalization and
 * Bias Correction", ICCV 2019, section 4.2 (bias correction; here with means measured on calibration data).
 *
 * @param w real weights, batch normalization folded in
 * @param wq `dequantize(quantize(w))`, batch normalization folded in
 * @param meanX mean of each input channel over batch and positions, [C]
 * @returns a new bias, [K]
 * @throws QdgError `internal` for lengths that do not fit, `invalid-data` for a mean that is not finite
 */
export function correctBias(
  layer: CorrectedLayer,
  bias: Float32Array,
  w: Float32Array,
  wq: Float32Array,
  meanX: Float32Array,
  where: string,
): Float32Array<ArrayBuffer> {
  const { shape } = layer;
  const [first = 0, second = 0] = shape;
  const transposed = layer.op === "ConvTranspose";
  const group = layer.op === "Conv" ? layer.group : 1;
  const channelsOut = transposed ? second : first;
  const channelsIn = transposed ? first : second * group;
  const size = sizeOf(shape);
  if (w.length !== size || wq.length !== size || bias.length !== channelsOut || meanX.length !== channelsIn) {
    throw new QdgError(
      "internal",
      where,
      `bias correction got ${w.length} and ${wq.length} weights, ${bias.length} biases and ${meanX.length} means for ${layer.op} weights [${shape.join(", ")}]`,
    );
  }
  if (!meanX.every((mean) => Number.isFinite(mean))) {
    throw new QdgError(
      "invalid-data",
      where,
      "got a mean that is NaN or infinite, expected finite calibration values",
    );
  }
  const kernel = sizeOf(shape.slice(2));
  const perPosition = layer.op === "ConvTranspose" ? sizeOf(layer.strides) : 1;
  const shift = new Float64Array(channelsOut);
  for (let a = 0, i = 0; a < first; a++) {
    for (let b = 0; b < second; b++) {
      let error = 0;
      for (let end = i + kernel; i < end; i++) error += (wq[i] as number) - (w[i] as number);
      const k = transposed ? b : a;
      const c = transposed ? a : Math.floor((a * group) / first) * second + b;
      shift[k] = (shift[k] as number) + error * (meanX[c] as number);
    }
  }
  return bias.map((real, k) => real - (shift[k] as number) / perPosition);
}
