// The loss of a classifier, by labels alone or by labels and what a teacher says.

import * as tf from "@tensorflow/tfjs";

/**
 * Mean over the batch of `-sum_k t[k] log softmax(logits)[k]`, with its gradient `(softmax - t) / N`.
 *
 * `t` is 1 at the label and 0 elsewhere. With a teacher's probabilities q it is the mean of that and q, whose loss is, but
 * for the teacher's own entropy `H(q) / 2`, which no weight changes, `(CE(label) + KL(q || softmax)) / 2`: equal weights
 * and temperature 1 (Esser et al. 2020, section 3.5, after Hinton et al. 2015). Guessing has a loss of ln(classes) in both.
 *
 * @param logits [N, classes]; labels [N], integers; teacher [N, classes], probabilities
 */
export function crossEntropy(
  logits: tf.Tensor2D,
  labels: tf.Tensor1D,
  teacher: tf.Tensor2D | null = null,
): tf.Scalar {
  const compute = tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [values, save] = args as [tf.Tensor2D, tf.GradSaveFunc];
    const [count, classes] = values.shape;
    const labelled = tf.cast(tf.oneHot(labels, classes), "float32");
    const target = teacher ? tf.div(tf.add(labelled, teacher), 2) : labelled;
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
