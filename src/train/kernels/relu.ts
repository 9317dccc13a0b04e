// The gradient of a rectifier in one pass.

import * as tf from "@tensorflow/tfjs";
import { wherePositive } from "../backends/wasm-fused.js";
import { isNative, nativeOp } from "./native.js";

/** dy where y = max(x, 0) is above 0, 0 elsewhere. */
export function reluGradient(dy: tf.Tensor, y: tf.Tensor): tf.Tensor {
  if (isNative()) return nativeOp("ReluGrad", [dy, y], 1)[0] as tf.Tensor;
  return wherePositive(dy, y);
}

/** `max(x, 0)`, with {@link reluGradient}. */
export function relu(x: tf.Tensor): tf.Tensor {
  const compute = tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [value, save] = args as [tf.Tensor, tf.GradSaveFunc];
    const y = tf.relu(value);
    save([y]);
    return {
      value: y,
      gradFunc: (dy: tf.Tensor, [saved]: tf.Tensor[]) => reluGradient(dy, saved as tf.Tensor),
    };
  });
  return compute(x);
}
