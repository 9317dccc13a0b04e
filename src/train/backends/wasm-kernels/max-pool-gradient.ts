// The gradient of max pooling. tfjs's own kernel for it is wrong where windows overlap the padding.

import type * as tf from "@tensorflow/tfjs";
import { allocate, floatsOf, type WasmKernel } from "./heap.js";
import { poolingWindow } from "./window.js";

/**
 * Each element of dy goes to the first largest element of its window, rows first (as TensorFlow breaks ties).
 * dy [N,Ho,Wo,C], input [N,H,W,C], output [N,Ho,Wo,C] of the forward pass -> dx [N,H,W,C]
 */
export const maxPoolGradient: WasmKernel = {
  name: "MaxPoolGrad",
  compute({ inputs, attrs, backend }) {
    const { dy, input, output } = inputs as Record<string, tf.Tensor4D>;
    const [n, h, w, c] = (input as tf.Tensor4D).shape;
    const { rows, columns } = poolingWindow([n, h, w, c], attrs);
    const dx = allocate(backend, [n, h, w, c]);
    const from = floatsOf(backend, input as tf.Tensor4D);
    const maxima = floatsOf(backend, output as tf.Tensor4D);
    const slopes = floatsOf(backend, dy as tf.Tensor4D);
    const into = floatsOf(backend, dx).fill(0);
    let out = 0;
    for (let image = 0; image < n; image++) {
      for (let i = 0; i < rows.output; i++) {
        const top = i * rows.stride - rows.before;
        for (let j = 0; j < columns.output; j++) {
          const left = j * columns.stride - columns.before;
          for (let k = 0; k < c; k++, out++) {
            const at = firstEqual(from, maxima[out] as number, image, top, left, k);
            if (at >= 0) into[at] = (into[at] as number) + (slopes[out] as number);
          }
        }
      }
    }
    return dx;

    /** -1 when there is none: the maximum is not a number. */
    function firstEqual(
      values: Float32Array,
      maximum: number,
      image: number,
      top: number,
      left: number,
      channel: number,
    ): number {
      const bottom = Math.min(top + rows.taps, h);
      const right = Math.min(left + columns.taps, w);
      for (let y = Math.max(0, top); y < bottom; y++) {
        for (let x = Math.max(0, left); x < right; x++) {
          const at = ((image * h + y) * w + x) * c + channel;
          if (values[at] === maximum) return at;
        }
      }
      return -1;
    }
  },
};
