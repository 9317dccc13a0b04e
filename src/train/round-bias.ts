// Biases in training as they are deployed: integers of the sum's unit. At few bits that unit is coarse, and a
// network that never saw its biases rounded loses accuracy when they are.

import * as tf from "@tensorflow/tfjs";

/** From here on a deployed channel gets another unit (src/quant/bias.ts), and rounding by this one means nothing. */
const LARGEST = 2 ** 23;

/**
 * `y = unit roundHalfEven(bias / unit)`, with the gradient of bias (straight through); bias itself in channels
 * where `|bias / unit| >= 2^23`.
 *
 * @param bias [K]; unit: `s_x s_w[k]`, [K] or one number, > 0
 */
export function roundBias(bias: tf.Tensor, unit: tf.Tensor): tf.Tensor {
  const compute = tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [value] = args as [tf.Tensor];
    return { value: rounded(value, unit), gradFunc: (dy: tf.Tensor) => dy };
  });
  return compute(bias);
}

/**
 * beta of a batch normalization, moved so that the bias that it folds to is such an integer:
 * `bias = beta / factor - mean + own`, `factor = gamma / sigma`; beta itself where factor is 0.
 *
 * @param own the bias of the layer before, or null
 */
export function roundBeta(
  beta: tf.Tensor,
  factor: tf.Tensor,
  mean: tf.Tensor,
  own: tf.Tensor | null,
  unit: tf.Tensor,
): tf.Tensor {
  const compute = tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [value] = args as [tf.Tensor];
    const bias = tf.sub(own ? tf.add(tf.div(value, factor), own) : tf.div(value, factor), mean);
    const moved = tf.add(value, tf.mul(tf.sub(rounded(bias, unit), bias), factor));
    return { value: tf.where(tf.isFinite(moved), moved, value), gradFunc: (dy: tf.Tensor) => dy };
  });
  return compute(beta);
}

function rounded(bias: tf.Tensor, unit: tf.Tensor): tf.Tensor {
  const steps = tf.div(bias, unit);
  return tf.where(tf.less(tf.abs(steps), LARGEST), tf.mul(tf.round(steps), unit), bias);
}
