// Pools over windows and over all of space, channels last.

import * as tf from "@tensorflow/tfjs";
import { intAttribute, intsAttribute, type Node } from "../../graph/graph.js";
import { channelsLast, hold, inputAt, invalid, type Op, unsupported } from "./op.js";
import {
  asRows,
  byPlane,
  padded,
  paddingOf,
  padSpace,
  planesAt,
  ROW,
  type WindowAxis,
  windowAxes,
  withPadding,
} from "./window.js";

/** The largest of each window; padding never wins (ONNX MaxPool, one output). */
export const maxPool: Op = (node, inputs) => {
  if (node.outputs.length > 1) throw unsupported(node, "the positions of the maxima");
  const x = channelsLast(inputAt(node, inputs, 0));
  return [hold(largest(x, axesOf(node, x)), "channels-last")];
};

function largest(x: tf.Tensor, axes: readonly WindowAxis[]): tf.Tensor {
  if (axes.length === 1) return asRows(x, (images) => largest(images, [ROW, ...axes]));
  if (axes.length === 3) {
    return alongDepth(x, axes, Number.NEGATIVE_INFINITY, largest, (a, b) => tf.maximum(a, b));
  }
  const { source, padding } = withPadding(x, axes, Number.NEGATIVE_INFINITY);
  return tf.maxPool(source as tf.Tensor4D, ...imageSizes(axes), padding);
}

/** `sum / count` of each window; padding counts with count_include_pad (ONNX AveragePool). */
export const averagePool: Op = (node, inputs) => {
  const includePad = intAttribute(node, "count_include_pad", 0) !== 0;
  const x = channelsLast(inputAt(node, inputs, 0));
  const axes = axesOf(node, x);
  const padding = paddingOf(axes);
  // tfjs leaves the padding of "same" out of the count; it has none for volumes here.
  const isNamed = padding === "valid" || (padding === "same" && !includePad && axes.length < 3);
  if (isNamed) return [hold(averages(x, axes, padding), "channels-last")];
  const sums = averages(padSpace(x, axes, 0), padded(axes), "valid");
  if (includePad) return [hold(sums, "channels-last")];
  const ones = tf.ones([1, ...x.shape.slice(1, -1), 1]);
  const shares = averages(padSpace(ones, axes, 0), padded(axes), "valid");
  return [hold(tf.div(sums, shares), "channels-last")];
};

function averages(x: tf.Tensor, axes: readonly WindowAxis[], padding: "valid" | "same"): tf.Tensor {
  if (axes.length === 1) return asRows(x, (images) => averages(images, [ROW, ...axes], padding));
  if (axes.length === 2) return tf.avgPool(x as tf.Tensor4D, ...imageSizes(axes), padding);
  const sums = alongDepth(
    x,
    axes,
    0,
    (images, image) => averages(images, image, "valid"),
    (a, b) => tf.add(a, b),
  );
  return tf.div(sums, (axes[0] as WindowAxis).kernel);
}

/** A pool of volumes: of each plane, then of the planes in each window. */
function alongDepth(
  x: tf.Tensor,
  axes: readonly WindowAxis[],
  border: number,
  ofPlane: (images: tf.Tensor, axes: readonly WindowAxis[]) => tf.Tensor,
  combine: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor,
): tf.Tensor {
  const [depth, ...image] = padded(axes) as [WindowAxis, WindowAxis, WindowAxis];
  const planes = byPlane(padSpace(x, axes, border), (images) => ofPlane(images, image));
  return Array.from({ length: depth.kernel }, (_, r) => planesAt(planes, depth, r)).reduce(combine);
}

function axesOf(node: Node, x: tf.Tensor): WindowAxis[] {
  const kernel = intsAttribute(node, "kernel_shape");
  if (!kernel) throw invalid(node, "attribute kernel_shape is missing");
  const axes = windowAxes(node, x.shape.slice(1, -1), kernel);
  if (axes.some(({ dilation }) => dilation > 1)) throw unsupported(node, "pooling with dilation");
  return axes;
}

/** Sizes of the window and strides, as tfjs takes them. */
function imageSizes(axes: readonly WindowAxis[]): [kernel: [number, number], strides: [number, number]] {
  const [rows, columns] = axes as [WindowAxis, WindowAxis];
  return [
    [rows.kernel, columns.kernel],
    [rows.stride, columns.stride],
  ];
}

/** `sum / count` over all of space, [N, C, 1...]; the sum before the division, so that integers stay exact. */
export const globalAveragePool: Op = (node, inputs) => {
  const x = channelsLast(inputAt(node, inputs, 0));
  const axes = spaceOf(x);
  const count = axes.reduce((product, axis) => product * (x.shape[axis] as number), 1);
  return [hold(tf.div(tf.sum(x, axes, true), count), "channels-last")];
};

export const globalMaxPool: Op = (node, inputs) => {
  const x = channelsLast(inputAt(node, inputs, 0));
  return [hold(tf.max(x, spaceOf(x), true), "channels-last")];
};

function spaceOf(x: tf.Tensor): number[] {
  return Array.from({ length: x.rank - 2 }, (_, i) => i + 1);
}
