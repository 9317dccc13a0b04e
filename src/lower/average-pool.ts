// Average pooling as a depthwise convolution with ones: integer sums that every target computes alike.

import type { Node } from "../graph/graph.js";
import { inputOf, intsAttribute, stringAttribute } from "../graph/graph.js";
import { sizeOf } from "../base/tensor.js";
import type { QuantizedWeights } from "./quantized-weights.js";

/** Whether every window has the same number of elements: no padding, or padding that counts. */
export function averagesWholeWindows(node: Node): boolean {
  const pads = intsAttribute(node, "pads") ?? [];
  const padded = stringAttribute(node, "auto_pad", "NOTSET") !== "NOTSET" || pads.some((pad) => pad !== 0);
  return typeof inputOf(node, 0).shape[1] === "number" && !padded;
}

/** `mean = sum * (1 / n)`, n elements a window: weights 1 at scale 1/n, one channel a group. */
export function averagePoolWeights(node: Node): { readonly conv: Node; readonly weights: QuantizedWeights } {
  const kernelShape = intsAttribute(node, "kernel_shape") ?? [];
  const channels = inputOf(node, 0).shape[1] as number;
  const strides = intsAttribute(node, "strides");
  const shape = [channels, 1, ...kernelShape];
  const count = sizeOf(kernelShape);
  return {
    conv: {
      ...node,
      op: "Conv",
      attributes: { group: channels, kernel_shape: kernelShape, ...(strides && { strides }) },
    },
    weights: {
      integers: new Int32Array(sizeOf(shape)).fill(1),
      shape,
      bits: 8,
      axis: 0,
      scale: new Float32Array(channels).fill(1 / count),
      bias: null,
      resolution: 1,
      adjusted: [],
    },
  };
}
