// Windows that slide over the space of a channels-last tensor: ONNX's sizes and pads, and which of tfjs's
// paddings is the same. A single axis of space becomes the columns of one row, as tfjs has no other.

import * as tf from "@tensorflow/tfjs";
import { intAttribute, intsAttribute, type Node, stringAttribute } from "../../graph/graph.js";
import { invalid, unsupported } from "./op.js";

/** A window along one axis; `before` and `after` are the padding. */
export interface WindowAxis {
  readonly size: number;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  readonly before: number;
  readonly after: number;
  readonly outputSize: number;
}

/** One entry an axis of space, from an attribute. */
export function spatialList(node: Node, name: string, length: number, otherwise: number): readonly number[] {
  const list = intsAttribute(node, name) ?? [];
  if (list.length === 0) return Array<number>(length).fill(otherwise);
  if (list.length !== length) throw invalid(node, `${name}: got ${list.length} entries, expected ${length}`);
  return list;
}

/**
 * The windows of a Conv or pool over the spatial axes `sizes`:
 * output = floor((size + pads - extent) / stride) + 1, extent = (kernel - 1) dilation + 1.
 *
 * @throws QdgError `invalid-graph` where no window fits, `unsupported-layer` for windows beyond the padding
 */
export function windowAxes(node: Node, sizes: readonly number[], kernel: readonly number[]): WindowAxis[] {
  const rank = sizes.length;
  if (rank < 1 || rank > 3 || kernel.length !== rank) throw unsupported(node, `${rank} axes of space`);
  const strides = spatialList(node, "strides", rank, 1);
  const dilations = spatialList(node, "dilations", rank, 1);
  const pads = spatialList(node, "pads", 2 * rank, 0);
  const autoPad = stringAttribute(node, "auto_pad", "NOTSET");
  return sizes.map((size, i) => {
    const [window, stride, dilation] = [kernel[i], strides[i], dilations[i]] as [number, number, number];
    const extent = (window - 1) * dilation + 1;
    let [before, after] = [pads[i] as number, pads[i + rank] as number];
    if (autoPad === "SAME_UPPER" || autoPad === "SAME_LOWER") {
      const [small, large] = samePads(size, stride, extent);
      [before, after] = autoPad === "SAME_UPPER" ? [small, large] : [large, small];
    } else if (autoPad === "VALID") {
      [before, after] = [0, 0];
    } else if (autoPad !== "NOTSET") {
      throw invalid(node, `auto_pad "${autoPad}"`);
    }
    const room = size + before + after - extent;
    if (room < 0 || before < 0 || after < 0) {
      throw invalid(node, `a window of ${extent} does not fit into ${size} padded by ${before} and ${after}`);
    }
    if (room % stride !== 0 && intAttribute(node, "ceil_mode", 0) !== 0) {
      throw unsupported(node, "ceil_mode with windows that go beyond the padding");
    }
    return {
      size,
      kernel: window,
      stride,
      dilation,
      before,
      after,
      outputSize: Math.floor(room / stride) + 1,
    };
  });
}

/** TensorFlow's "same": as many windows as strides, the smaller half of the padding first. */
function samePads(size: number, stride: number, extent: number): readonly [number, number] {
  const total = Math.max(0, (Math.ceil(size / stride) - 1) * stride + extent - size);
  return [Math.floor(total / 2), total - Math.floor(total / 2)];
}

/**
 * What tfjs calls the padding; `explicit` where it has no name for it. "same" with strides beyond the window is not
 * named either: tfjs's WebAssembly convolutions (4.22) then give zeros, without a word.
 */
export function paddingOf(axes: readonly WindowAxis[]): "valid" | "same" | "explicit" {
  if (axes.every(({ before, after }) => before === 0 && after === 0)) return "valid";
  const same = axes.every(({ size, kernel, stride, dilation, before, after, outputSize }) => {
    const extent = (kernel - 1) * dilation + 1;
    const [small, large] = samePads(size, stride, extent);
    const named = before === small && after === large && outputSize === Math.ceil(size / stride);
    return named && stride <= extent;
  });
  return same ? "same" : "explicit";
}

/** x [N, ...space, C] with the padding of its windows around it. */
export function padSpace(x: tf.Tensor, axes: readonly WindowAxis[], value: number): tf.Tensor {
  const pads = axes.map(({ before, after }): [number, number] => [before, after]);
  return tf.pad(x, [[0, 0], ...pads, [0, 0]], value);
}

/** The axes once the padding is part of the tensor. */
export function padded(axes: readonly WindowAxis[]): WindowAxis[] {
  return axes.map((axis) => ({ ...axis, size: axis.size + axis.before + axis.after, before: 0, after: 0 }));
}

/** The tensor and the padding's name in tfjs, padded by hand where it has none. */
export function withPadding(
  x: tf.Tensor,
  axes: readonly WindowAxis[],
  value: number,
): { readonly source: tf.Tensor; readonly padding: "valid" | "same" } {
  const padding = paddingOf(axes);
  if (padding !== "explicit") return { source: x, padding };
  return { source: padSpace(x, axes, value), padding: "valid" };
}

/** [N, L, C] as the image [N, 1, L, C], through a function of images, and back. */
export function asRows(x: tf.Tensor, compute: (images: tf.Tensor) => tf.Tensor): tf.Tensor {
  return tf.squeeze(compute(tf.expandDims(x, 1)), [1]);
}

/** What a single axis of space lacks to be an image: one row, one position. */
export const ROW: WindowAxis = {
  size: 1,
  kernel: 1,
  stride: 1,
  dilation: 1,
  before: 0,
  after: 0,
  outputSize: 1,
};

/**
 * [N, D, H, W, C] as D images each, through a function of images, and back: volumes are computed plane by plane,
 * since tfjs's own kernels for them lack gradients, and are wrong in places (WebAssembly, 4.22: the maximum of
 * negative numbers, the gradient of a convolution).
 */
export function byPlane(x: tf.Tensor, compute: (images: tf.Tensor) => tf.Tensor): tf.Tensor {
  const [batch = 1, depth = 1, ...image] = x.shape;
  const y = compute(tf.reshape(x, [batch * depth, ...image]));
  return tf.reshape(y, [batch, depth, ...y.shape.slice(1)]);
}

/** The planes of a volume that element r of the windows along its depth, which is padded, reads. */
export function planesAt(x: tf.Tensor, depth: WindowAxis, r: number): tf.Tensor {
  const span = (depth.outputSize - 1) * depth.stride + 1;
  const planes = tf.slice(x, [0, r, 0, 0, 0], [-1, span, -1, -1, -1]);
  return everyNth(planes, 1, depth.stride, depth.outputSize);
}

/** Elements 0, step, 2 step, ... along an axis, `count` of them. Differentiable, as tfjs's stridedSlice is not. */
export function everyNth(x: tf.Tensor, axis: number, step: number, count: number): tf.Tensor {
  if (step === 1 && count === x.shape[axis]) return x;
  const outer = x.shape.slice(0, axis).reduce((product, dim) => product * dim, 1);
  const inner = x.shape.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  const shape = [...x.shape.slice(0, axis), count, ...x.shape.slice(axis + 1)];
  const flat = tf.reshape(x, [outer, x.shape[axis] as number, inner]);
  const missing = count * step - (x.shape[axis] as number);
  const whole =
    missing > 0
      ? tf.pad(flat, [
          [0, 0],
          [0, missing],
          [0, 0],
        ])
      : tf.slice(flat, [0, 0, 0], [outer, count * step, inner]);
  const groups = tf.reshape(whole, [outer, count, step * inner]);
  return tf.reshape(tf.slice(groups, [0, 0, 0], [outer, count, inner]), shape);
}
