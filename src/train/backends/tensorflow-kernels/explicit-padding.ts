// Convolutions and poolings with padding given in numbers. tfjs-node refuses them in most kernels, or fails in the
// gradient; padded by an operation of its own, each is the same with no padding left.

import * as tf from "@tensorflow/tfjs";
import type { Kernel, KernelCall } from "../kernel.js";

type Call = KernelCall<unknown>;
type Pads = [number, number][];

/** Kernels of explicit padding, under the names of tfjs's. Other padding: tfjs's kernel. */
export const explicitPadding: readonly Kernel<unknown>[] = [
  padded("Conv2D", ({ inputs, attrs, stock }, pads) => {
    return stock({ ...inputs, x: tf.pad(inputs["x"] as tf.Tensor, pads) }, attrs);
  }),
  padded("DepthwiseConv2dNative", ({ inputs, attrs, stock }, pads) => {
    return stock({ ...inputs, x: tf.pad(inputs["x"] as tf.Tensor, pads) }, attrs);
  }),
  padded("Conv2DBackpropFilter", ({ inputs, attrs, stock }, pads) => {
    return stock({ ...inputs, x: tf.pad(inputs["x"] as tf.Tensor, pads) }, attrs);
  }),
  padded("DepthwiseConv2dNativeBackpropFilter", ({ inputs, attrs, stock }, pads) => {
    return stock({ ...inputs, x: tf.pad(inputs["x"] as tf.Tensor, pads) }, attrs);
  }),
  padded("Conv2DBackpropInput", inputGradient),
  padded("DepthwiseConv2dNativeBackpropInput", inputGradient),
  padded("MaxPool", ({ inputs, attrs, stock }, pads) => {
    return stock({ x: tf.pad(inputs["x"] as tf.Tensor, pads, -Infinity) }, attrs);
  }),
  padded("MaxPoolGrad", ({ inputs, attrs, stock }, pads) => {
    const input = inputs["input"] as tf.Tensor;
    const dx = stock({ ...inputs, input: tf.pad(input, pads, -Infinity) }, attrs);
    return unpadded(dx, pads, input.shape);
  }),
  padded("AvgPool", ({ inputs, attrs, stock }, pads) => {
    const x = inputs["x"] as tf.Tensor;
    return tf.div(stock({ x: tf.pad(x, pads) }, attrs), shareInside(x, pads, attrs));
  }),
  padded("AvgPoolGrad", ({ inputs, attrs, stock }, pads) => {
    const input = inputs["input"] as tf.Tensor;
    const dy = tf.div(inputs["dy"] as tf.Tensor, shareInside(input, pads, attrs));
    return unpadded(stock({ dy, input: tf.pad(input, pads) }, attrs), pads, input.shape);
  }),
];

/** @param compute gets attributes that say "valid", and the padding */
function padded(name: string, compute: (call: Call, pads: Pads) => tf.Tensor): Kernel<unknown> {
  return {
    name,
    compute(call) {
      const { pad, dataFormat } = call.attrs;
      if (typeof pad === "string" || (dataFormat !== undefined && dataFormat !== "NHWC")) return call.stock();
      const around: [number, number] = [pad as number, pad as number];
      const pads: Pads = Array.isArray(pad) ? (pad as Pads) : [[0, 0], around, around, [0, 0]];
      return compute({ ...call, attrs: { ...call.attrs, pad: "valid" } }, pads);
    },
  };
}

function inputGradient({ inputs, attrs, stock }: Call, pads: Pads): tf.Tensor {
  const shape = attrs["inputShape"] as number[];
  const inputShape = shape.map((size, axis) => size + (pads[axis]?.[0] ?? 0) + (pads[axis]?.[1] ?? 0));
  return unpadded(stock(inputs, { ...attrs, inputShape }), pads, shape);
}

function unpadded(x: tf.Tensor, pads: Pads, shape: readonly number[]): tf.Tensor {
  return tf.slice(
    x,
    pads.map(([before]) => before),
    [...shape],
  );
}

/** The part of each window that lies inside the input: the average counts no padding. [1,Ho,Wo,1] */
function shareInside(x: tf.Tensor, pads: Pads, attrs: Call["attrs"]): tf.Tensor {
  const [, h, w] = x.shape as [number, number, number, number];
  const inside = tf.pad(tf.ones([1, h, w, 1]), pads) as tf.Tensor4D;
  return tf.avgPool(inside, attrs["filterSize"] as number, attrs["strides"] as number, "valid");
}
