// The gradient of a rectifier in one pass.

import * as tf from "@tensorflow/tfjs";
import { allocate, floatsOf, type WasmBackend } from "../backends/wasm-kernels/heap.js";
import { isNative, nativeOp } from "./native.js";

/** dy where y = max(x, 0) is above 0, 0 elsewhere. */
export function reluGradient(dy: tf.Tensor, y: tf.Tensor): tf.Tensor {
  if (isNative()) return nativeOp("ReluGrad", [dy, y], 1)[0] as tf.Tensor;
  const backend = tf.backend() as unknown as WasmBackend;
  const dx = allocate(backend, y.shape);
  const [dys, ys, dxs] = [dy, y, dx].map((tensor) => floatsOf(backend, tensor)) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  for (let i = 0; i < ys.length; i++) dxs[i] = (ys[i] as number) > 0 ? (dys[i] as number) : 0;
  return dx;
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
