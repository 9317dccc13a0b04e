// Sums over the first axes: the gradient of every bias and of every scale a channel. tfjs's own kernel transposes
// the tensor first; its average pooling reads it as it lies.

import * as tf from "@tensorflow/tfjs";
import type { WasmKernel } from "./heap.js";

/** x float32 [...P, ...C] summed over all of P -> [...C]; any other sum: tfjs's kernel. */
export const sum: WasmKernel = {
  name: "Sum",
  compute({ inputs, attrs, stock }) {
    const x = inputs["x"] as tf.Tensor;
    const axes = tf.util.parseAxisParam(attrs["axis"] as number | number[], x.shape);
    const first = [...axes].sort((a, b) => a - b).every((axis, i) => axis === i);
    const kept = x.shape.slice(axes.length);
    const size = tf.util.sizeFromShape(kept);
    const count = tf.util.sizeFromShape(x.shape.slice(0, axes.length));
    if (x.dtype !== "float32" || !first || size < 2 || count < 2) return stock();
    // A group at a time, so that no sum has more than some hundred terms to lose digits over.
    const groups = largestDivisor(count);
    const rows = count / groups;
    const means = tf.avgPool(tf.reshape<tf.Rank.R4>(x, [groups, rows, 1, size]), [rows, 1], 1, "valid");
    const sums = tf.mul(tf.matMul(tf.ones([1, groups]), tf.reshape(means, [groups, size])), rows);
    const ones = attrs["keepDims"] === true ? axes.map(() => 1) : [];
    return tf.reshape(sums, [...ones, ...kept]);
  },
};

/** The largest divisor that is at most the square root. */
function largestDivisor(count: number): number {
  let divisor = Math.floor(Math.sqrt(count));
  while (count % divisor !== 0) divisor--;
  return divisor;
}
