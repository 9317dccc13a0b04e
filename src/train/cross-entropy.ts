// The loss of a classifier.

import * as tf from "@tensorflow/tfjs";

/**
 * Mean over the batch of `-log softmax(logits)[label]`, with its gradient `(softmax - onehot) / N`.
 *
 * @param logits [N, classes]; labels [N], integers
 */
export function crossEntropy(logits: tf.Tensor2D, labels: tf.Tensor1D): tf.Scalar {
  const compute = tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [values, save] = args as [tf.Tensor2D, tf.GradSaveFunc];
    const [count, classes] = values.shape;
    const target = tf.cast(tf.oneHot(labels, classes), "float32");
    const logProbabilities = tf.logSoftmax(values);
    save([tf.exp(logProbabilities), target]);
    const value = tf.neg(tf.div(tf.sum(tf.mul(logProbabilities, target)), count));
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]): tf.Tensor => {
      const [probabilities, onehot] = saved as [tf.Tensor, tf.Tensor];
      return tf.mul(tf.sub(probabilities, onehot), tf.div(dy, count));
    };
    return { value, gradFunc };
  });
  return compute(logits) as tf.Scalar;
}
