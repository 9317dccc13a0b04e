// The gradient of a depthwise convolution by its input. tfjs's WebAssembly backend has none.

import * as tf from "@tensorflow/tfjs";
import { inputGradient } from "./input-gradient.js";
import { allocate, floatsOf, type WasmKernel } from "./heap.js";
import { convolutionWindow } from "./window.js";

/**
 * See inputGradient: depthwise convolutions over the C * M channels of dy; with a multiplier M > 1 the M gradients
 * of each input channel are then added. dy [N,Ho,Wo,C*M], filter [R,S,C,M] -> dx [N,H,W,C]
 */
export const depthwiseInputGradient: WasmKernel = {
  name: "DepthwiseConv2dNativeBackpropInput",
  compute({ inputs, attrs, backend }) {
    const dy = inputs["dy"] as tf.Tensor4D;
    const filter = inputs["filter"] as tf.Tensor4D;
    const shape = attrs["inputShape"] as [number, number, number, number];
    const window = convolutionWindow(shape, filter.shape, attrs, true);
    const { dilation: rowDilation } = window.rows;
    const { dilation: columnDilation } = window.columns;
    const [, columnCount, c, multiplier] = filter.shape;
    const channels = c * multiplier;
    const [n, h, w] = shape;
    const spread = inputGradient(backend, dy, [n, h, w, channels], window, (part, rows, columns, pads) => {
      const taps = allocate(backend, [rows.length, columns.length, channels, 1]) as tf.Tensor4D;
      const from = floatsOf(backend, filter);
      const into = floatsOf(backend, taps);
      let target = 0;
      for (const r of rows) {
        for (const s of columns) {
          const source = (r * columnCount + s) * channels;
          for (let i = 0; i < channels; i++) into[target++] = from[source + i] as number;
        }
      }
      return tf.depthwiseConv2d(part, taps, 1, pads, "NHWC", [rowDilation, columnDilation]);
    });
    if (multiplier === 1) return spread;
    return tf.reshape(tf.sum(tf.reshape(spread, [-1, multiplier]), 1), shape);
  },
};
