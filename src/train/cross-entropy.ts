// The loss of a classifier.

import * as tf from "@tensorflow/tfjs";
import type { Batch } from "./data/batch.js";

/** {@link crossEntropy} to what a batch is to be taken for: its target where it has one, else its labels. */
export function classLoss(
  logits: tf.Tensor2D,
  { labels, target }: Pick<Batch, "labels" | "target">,
): tf.Scalar {
  return crossEntropy(logits, target ?? labels);
}

/**
 * Mean over the batch of `-sum_k t[k] log softmax(logits)[k]`, with its gradient `(softmax - t) / N`.
 *
 * @param logits [N, classes]
 * @param targets t: [N] integers, the classes that are right (1 there, 0 elsewhere), or [N, classes] probabilities
 */
export function crossEntropy(logits: tf.Tensor2D, targets: tf.Tensor1D | tf.Tensor2D): tf.Scalar {
  const compute = tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [values, save] = args as [tf.Tensor2D, tf.GradSaveFunc];
    const [count, classes] = values.shape;
    const target = targets.rank === 2 ? targets : onehot(targets as tf.Tensor1D, classes);
    const logProbabilities = tf.logSoftmax(values);
    save([tf.exp(logProbabilities), target]);
    const value = tf.neg(tf.div(tf.sum(tf.mul(logProbabilities, target)), count));
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]): tf.Tensor => {
      const [probabilities, wanted] = saved as [tf.Tensor, tf.Tensor];
      return tf.mul(tf.sub(probabilities, wanted), tf.div(dy, count));
    };
    return { value, gradFunc };
  });
  return compute(logits) as tf.Scalar;
}

/** @returns [N, classes] float32 */
export function onehot(labels: tf.Tensor1D, classes: number): tf.Tensor2D {
  return tf.cast(tf.oneHot(labels, classes) as tf.Tensor2D, "float32");
}
