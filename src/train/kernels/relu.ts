// Rectifiers with a gradient of one pass.

import * as tf from "@tensorflow/tfjs";
import { wherePositive } from "../backends/wasm-fused.js";
import { isNative, nativeOp } from "./native.js";

type Gradient = (dy: tf.Tensor, y: tf.Tensor) => tf.Tensor;

/** dy where y = max(x, 0) is above 0, 0 elsewhere. */
const reluGradient: Gradient = (dy, y) =>
  isNative() ? (nativeOp("ReluGrad", [dy, y], 1)[0] as tf.Tensor) : wherePositive(dy, y);

/** dy where y = min(max(x, 0), 6) is above 0 and below 6, 0 elsewhere. */
const relu6Gradient: Gradient = (dy, y) => nativeOp("Relu6Grad", [dy, y], 1)[0] as tf.Tensor;

/** `max(x, 0)` */
export function relu(x: tf.Tensor): tf.Tensor {
  return rectified(x, tf.relu, reluGradient);
}

/** `min(max(x, 0), 6)`. tfjs's gradient of it is six operators, of which TensorFlow has one. */
export function relu6(x: tf.Tensor): tf.Tensor {
  return isNative() ? rectified(x, tf.relu6, relu6Gradient) : tf.relu6(x);
}

function rectified(x: tf.Tensor, f: (x: tf.Tensor) => tf.Tensor, gradient: Gradient): tf.Tensor {
  const compute = tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [value, save] = args as [tf.Tensor, tf.GradSaveFunc];
    const y = f(value);
    save([y]);
    return { value: y, gradFunc: (dy: tf.Tensor, [saved]: tf.Tensor[]) => gradient(dy, saved as tf.Tensor) };
  });
  return compute(x);
}
