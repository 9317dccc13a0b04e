// Conv: sums of products over windows of a channels-last tensor. Sums of integers below 2^24 come out exact on
// every backend, whatever the order: none of their kernels transforms its operands (Winograd, FFT) before.

import * as tf from "@tensorflow/tfjs";
import { intAttribute } from "../../graph/graph.js";
import { depthwise, kernelTensor } from "./kernel-layout.js";
import { channelsLast, hold, inputAt, invalid, type Op, unsupported } from "./op.js";
import {
  asRows,
  byPlane,
  everyNth,
  padded,
  padSpace,
  planesAt,
  ROW,
  type WindowAxis,
  windowAxes,
  withPadding,
} from "./window.js";

/** x [N, ...space, C], kernel as in kernel-layout.ts -> [N, ...positions, K]. */
type WindowSum = (x: tf.Tensor, kernel: tf.Tensor, axes: readonly WindowAxis[]) => tf.Tensor;

/**
 * `y[n, k, p] = bias[k] + sum over c, r of w[k, c, r] x[n, c, p stride + r dilation - pad]` (ONNX Conv) over one
 * to three axes of space, with one group or a group a channel.
 *
 * @throws QdgError `unsupported-layer` for other groups, and for dilation together with strides
 */
export const convolution: Op = (node, inputs) => {
  const x = channelsLast(inputAt(node, inputs, 0));
  const kernel = kernelTensor(node, inputAt(node, inputs, 1));
  const channels = x.shape[x.rank - 1] as number;
  const group = intAttribute(node, "group", 1);
  if (kernel.rank !== x.rank || kernel.shape[kernel.rank - 2] !== channels) {
    throw invalid(node, `the kernel [${kernel.shape.join(", ")}] does not fit ${channels} channels`);
  }
  if (group !== 1 && group !== channels) {
    throw unsupported(node, `convolutions in ${group} groups of ${channels} channels`);
  }
  const axes = windowAxes(node, x.shape.slice(1, -1), kernel.shape.slice(0, -2));
  const isDilated = axes.some(({ dilation, kernel: size }) => dilation > 1 && size > 1);
  if (isDilated && axes.some(({ stride }) => stride > 1)) {
    throw unsupported(node, "dilation together with strides");
  }
  const sum = inSpace(depthwise(node) ? depthwiseSum : denseSum);
  const y = isDilated ? dilated(x, kernel, axes, sum) : sum(x, kernel, axes);
  const bias = inputs[2];
  return [hold(bias ? addChannels(y, bias.tensor) : y, "channels-last")];
};

/** The sum over one to three axes of space from that over two. */
function inSpace(sum: WindowSum): WindowSum {
  return (x, kernel, axes) => {
    if (axes.length === 2) return sum(x, kernel, axes);
    if (axes.length === 1)
      return asRows(x, (images) => sum(images, tf.expandDims(kernel, 0), [ROW, ...axes]));
    const source = padSpace(x, axes, 0);
    const [depth, ...image] = padded(axes) as [WindowAxis, WindowAxis, WindowAxis];
    const parts = Array.from({ length: depth.kernel }, (_, r) => {
      const weights = tf.squeeze(tf.slice(kernel, [r], [1]), [0]);
      return byPlane(planesAt(source, depth, r), (images) => sum(images, weights, image));
    });
    return parts.reduce((total, part) => tf.add(total, part));
  };
}

const denseSum: WindowSum = (x, kernel, axes) => {
  const { source, padding } = withPadding(x, axes, 0);
  const strides = axes.map(({ stride }) => stride) as [number, number];
  return tf.conv2d(source as tf.Tensor4D, kernel as tf.Tensor4D, strides, padding);
};

const depthwiseSum: WindowSum = (x, kernel, axes) => {
  const [rows, columns] = axes as [WindowAxis, WindowAxis];
  if (rows.stride !== columns.stride && rows.outputSize > 1 && columns.outputSize > 1) {
    // TensorFlow has one stride for both axes: all positions first, then those of the strides.
    const whole = axes.map((axis) => {
      const positions = axis.size + axis.before + axis.after - axis.kernel + 1;
      return { ...axis, stride: 1, outputSize: positions };
    });
    const y = depthwiseSum(padSpace(x, axes, 0), kernel, padded(whole));
    return everyNth(everyNth(y, 1, rows.stride, rows.outputSize), 2, columns.stride, columns.outputSize);
  }
  const { source, padding } = withPadding(x, axes, 0);
  // An axis with one position takes any stride.
  const stride = rows.outputSize > 1 ? rows.stride : columns.stride;
  return tf.depthwiseConv2d(source as tf.Tensor4D, kernel as tf.Tensor4D, stride, padding);
};

/**
 * A dilated convolution at stride 1, which tfjs has no gradient for, as a plain one: the positions that are
 * `dilation` apart become an image of their own.
 */
function dilated(x: tf.Tensor, kernel: tf.Tensor, axes: readonly WindowAxis[], sum: WindowSum): tf.Tensor {
  const blocks = axes.map(({ dilation }) => dilation);
  // What is missing to whole blocks, at the end of each axis.
  const surplus = axes.map(({ size, before, after, dilation }) => {
    const rest = (size + before + after) % dilation;
    return rest === 0 ? 0 : dilation - rest;
  });
  const pads = axes.map(({ before, after }, i) => [before, after + (surplus[i] as number)]);
  const inner = axes.map((axis, i) => {
    const size = (axis.size + axis.before + axis.after + (surplus[i] as number)) / axis.dilation;
    return { ...axis, size, dilation: 1, before: 0, after: 0, outputSize: size - axis.kernel + 1 };
  });
  const images = tf.spaceToBatchND(x, blocks, pads);
  const crops = surplus.map((n) => [0, n]);
  return tf.batchToSpaceND(sum(images, kernel, inner), blocks, crops);
}

/**
 * `y = x + bias[k]`, x [..., K]. Its own gradient: the sum over positions as a product with a row of ones, since
 * some backends would move the whole gradient to sum it over its leading axes.
 */
export function addChannels(x: tf.Tensor, bias: tf.Tensor): tf.Tensor {
  const compute = tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [input, offset] = args as [tf.Tensor, tf.Tensor];
    const gradFunc = (dy: tf.Tensor): tf.Tensor[] => {
      const rows = tf.reshape(dy, [-1, offset.size]) as tf.Tensor2D;
      const sums = tf.matMul(tf.ones([1, rows.shape[0]]), rows);
      return [tf.clone(dy), tf.reshape(sums, offset.shape)];
    };
    return { value: tf.add(input, offset), gradFunc };
  });
  return compute(x, bias);
}
