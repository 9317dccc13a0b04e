// Convolutions with padding "same". Where the window is smaller than its stride, tfjs's own kernels fail without a
// word and give zeros; with the same padding in numbers they do not.

import type * as tf from "@tensorflow/tfjs";
import type { WasmKernel } from "./heap.js";
import { convolutionWindow, type ExplicitPads, type WindowAxis } from "./window.js";

/** x [N,H,W,C], filter [R,S,C,K] or [R,S,C,M]. Other padding: tfjs's kernel as it is. */
export const samePadding: readonly WasmKernel[] = [
  inNumbers("Conv2D", false),
  inNumbers("DepthwiseConv2dNative", true),
];

function inNumbers(name: string, depthwise: boolean): WasmKernel {
  return {
    name,
    compute({ inputs, attrs, stock }) {
      if (attrs["pad"] !== "same") return stock();
      const { x, filter } = inputs as { x: tf.Tensor; filter: tf.Tensor };
      const { rows, columns } = convolutionWindow(x.shape, filter.shape, attrs, depthwise);
      const pad: ExplicitPads = [[0, 0], around(rows), around(columns), [0, 0]];
      return stock(inputs, { ...attrs, pad });
    },
  };
}

/** Padding before and after, for the last output to read its last input. */
function around({ input, output, taps, stride, dilation, before }: WindowAxis): [number, number] {
  const reach = (output - 1) * stride + (taps - 1) * dilation + 1;
  return [before, Math.max(0, reach - input - before)];
}
