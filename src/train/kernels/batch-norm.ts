// Batch normalization and its gradient in as few passes over the activations as each backend allows: TensorFlow's
// fused operators, or loops over the WebAssembly heap. Nothing here is on a tape; ops/batch-normalization.ts is.

import * as tf from "@tensorflow/tfjs";
import { allocate, floatsOf, type WasmBackend } from "../backends/wasm-kernels/heap.js";
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
  const backend = tf.backend() as unknown as WasmBackend;
  const channels = channelsOf(x);
  const y = allocate(backend, x.shape);
  const mean = statistics?.mean ?? allocate(backend, [channels]);
  const variance = statistics?.variance ?? allocate(backend, [channels]);
  const xs = floatsOf(backend, x);
  const [means, variances] = [floatsOf(backend, mean), floatsOf(backend, variance)];
  if (!statistics) momentsOf(xs, means, variances);
  const [gammas, betas] = [floatsOf(backend, gamma), floatsOf(backend, beta)];
  const factor = new Float32Array(channels);
  const offset = new Float32Array(channels);
  for (let c = 0; c < channels; c++) {
    factor[c] = (gammas[c] as number) / Math.sqrt((variances[c] as number) + epsilon);
    offset[c] = (betas[c] as number) - (means[c] as number) * (factor[c] as number);
  }
  const ys = floatsOf(backend, y);
  for (let i = 0; i < xs.length; i += channels) {
    for (let c = 0; c < channels; c++) {
      ys[i + c] = Math.fround(
        Math.fround((xs[i + c] as number) * (factor[c] as number)) + (offset[c] as number),
      );
    }
  }
  return { y, mean, variance };
}

function momentsOf(xs: Float32Array, means: Float32Array, variances: Float32Array): void {
  const channels = means.length;
  const count = xs.length / channels;
  const sums = new Float64Array(channels);
  for (let i = 0; i < xs.length; i += channels) {
    for (let c = 0; c < channels; c++) sums[c] = (sums[c] as number) + (xs[i + c] as number);
  }
  for (let c = 0; c < channels; c++) means[c] = (sums[c] as number) / count;
  sums.fill(0);
  for (let i = 0; i < xs.length; i += channels) {
    for (let c = 0; c < channels; c++) {
      const centered = (xs[i + c] as number) - (means[c] as number);
      sums[c] = (sums[c] as number) + centered * centered;
    }
  }
  for (let c = 0; c < channels; c++) variances[c] = (sums[c] as number) / count;
}

function wasmGradient(dy: tf.Tensor, x: tf.Tensor, norm: BatchNorm): [tf.Tensor, tf.Tensor, tf.Tensor] {
  const backend = tf.backend() as unknown as WasmBackend;
  const channels = channelsOf(x);
  const dx = allocate(backend, x.shape);
  const dGamma = allocate(backend, [channels]);
  const dBeta = allocate(backend, [channels]);
  const [dys, xs, dxs] = [dy, x, dx].map((tensor) => floatsOf(backend, tensor)) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const [gammas, means, variances] = [norm.gamma, norm.mean, norm.variance].map((tensor) =>
    floatsOf(backend, tensor),
  ) as [Float32Array, Float32Array, Float32Array];
  const sums = new Float64Array(channels);
  const products = new Float64Array(channels);
  for (let i = 0; i < xs.length; i += channels) {
    for (let c = 0; c < channels; c++) {
      const g = dys[i + c] as number;
      sums[c] = (sums[c] as number) + g;
      products[c] = (products[c] as number) + g * ((xs[i + c] as number) - (means[c] as number));
    }
  }
  const count = xs.length / channels;
  const slope = new Float32Array(channels);
  const factor = new Float32Array(channels);
  const offset = new Float32Array(channels);
  const [dGammas, dBetas] = [floatsOf(backend, dGamma), floatsOf(backend, dBeta)];
  for (let c = 0; c < channels; c++) {
    const inverse = 1 / Math.sqrt((variances[c] as number) + norm.epsilon);
    const a = (gammas[c] as number) * inverse;
    const dGammaC = (products[c] as number) * inverse;
    dGammas[c] = dGammaC;
    dBetas[c] = sums[c] as number;
    factor[c] = a;
    if (!norm.byBatch) continue;
    // dx = a dy + slope x + offset
    const b = (-a * inverse * dGammaC) / count;
    slope[c] = b;
    offset[c] = (-a * (sums[c] as number)) / count - b * (means[c] as number);
  }
  for (let i = 0; i < xs.length; i += channels) {
    for (let c = 0; c < channels; c++) {
      const moved = (xs[i + c] as number) * (slope[c] as number) + (offset[c] as number);
      dxs[i + c] = (dys[i + c] as number) * (factor[c] as number) + moved;
    }
  }
  return [dx, dGamma, dBeta];
}
