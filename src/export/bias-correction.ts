// Takes the mean error of weight rounding out of the biases, before the biases are quantized. For scales
// found after training only: a network trained with its scales has learned around them.

import { expectDType, float32 } from "../base/tensor.js";
import type { Graph, Node, Value } from "../graph/graph.js";
import { inputOf, intAttribute, intsAttribute, outputOf } from "../graph/graph.js";
import { kindOf } from "../graph/node-kinds.js";
import { outputChannelAxis } from "../graph/passes/fold-batch-norm.js";
import { materialize } from "../lower/materialize.js";
import { roundedWeights } from "../lower/quantized-weights.js";
import { type CorrectedLayer, correctBias } from "../quant/bias-correction.js";

/**
 * Replaces the bias of every Conv, ConvTranspose and Gemm of an annotated graph by its corrected one.
 *
 * @param channelMeans mean of each input channel, by the name of the value
 */
export function correctBiases(graph: Graph, channelMeans: ReadonlyMap<string, Float32Array>): void {
  for (const node of graph.nodes) {
    if (kindOf(node) !== "weighted") continue;
    const layer = correctedLayer(node);
    const means = channelMeans.get(inputOf(node, 0).name);
    const weight = inputOf(node, 1);
    if (!layer || !means || !weight.constant || !weight.quantization) continue;
    const { shape } = weight.constant;
    const rounded: Value = { ...weight, constant: roundedWeights(weight, node.origin) };
    const channels = shape[outputChannelAxis(node) ?? 0] as number;
    const bias = node.inputs[2];
    const corrected = correctBias(
      layer,
      bias?.constant ? expectDType(bias.constant, "float32", node.origin).data : new Float32Array(channels),
      expectDType(materialize(weight), "float32", node.origin).data,
      expectDType(materialize(rounded), "float32", node.origin).data,
      means,
      node.origin,
    );
    setBias(node, corrected);
  }
}

/** Gives a weighted node another bias, [K]. */
export function setBias(node: Node, bias: ArrayLike<number>): void {
  const value: Value = {
    // Not the old bias's name: a shared layer corrects its bias for each of its inputs.
    name: `${outputOf(node).name}/corrected_bias`,
    dtype: "float32",
    shape: [bias.length],
    constant: float32([bias.length], bias),
  };
  node.inputs = [inputOf(node, 0), inputOf(node, 1), value];
}

function correctedLayer(node: Node): CorrectedLayer | null {
  const shape = inputOf(node, 1).constant?.shape ?? [];
  switch (node.op) {
    case "Conv":
      return { op: "Conv", shape, group: intAttribute(node, "group", 1) };
    case "Gemm":
      return intAttribute(node, "transB", 0) === 1 ? { op: "Gemm", shape } : null;
    case "ConvTranspose": {
      const strides = intsAttribute(node, "strides") ?? shape.slice(2).map(() => 1);
      return { op: "ConvTranspose", shape, strides };
    }
    default:
      return null;
  }
}
