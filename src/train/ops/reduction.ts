// Reductions over axes, the softmaxes, and the normalizations by statistics that stand still or are the sample's own.

import * as tf from "@tensorflow/tfjs";
import { floatAttribute, intAttribute, intsAttribute } from "../../graph/graph.js";
import { asIs, channelsLast, heldAxis, hold, inputAt, type Op, optionalInts, permuted } from "./op.js";

type Reducer = (x: tf.Tensor, axes: number[], keepDims: boolean) => tf.Tensor;

/** ReduceSum, ReduceMax, ...: over the axes of the second input, all when there is none. */
export function reduce(reducer: Reducer): Op {
  return (node, inputs, constants) => {
    const x = inputAt(node, inputs, 0);
    const listed = optionalInts(node, constants, 1) ?? intsAttribute(node, "axes") ?? [];
    if (listed.length === 0 && intAttribute(node, "noop_with_empty_axes", 0) !== 0) return [x];
    const axes =
      listed.length === 0
        ? x.tensor.shape.map((_, axis) => axis)
        : [...new Set(listed.map((axis) => heldAxis(node, x, axis)))];
    const kept = { tensor: reducer(x.tensor, axes, true), layout: x.layout };
    if (intAttribute(node, "keepdims", 1) !== 0) return [kept];
    const inOrder = asIs(kept);
    const reduced = new Set(listed.map((axis) => (axis < 0 ? axis + inOrder.rank : axis)));
    const shape = inOrder.shape.filter((_, axis) => listed.length > 0 && !reduced.has(axis));
    return [hold(tf.reshape(inOrder, shape), "as-is")];
  };
}

/** Softmax or its logarithm along one axis, by default the last. */
export function softmax(compute: (x: tf.Tensor) => tf.Tensor): Op {
  return (node, inputs) => {
    const x = inputAt(node, inputs, 0);
    const axis = heldAxis(node, x, intAttribute(node, "axis", -1));
    const order = x.tensor.shape.map((_, i) => i).filter((i) => i !== axis);
    order.push(axis);
    // tfjs has it along the last axis alone.
    const y = compute(permuted(x.tensor, order));
    return [
      {
        tensor: permuted(
          y,
          order.map((_, i) => order.indexOf(i)),
        ),
        layout: x.layout,
      },
    ];
  };
}

/** `scale (x - mean) / sqrt(variance + epsilon) + bias` over the axes from `axis` on (ONNX LayerNormalization). */
export const layerNormalization: Op = (node, inputs) => {
  const held = inputAt(node, inputs, 0);
  const x = asIs(held);
  const first = heldAxis(node, { tensor: x, layout: "as-is" }, intAttribute(node, "axis", -1));
  const axes = x.shape.map((_, axis) => axis).slice(first);
  const centered = tf.sub(x, tf.mean(x, axes, true));
  const variance = tf.mean(tf.square(centered), axes, true);
  const deviation = tf.sqrt(tf.add(variance, floatAttribute(node, "epsilon", 1e-5)));
  const scaled = tf.mul(tf.div(centered, deviation), asIs(inputAt(node, inputs, 1)));
  const bias = inputs[2];
  return [hold(bias ? tf.add(scaled, asIs(bias)) : scaled, "as-is")];
};

/**
 * `scale[c] (x - mean[c]) / sqrt(variance[c] + epsilon) + bias[c]` with the moving statistics (ONNX, inference), as one
 * product and one sum.
 */
export const batchNormalization: Op = (node, inputs) => {
  const x = channelsLast(inputAt(node, inputs, 0));
  const parameter = (index: number): tf.Tensor => asIs(inputAt(node, inputs, index));
  const deviation = tf.sqrt(tf.add(parameter(4), floatAttribute(node, "epsilon", 1e-5)));
  const factor = tf.div(parameter(1), deviation);
  const offset = tf.sub(parameter(2), tf.mul(parameter(3), factor));
  return [hold(tf.add(tf.mul(x, factor), offset), "channels-last")];
};
