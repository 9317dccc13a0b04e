// Sums over the first axes: the gradient of every bias and of every scale a channel. tfjs's own kernel transposes
// the tensor first.

import * as tf from "@tensorflow/tfjs";
import { sumByChannel } from "./channel-sums.js";
import { allocate, floatsOf, type WasmKernel } from "./heap.js";

/** x float32 [...P, ...C] summed over all of P -> [...C]; any other sum: tfjs's kernel. */
export const sum: WasmKernel = {
  name: "Sum",
  compute({ inputs, attrs, backend, stock }) {
    const x = inputs["x"] as tf.Tensor;
    const axes = tf.util.parseAxisParam(attrs["axis"] as number | number[], x.shape);
    const first = axes.toSorted((a, b) => a - b).every((axis, i) => axis === i);
    const kept = x.shape.slice(axes.length);
    const size = tf.util.sizeFromShape(kept);
    if (x.dtype !== "float32" || !first || axes.length === 0 || x.size === 0 || size < 2) return stock();
    const sums = sumByChannel(tf.reshape(x, [-1, size]), null);
    const ones = attrs["keepDims"] === true ? axes.map(() => 1) : [];
    const out = allocate(backend, [...ones, ...kept]);
    floatsOf(backend, out).set(sums);
    return out;
  },
};
