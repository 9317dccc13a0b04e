// The gradient of a convolution by its input, and the forward pass of a transposed one. tfjs's own kernel for it
// does not vectorize and takes ten times as long.

import * as tf from "@tensorflow/tfjs";
import { inputGradient } from "./input-gradient.js";
import { allocate, floatsOf, type WasmKernel } from "./heap.js";
import { convolutionWindow } from "./window.js";

/** See inputGradient. dy [N,Ho,Wo,K], filter [R,S,C,K] -> dx [N,H,W,C] */
export const conv2dInputGradient: WasmKernel = {
  name: "Conv2DBackpropInput",
  compute({ inputs, attrs, backend }) {
    const dy = inputs["dy"] as tf.Tensor4D;
    const filter = inputs["filter"] as tf.Tensor4D;
    const shape = attrs["inputShape"] as [number, number, number, number];
    const window = convolutionWindow(shape, filter.shape, attrs, false);
    const { dilation: rowDilation } = window.rows;
    const { dilation: columnDilation } = window.columns;
    const [, columnCount, c, k] = filter.shape;
    return inputGradient(backend, dy, shape, window, (part, rows, columns, pads) => {
      const taps = allocate(backend, [rows.length, columns.length, k, c]) as tf.Tensor4D;
      const from = floatsOf(backend, filter);
      const into = floatsOf(backend, taps);
      let target = 0;
      for (const r of rows) {
        for (const s of columns) {
          const source = (r * columnCount + s) * c * k;
          for (let out = 0; out < k; out++) {
            for (let i = 0; i < c; i++) into[target++] = from[source + i * k + out] as number;
          }
        }
      }
      return tf.conv2d(part, taps, 1, pads, "NHWC", [rowDilation, columnDilation]);
    });
  },
};
