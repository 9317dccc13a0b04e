// Batch normalization and its gradient in as few passes over the activations as each backend allows: TensorFlow's
// fused operators, or our vector loops on WebAssembly. Nothing here is on a tape; ops/batch-normalization.ts is.

import * as tf from "@tensorflow/tfjs";
import { affineByChannel, biaffineByChannel } from "../backends/wasm-fused.js";
import { sumByChannel } from "../backends/wasm-kernels/channel-sums.js";
import { isNative, nativeOp } from "./native.js";

/** Of x [..., C]: its own mean and variance (`byBatch`), or such as stand still. All [C]. */
export interface BatchNorm {
  readonly gamma: tf.Tensor;
  readonly mean: tf.Tensor;
  readonly variance: tf.Tensor;
  readonly epsilon: number;
  readonly byBatch: boolean;
}

export interface Normalized {
  readonly y: tf.Tensor;
  readonly mean: tf.Tensor;
  /** Biased. */
  readonly variance: tf.Tensor;
}

/**
 * `y = gamma (x - mean) / sqrt(variance + epsilon) + beta` (Ioffe and Szegedy 2015).
 *
 * @param statistics null: those of x itself
 */
export function batchNorm(
  x: tf.Tensor,
  gamma: tf.Tensor,
  beta: tf.Tensor,
  epsilon: number,
  statistics: { readonly mean: tf.Tensor; readonly variance: tf.Tensor } | null,
): Normalized {
  return isNative()
    ? nativeNorm(x, gamma, beta, epsilon, statistics)
    : wasmNorm(x, gamma, beta, epsilon, statistics);
}

/**
 * Gradients by x, gamma and beta. With statistics of the batch the gradient goes through them:
 * `dx = gamma/sigma (dy - mean(dy) - xhat mean(dy xhat))`; else `dx = gamma/sigma dy`.
 */
export function batchNormGradient(
  dy: tf.Tensor,
  x: tf.Tensor,
  norm: BatchNorm,
): [tf.Tensor, tf.Tensor, tf.Tensor] {
  return isNative() ? nativeGradient(dy, x, norm) : wasmGradient(dy, x, norm);
}

/** Without space there is still a height and a width for TensorFlow. */
function asImages(x: tf.Tensor): tf.Tensor {
  return x.rank === 4 ? x : tf.reshape(x, [-1, 1, 1, channelsOf(x)]);
}

function channelsOf(x: tf.Tensor): number {
  return x.shape[x.rank - 1] as number;
}

const NATIVE = { data_format: "NHWC", exponential_avg_factor: 1 };

function nativeNorm(
  x: tf.Tensor,
  gamma: tf.Tensor,
  beta: tf.Tensor,
  epsilon: number,
  statistics: { readonly mean: tf.Tensor; readonly variance: tf.Tensor } | null,
): Normalized {
  const { mean, variance } = statistics ?? { mean: tf.tensor1d([]), variance: tf.tensor1d([]) };
  const [y, batchMean, , , saved] = nativeOp(
    "FusedBatchNormV3",
    [asImages(x), gamma, beta, mean, variance],
    6,
    { ...NATIVE, epsilon, is_training: statistics === null },
    ["T", "U"],
  ) as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
  // The second output is the unbiased variance; what is saved for the gradient is the biased one.
  return {
    y: tf.reshape(y, x.shape),
    mean: statistics?.mean ?? batchMean,
    variance: statistics?.variance ?? saved,
  };
}

function nativeGradient(dy: tf.Tensor, x: tf.Tensor, norm: BatchNorm): [tf.Tensor, tf.Tensor, tf.Tensor] {
  const { gamma, mean, variance, epsilon, byBatch } = norm;
  const inputs = [asImages(dy), asImages(x), gamma, mean, variance, tf.tensor1d([])];
  const [dx, dGamma, dBeta] = nativeOp(
    "FusedBatchNormGradV3",
    inputs,
    5,
    { data_format: NATIVE.data_format, epsilon, is_training: byBatch },
    ["T", "U"],
  ) as [tf.Tensor, tf.Tensor, tf.Tensor];
  return [tf.reshape(dx, x.shape), dGamma, dBeta];
}

function wasmNorm(
  x: tf.Tensor,
  gamma: tf.Tensor,
  beta: tf.Tensor,
  epsilon: number,
  statistics: { readonly mean: tf.Tensor; readonly variance: tf.Tensor } | null,
): Normalized {
  const { mean, variance } = statistics ?? momentsOf(x);
  const [means, variances, gammas, betas] = [mean, variance, gamma, beta].map(valuesOf) as Four;
  const factor = gammas.map((g, c) => g / Math.sqrt((variances[c] as number) + epsilon));
  const offset = betas.map((b, c) => b - (means[c] as number) * (factor[c] as number));
  return { y: affineByChannel(x, factor, offset), mean, variance };
}

type Four = [Float32Array, Float32Array, Float32Array, Float32Array];

function valuesOf(tensor: tf.Tensor): Float32Array {
  return tensor.dataSync<"float32">();
}

/** The variance from centered values: from squares alone it would drown in a large mean. */
function momentsOf(x: tf.Tensor): { mean: tf.Tensor; variance: tf.Tensor } {
  const count = x.size / channelsOf(x);
  const mean = Float32Array.from(sumByChannel(x, null), (sum) => sum / count);
  const variance = tf.tidy(() => {
    const centered = affineByChannel(
      x,
      mean.map(() => 1),
      mean.map((m) => -m),
    );
    return tf.tensor1d(Float32Array.from(sumByChannel(centered, centered), (sum) => sum / count));
  });
  return { mean: tf.tensor1d(mean), variance };
}

function wasmGradient(dy: tf.Tensor, x: tf.Tensor, norm: BatchNorm): [tf.Tensor, tf.Tensor, tf.Tensor] {
  const { gamma, mean, variance, epsilon, byBatch } = norm;
  const count = x.size / channelsOf(x);
  const [gammas, means, variances] = [gamma, mean, variance].map(valuesOf) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const sums = sumByChannel(dy, null);
  const products = sumByChannel(dy, x);
  const inverse = variances.map((v) => 1 / Math.sqrt(v + epsilon));
  const factor = gammas.map((g, c) => g * (inverse[c] as number));
  const dGamma = inverse.map(
    (each, c) => each * ((products[c] as number) - (means[c] as number) * (sums[c] as number)),
  );
  const gradients = [tf.tensor1d(dGamma), tf.tensor1d(Float32Array.from(sums))] as const;
  if (!byBatch) {
    const none = factor.map(() => 0);
    return [affineByChannel(dy, factor, none), ...gradients];
  }
  // dx = factor dy + (slope x + offset)
  const slope = factor.map((a, c) => (-a * (inverse[c] as number) * (dGamma[c] as number)) / count);
  const offset = factor.map(
    (a, c) => (-a * (sums[c] as number)) / count - (slope[c] as number) * (means[c] as number),
  );
  return [biaffineByChannel(dy, factor, x, slope, offset), ...gradients];
}
