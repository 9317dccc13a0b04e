// Turns batch normalization that could not fold (before an activation, after Add or Concat, with several
// readers) into a depthwise 1x1 convolution, which every target has an integer kernel for.

import { float32, int64 } from "../../base/tensor.js";
import type { Dim, Graph, Node, Value } from "../graph.js";
import { cloneGraph, inputOf, outputOf } from "../graph.js";
import { batchNormChannels, isConstantNormalization } from "./fold-batch-norm.js";

/**
 * `y[k] = factor[k] * x[k] + offset[k]` as a Conv with group C and the weight [C, 1, 1...] of ones, its
 * factor beside it.
 */
export function batchNormToConv(graph: Graph): Graph {
  const result = cloneGraph(graph);
  result.nodes = result.nodes.flatMap((node) => (isConstantNormalization(node) ? asConv(node) : [node]));
  return result;
}

function asConv(node: Node): Node[] {
  const { factor, offset } = batchNormChannels(node);
  const x = inputOf(node, 0);
  const y = outputOf(node);
  const channels = factor.length;
  const spatialRank = Math.max(x.shape.length - 2, 1);
  // A layer that is called twice gives two convolutions; the second one's weight is a copy of the first one's.
  const copy = y.name === node.origin ? "" : `@${y.name}`;
  const constant = (name: string, shape: number[], data: Float32Array): Value => ({
    name: `${node.origin}/${name}${copy}`,
    dtype: "float32",
    shape,
    constant: float32(shape, data),
  });
  const ones = Array.from({ length: spatialRank }, () => 1);
  const weight = constant("factor", [channels, 1, ...ones], new Float32Array(channels).fill(1));
  weight.channelFactor = { axis: 0, factors: Float32Array.from(factor) };
  const conv: Node = {
    op: "Conv",
    domain: "",
    attributes: { group: channels, kernel_shape: ones },
    inputs: [x, weight, constant("offset", [channels], Float32Array.from(offset))],
    outputs: [y],
    origin: node.origin,
  };
  if (x.shape.length > 2) {
    y.producer = conv;
    return [conv];
  }
  // Conv needs a spatial axis: [N, C] goes through [N, C, 1].
  const wide = (name: string): Value => ({
    name: `${y.name}/${name}`,
    dtype: "float32",
    shape: [x.shape[0] as Dim, channels, 1],
  });
  const before = wide("widened");
  const after = wide("scaled");
  const widen = reshape(node.origin, x, before, [0, channels, 1]);
  const narrow = reshape(node.origin, after, y, [0, channels]);
  conv.inputs[0] = before;
  conv.outputs = [after];
  after.producer = conv;
  return [widen, conv, narrow];
}

function reshape(origin: string, x: Value, y: Value, shape: readonly number[]): Node {
  const shapeValue: Value = {
    name: `${y.name}/shape`,
    dtype: "int64",
    shape: [shape.length],
    constant: int64([shape.length], shape),
  };
  const node: Node = {
    op: "Reshape",
    domain: "",
    attributes: {},
    inputs: [x, shapeValue],
    outputs: [y],
    origin,
  };
  y.producer = node;
  return node;
}
