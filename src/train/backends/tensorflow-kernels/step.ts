// The step function, which the gradient of ReLU is made with. tfjs-node's own makes five tensors on the way.

import * as tf from "@tensorflow/tfjs";
import type { Kernel } from "../kernel.js";

/** 1 where x > 0, else 0 (NaN where x is): x float32, attribute alpha 0. Any other: tfjs's kernel. */
export const step: Kernel<unknown> = {
  name: "Step",
  compute({ inputs, attrs, stock }) {
    const x = inputs["x"] as tf.Tensor;
    if (x.dtype !== "float32" || attrs["alpha"] !== 0) return stock();
    return tf.sign(tf.relu(x));
  },
};
