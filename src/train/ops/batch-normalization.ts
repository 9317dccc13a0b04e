// Batch normalization in training, by the batch or by the moving statistics.

import * as tf from "@tensorflow/tfjs";
import { batchNorm, batchNormGradient } from "../kernels/batch-norm.js";

export interface Statistics {
  readonly mean: tf.Tensor;
  readonly variance: tf.Tensor;
}

/**
 * `y = gamma (x - mean) / sqrt(variance + epsilon) + beta`.
 *
 * @param x [..., C]; gamma, beta [C]
 * @param statistics such as stand still, or null for those of x itself, which the gradient then goes through
 * @param seen is told the statistics of x
 */
export function normalize(
  x: tf.Tensor,
  gamma: tf.Tensor,
  beta: tf.Tensor,
  epsilon: number,
  statistics: Statistics | null,
  seen: (statistics: Statistics) => void = () => undefined,
): tf.Tensor {
  const byBatch = statistics === null;
  const compute = tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [input, g, b, save] = args as [tf.Tensor, tf.Tensor, tf.Tensor, tf.GradSaveFunc];
    const { y, mean, variance } = batchNorm(input, g, b, epsilon, statistics);
    if (byBatch) seen({ mean, variance });
    save([input, g, mean, variance]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]): tf.Tensor[] => {
      const [xs, factor, mu, sigma] = saved as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
      return batchNormGradient(dy, xs, { gamma: factor, mean: mu, variance: sigma, epsilon, byBatch });
    };
    return { value: y, gradFunc };
  });
  return compute(x, gamma, beta);
}
