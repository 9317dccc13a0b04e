// The gradient of average pooling. tfjs's own kernel for it divides by the size of the window even where that
// lies half in the padding, which the forward pass does not count.

import type * as tf from "@tensorflow/tfjs";
import { allocate, floatsOf, type WasmKernel } from "./heap.js";
import { poolingWindow } from "./window.js";

/**
 * `dx[i,j] = sum over windows that hold (i,j) of dy / (elements of the window inside the input)`.
 * dy [N,Ho,Wo,C], input [N,H,W,C] -> dx [N,H,W,C]
 */
export const averagePoolGradient: WasmKernel = {
  name: "AvgPoolGrad",
  compute({ inputs, attrs, backend }) {
    const dy = inputs["dy"] as tf.Tensor4D;
    const [n, h, w, c] = (inputs["input"] as tf.Tensor4D).shape;
    const { rows, columns } = poolingWindow([n, h, w, c], attrs);
    const dx = allocate(backend, [n, h, w, c]);
    const slopes = floatsOf(backend, dy);
    const into = floatsOf(backend, dx).fill(0);
    const shares = new Float32Array(c);
    let source = 0;
    for (let image = 0; image < n; image++) {
      for (let i = 0; i < rows.output; i++) {
        const top = Math.max(0, i * rows.stride - rows.before);
        const bottom = Math.min(i * rows.stride - rows.before + rows.taps, h);
        for (let j = 0; j < columns.output; j++, source += c) {
          const left = Math.max(0, j * columns.stride - columns.before);
          const right = Math.min(j * columns.stride - columns.before + columns.taps, w);
          const count = (bottom - top) * (right - left);
          for (let k = 0; k < c; k++) shares[k] = (slopes[source + k] as number) / count;
          for (let y = top; y < bottom; y++) {
            const start = ((image * h + y) * w + left) * c;
            const end = start + (right - left) * c;
            for (let at = start; at < end; at += c) {
              for (let k = 0; k < c; k++) into[at + k] = (into[at + k] as number) + (shares[k] as number);
            }
          }
        }
      }
    }
    return dx;
  },
};
