// The gradient of a convolution by a filter of one tap, with strides. There the oneDNN code of TensorFlow 2.21 writes
// outside its memory when channels are few (3 to 16 at 32 pixels): the process dies some steps later.

import * as tf from "@tensorflow/tfjs";
import type { Kernel } from "../kernel.js";

/** The pixels that the one tap reads, at stride 1. Any other convolution: tfjs's kernel. Padding not in numbers. */
export const pointwiseFilterGradient: Kernel<unknown> = {
  name: "Conv2DBackpropFilter",
  compute({ inputs, attrs, stock }) {
    const [r, s] = attrs["filterShape"] as [number, number, number, number];
    const strides = attrs["strides"] as number | [number, number];
    const [down, right] = typeof strides === "number" ? [strides, strides] : strides;
    if (r * s !== 1 || down * right === 1) return stock();
    const { x, dy } = inputs as { x: tf.Tensor4D; dy: tf.Tensor4D };
    const [n, rows, columns] = dy.shape;
    const end = [n, (rows - 1) * down + 1, (columns - 1) * right + 1, x.shape[3]];
    const read = tf.stridedSlice(x, [0, 0, 0, 0], end, [1, down, right, 1]);
    return stock({ x: read, dy }, { ...attrs, strides: [1, 1] });
  },
};
