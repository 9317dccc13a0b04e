// How far the outputs of a classifier are from others: a loss beside that of its classes.

import * as tf from "@tensorflow/tfjs";

/** Outputs of another moment, or of another network. */
export interface OtherOutputs {
  /** [N, classes], before the softmax. */
  readonly outputs: tf.Tensor2D;
  /** [N], what each counts. */
  readonly weights: tf.Tensor1D;
}

/**
 * `1/N sum_n weights[n] KL(q_n || p_n)`, `q = softmax(outputs / tau)`, `p = softmax(logits / tau)`, with its gradient by
 * logits, `weights (p - q) / (tau N)`. Nothing is learned of `outputs`.
 *
 * @param logits [N, classes]; @param temperature tau, > 0
 */
export function divergence(
  logits: tf.Tensor2D,
  { outputs, weights }: OtherOutputs,
  temperature: number,
): tf.Scalar {
  const compute = tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [values, save] = args as [tf.Tensor2D, tf.GradSaveFunc];
    const count = values.shape[0];
    const logP = tf.logSoftmax(tf.div(values, temperature));
    const logQ = tf.logSoftmax(tf.div(outputs, temperature));
    const q = tf.exp(logQ);
    const shares = tf.div(tf.reshape(weights, [count, 1]), count);
    save([tf.mul(tf.sub(tf.exp(logP), q), tf.div(shares, temperature))]);
    const value = tf.sum(tf.mul(tf.mul(q, tf.sub(logQ, logP)), shares));
    return { value, gradFunc: timesSaved };
  });
  return compute(logits) as tf.Scalar;
}

function timesSaved(dy: tf.Tensor, saved: tf.Tensor[]): tf.Tensor {
  return tf.mul(saved[0] as tf.Tensor, dy);
}
