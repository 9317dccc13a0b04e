// PReLU. tfjs's own kernel lays the slopes beside the input as they come in memory, which is wrong where they have
// an axis of one between others (shared_axes of the height or the batch).

import * as tf from "@tensorflow/tfjs";
import { isTail } from "./elementwise.js";
import type { WasmKernel } from "./heap.js";

/** `x` where x > 0, `alpha x` elsewhere. x [...], alpha broadcasts against it */
export const prelu: WasmKernel = {
  name: "Prelu",
  compute({ inputs, stock }) {
    const { x, alpha } = inputs as { x: tf.Tensor; alpha: tf.Tensor };
    if (isTail(alpha.shape, x.shape) && alpha.size > 1) return stock();
    return stock({ x, alpha: tf.mul(alpha, tf.ones(x.shape)) });
  },
};
