// Biases in training as they are deployed: integers of a part of the sum's unit. At few bits that is coarse, and a
// network that never saw its biases rounded loses accuracy when they are. Computed on arrays: with a channel an
// element, calling an operator costs more than its work.

import * as tf from "@tensorflow/tfjs";
import type { Node } from "../graph/graph.js";
import { resolutionOf } from "../lower/quantized-weights.js";
import { roundHalfEven } from "../quant/affine.js";
import type { QuantSpec } from "../quant/spec.js";

/** From here on a deployed channel gets another unit (src/quant/bias.ts), and rounding by this one means nothing. */
const LARGEST = 2 ** 23;

/** Of a quantizer, as far as a bias depends on it. */
interface Scaled {
  readonly spec: Pick<QuantSpec, "bits">;
  scales(): Float32Array;
}

/** `fl(s_x s_w[k]) / f` of a weighted node, [K] or one number: what one integer of its bias is worth, f by {@link resolutionOf}. */
export function biasUnit(node: Node, input: Scaled, weight: Scaled): Float32Array {
  const resolution = resolutionOf(node, weight.spec.bits, input.spec.bits);
  const scale = input.scales()[0] as number;
  return weight.scales().map((each) => Math.fround(each * scale) / resolution);
}

/**
 * `y = unit roundHalfEven(bias / unit)`, with the gradient of bias (straight through); bias itself in channels
 * where `|bias / unit| >= 2^23`. In float32.
 *
 * @param bias [K]; unit: {@link biasUnit}, K numbers or one, > 0
 */
export function roundBias(bias: tf.Tensor, unit: Float32Array): tf.Tensor {
  return straightThrough(bias, (values) => values.map((value, k) => rounded(value, unitAt(unit, k))));
}

/** What is folded into a bias, [K] each. */
export interface FoldedNorm {
  readonly gamma: Float32Array;
  readonly mean: Float32Array;
  readonly variance: Float32Array;
  readonly epsilon: number;
  /** The bias of the layer before, or null. */
  readonly own: Float32Array | null;
}

/**
 * beta of a batch normalization, moved so that the bias that it folds to is such an integer:
 * `bias = beta / factor - mean + own`, `factor = gamma / sigma`; beta itself where factor is 0. In float32.
 */
export function roundBeta(beta: tf.Tensor, norm: FoldedNorm, unit: Float32Array): tf.Tensor {
  const { gamma, mean, variance, epsilon, own } = norm;
  const { fround } = Math;
  return straightThrough(beta, (values) =>
    values.map((value, k) => {
      const factor = fround((gamma[k] as number) / Math.sqrt((variance[k] as number) + epsilon));
      const bias = fround(fround(value / factor) - (mean[k] as number) + (own?.[k] ?? 0));
      const moved = fround(value + fround(rounded(bias, unitAt(unit, k)) - bias) * factor);
      return Number.isFinite(moved) ? moved : value;
    }),
  );
}

function straightThrough(x: tf.Tensor, f: (values: Float32Array) => Float32Array): tf.Tensor {
  const compute = tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [value] = args as [tf.Tensor];
    const y = tf.tensor(f(value.dataSync<"float32">()), value.shape, "float32");
    return { value: y, gradFunc: (dy: tf.Tensor) => dy };
  });
  return compute(x);
}

function unitAt(unit: Float32Array, channel: number): number {
  return unit[unit.length === 1 ? 0 : channel] as number;
}

function rounded(bias: number, unit: number): number {
  const steps = Math.fround(bias / unit);
  return Math.abs(steps) < LARGEST ? Math.fround(roundHalfEven(steps) * unit) : bias;
}
