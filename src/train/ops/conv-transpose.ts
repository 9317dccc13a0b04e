// ConvTranspose: the gradient of a convolution by its input, as an operator with gradients of its own.

import * as tf from "@tensorflow/tfjs";
import { type Node, stringAttribute } from "../../graph/graph.js";
import { addChannels } from "./convolution.js";
import { kernelTensor } from "./kernel-layout.js";
import { channelsLast, hold, inputAt, invalid, type Op, unsupported } from "./op.js";
import { asRows, byPlane, ROW, spatialList, type WindowAxis } from "./window.js";

/**
 * `y[n, k, p stride + r - pad] += w[c, k, r] x[n, c, p]`, plus bias[k] (ONNX ConvTranspose) over one to three axes
 * of space; output size `(x - 1) stride + k - pads + output_padding`.
 *
 * @throws QdgError `unsupported-layer` for groups, dilation, auto_pad and output_shape
 */
export const convTranspose: Op = (node, inputs) => {
  const x = channelsLast(inputAt(node, inputs, 0));
  const kernel = kernelTensor(node, inputAt(node, inputs, 1));
  const channels = x.shape[x.rank - 1] as number;
  if (kernel.rank !== x.rank || kernel.shape[kernel.rank - 1] !== channels) {
    throw invalid(node, `the kernel [${kernel.shape.join(", ")}] does not fit ${channels} channels`);
  }
  const axes = outputAxes(node, x.shape.slice(1, -1), kernel.shape.slice(0, -2));
  const y = scatter(x, kernel, axes);
  const bias = inputs[2];
  return [hold(bias ? addChannels(y, bias.tensor) : y, "channels-last")];
};

/** The windows of the convolution whose gradient this is; `before` and `after` are cut off the result. */
function outputAxes(node: Node, sizes: readonly number[], kernel: readonly number[]): WindowAxis[] {
  const rank = sizes.length;
  if (rank < 1 || rank > 3) throw unsupported(node, `${rank} axes of space`);
  if (
    stringAttribute(node, "auto_pad", "NOTSET") !== "NOTSET" ||
    node.attributes["output_shape"] !== undefined
  ) {
    throw unsupported(node, "auto_pad and output_shape");
  }
  const strides = spatialList(node, "strides", rank, 1);
  const pads = spatialList(node, "pads", 2 * rank, 0);
  const added = spatialList(node, "output_padding", rank, 0);
  if (spatialList(node, "dilations", rank, 1).some((dilation) => dilation !== 1)) {
    throw unsupported(node, "transposed convolutions with dilation");
  }
  return sizes.map((size, i) => {
    const [window, stride, before] = [kernel[i], strides[i], pads[i]] as [number, number, number];
    const after = (pads[i + rank] as number) - (added[i] as number);
    const outputSize = (size - 1) * stride + window - before - after;
    if (outputSize < 1 || -after >= Math.max(stride, 1) || before < 0) {
      throw invalid(
        node,
        `pads of ${before} and ${after} leave ${outputSize} of ${size} with stride ${stride}`,
      );
    }
    return { size, kernel: window, stride, dilation: 1, before, after, outputSize };
  });
}

function scatter(x: tf.Tensor, kernel: tf.Tensor, axes: readonly WindowAxis[]): tf.Tensor {
  if (axes.length === 1) {
    return asRows(x, (images) => scatter(images, tf.expandDims(kernel, 0), [ROW, ...axes]));
  }
  if (axes.length === 3) return scatterVolume(x, kernel, axes as [WindowAxis, WindowAxis, WindowAxis]);
  const filters = kernel.shape[2] as number;
  const [batch = 1] = x.shape;
  const same = axes.every(cutsAsSame);
  // All that the windows reach, and the added end; then the cut.
  const sizes = axes.map(({ before, after, outputSize }) =>
    same ? outputSize : before + outputSize + Math.max(after, 0),
  ) as [number, number];
  const y = tf.conv2dTranspose(
    x as tf.Tensor4D,
    kernel as tf.Tensor4D,
    [batch, ...sizes, filters],
    axes.map(({ stride }) => stride) as [number, number],
    same ? "same" : "valid",
  );
  return same ? y : cut(y, axes);
}

/** Whether a "same" convolution of the output, `stride` times the input, would pad what is cut here. */
function cutsAsSame({ size, kernel, stride, before, outputSize }: WindowAxis): boolean {
  // tfjs's WebAssembly convolutions give zeros for "same" with strides beyond the window.
  if (kernel < stride) return false;
  return outputSize === size * stride && before === Math.floor((kernel - stride) / 2);
}

/** Leaves `before` out at the start of each of the first axes of space, and what is too much at its end. */
function cut(y: tf.Tensor, axes: readonly WindowAxis[]): tf.Tensor {
  const whole = axes.every(({ before, outputSize }, i) => before === 0 && outputSize === y.shape[i + 1]);
  if (whole) return y;
  const starts = y.shape.map((_, axis) => axes[axis - 1]?.before ?? 0);
  const sizes = y.shape.map((dim, axis) => axes[axis - 1]?.outputSize ?? dim);
  return tf.slice(y, starts, sizes);
}

/** Plane by plane, see byPlane: element r of the windows along the depth adds to planes r, r + stride, ... */
function scatterVolume(
  x: tf.Tensor,
  kernel: tf.Tensor,
  axes: readonly [WindowAxis, WindowAxis, WindowAxis],
): tf.Tensor {
  const [depth, ...image] = axes;
  const parts = Array.from({ length: depth.kernel }, (_, r) => {
    const weights = tf.squeeze(tf.slice(kernel, [r], [1]), [0]);
    const planes = byPlane(x, (images) => scatter(images, weights, image));
    const [batch = 1, count = 1, ...rest] = planes.shape;
    // Planes without anything between those that are there.
    const apart = tf.pad(tf.reshape(planes, [batch, count, 1, -1]), [
      [0, 0],
      [0, 0],
      [0, depth.stride - 1],
      [0, 0],
    ]);
    const spread = tf.reshape(apart, [batch, count * depth.stride, ...rest]);
    const end = depth.before + depth.outputSize + Math.max(depth.after, 0) - r - count * depth.stride;
    const reached =
      end < 0 ? tf.slice(spread, [0, 0, 0, 0, 0], [-1, count * depth.stride + end, -1, -1, -1]) : spread;
    return tf.pad(reached, [
      [0, 0],
      [r, Math.max(end, 0)],
      [0, 0],
      [0, 0],
      [0, 0],
    ]);
  });
  return cut(
    parts.reduce((total, part) => tf.add(total, part)),
    [depth],
  );
}
