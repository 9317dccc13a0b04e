// Folds batch normalization into the convolution or dense layer before it. The factor goes beside the
// weight (`channelFactor`), never into it, so that a quantized weight keeps the integers of training.

import { QdgError } from "../../base/error.js";
import { expectDType, float32 } from "../../base/tensor.js";
import type { Graph, Node, Value } from "../graph.js";
import { cloneGraph, consumers, floatAttribute, inputOf, intAttribute, outputOf } from "../graph.js";

/** `y = x * factor[k] + offset[k]`, k the channel. */
export interface AffineChannels {
  readonly factor: Float64Array;
  readonly offset: Float64Array;
}

/**
 * `factor = gamma / sqrt(variance + epsilon)`, `offset = beta - mean * factor` of an ONNX
 * BatchNormalization node in inference form.
 *
 * @throws QdgError `invalid-weights` when variance + epsilon is not > 0
 */
export function batchNormChannels(node: Node): AffineChannels {
  const constants = [1, 2, 3, 4].map((index) => {
    const constant = inputOf(node, index).constant;
    if (!constant) {
      throw new QdgError(
        "invalid-graph",
        `${node.origin} (BatchNormalization)`,
        `input ${index} is not constant`,
      );
    }
    return expectDType(constant, "float32", node.origin).data;
  });
  const [gamma, beta, mean, variance] = constants as [Float32Array, Float32Array, Float32Array, Float32Array];
  const epsilon = floatAttribute(node, "epsilon", 1e-5);
  const factor = new Float64Array(gamma.length);
  const offset = new Float64Array(gamma.length);
  for (let k = 0; k < gamma.length; k++) {
    const power = (variance[k] as number) + epsilon;
    if (!(power > 0)) {
      throw new QdgError(
        "invalid-weights",
        `${node.origin} (BatchNormalization)`,
        `variance[${k}] + epsilon: got ${power}, expected > 0; the model's moving variance is damaged`,
      );
    }
    factor[k] = (gamma[k] as number) / Math.sqrt(power);
    offset[k] = (beta[k] as number) - (mean[k] as number) * (factor[k] as number);
  }
  return { factor, offset };
}

/** Whether a node is batch normalization by constants: what is computed cannot fold. */
export function isConstantNormalization(node: Node): boolean {
  return node.op === "BatchNormalization" && [1, 2, 3, 4].every((index) => node.inputs[index]?.constant);
}

/**
 * The batch normalization that folds into a weighted node: the only reader of its result, which is no output of
 * the graph, after a constant weight with one axis of output channels. null where there is none.
 *
 * @param uses consumers of the graph's values
 */
export function normalizationAfter(
  graph: Graph,
  uses: ReadonlyMap<Value, readonly Node[]>,
  node: Node,
): Node | null {
  if (outputChannelAxis(node) === null || !inputOf(node, 1).constant) return null;
  const result = outputOf(node);
  const [reader, ...others] = uses.get(result) ?? [];
  if (!reader || !isConstantNormalization(reader) || others.length > 0) return null;
  return inputOf(reader, 0) === result && !graph.outputs.includes(result) ? reader : null;
}

/**
 * `BN(W x + b) = (factor * W) x + (factor * b + offset)`: the node before must be a Conv, ConvTranspose
 * or Gemm with a constant weight, and nobody else may read its output. Every other batch normalization
 * stays as it is.
 */
export function foldBatchNorm(graph: Graph): Graph {
  const result = cloneGraph(graph);
  const uses = consumers(result);
  const folded = new Set<Node>();
  for (const node of result.nodes) {
    const before = node.op === "BatchNormalization" ? inputOf(node, 0).producer : undefined;
    if (!before || normalizationAfter(result, uses, before) !== node) continue;
    const weight = inputOf(before, 1);
    const axis = outputChannelAxis(before) as number;
    const channels = batchNormChannels(node);
    const ownWeight: Value =
      (uses.get(weight)?.length ?? 0) > 1
        ? { ...weight, name: `${weight.name}@${outputOf(node).name}` }
        : weight;
    const earlier = ownWeight.channelFactor?.factors;
    ownWeight.channelFactor = {
      axis,
      factors: Float32Array.from(channels.factor, (factor, k) => factor * (earlier?.[k] ?? 1)),
    };
    const bias = before.inputs[2]?.constant;
    const oldBias = bias ? expectDType(bias, "float32", before.origin).data : null;
    const newBias = Float32Array.from(
      channels.offset,
      (offset, k) => (oldBias?.[k] ?? 0) * (channels.factor[k] as number) + offset,
    );
    const y = outputOf(node);
    const biasValue: Value = {
      name: `${y.name}/folded_bias`,
      dtype: "float32",
      shape: [newBias.length],
      constant: float32([newBias.length], newBias),
    };
    before.inputs = [inputOf(before, 0), ownWeight, biasValue];
    before.outputs = [y];
    y.producer = before;
    folded.add(node);
    // A second batch normalization right after finds this node as its producer.
  }
  result.nodes = result.nodes.filter((node) => !folded.has(node));
  return result;
}

/** The axis of the weight that runs over output channels; null when there is no such single axis. */
export function outputChannelAxis(node: Node): number | null {
  switch (node.op) {
    case "Conv":
      return 0;
    case "ConvTranspose":
      return intAttribute(node, "group", 1) === 1 ? 1 : null;
    case "Gemm":
      return intAttribute(node, "transB", 0) === 1 ? 0 : 1;
    case "MatMul":
      return (node.inputs[1]?.shape.length ?? 0) === 2 ? 1 : null;
    default:
      return null;
  }
}
