// Factors and offsets by channel after a convolution or a dense layer become batch normalization, which folds into it.

import { float32 } from "../../base/tensor.js";
import { type Graph, inputOf, type Node, outputOf, type Value } from "../../graph/graph.js";
import { outputChannelAxis } from "../../graph/passes/fold-batch-norm.js";
import { rewrite } from "./rewrite.js";
import { spreadOver } from "./spread.js";

/**
 * `Mul(x, c)` and `Div(x, c)`, c constant by channel or one number, after a weighted layer that nothing else reads (or such a
 * normalization of one), become BatchNormalization of mean 0 and variance 1. Additions are the layer's bias already, or follow a factor:
 * then they are its offset.
 */
export function affineToBatchNorm(graph: Graph): Graph {
  return rewrite(graph, (node, tools) => {
    const affine = affineOf(node);
    const before = affine && affine.x.producer;
    if (!before || tools.onlyReader(affine.x) !== node) return null;
    const isAfterLayer =
      outputChannelAxis(before) !== null && before.op !== "MatMul" && before.inputs[1]?.constant;
    if (!isAfterLayer && before.op !== "BatchNormalization") return null;
    if (node.op === "Add" && isAfterLayer) return null;
    const channels = affine.factor.length;
    const constant = (name: string, data: Float32Array): ReturnType<typeof tools.constant> =>
      tools.constant(`${outputOf(node).name}/${name}`, float32([channels], data));
    const inputs = [
      affine.x,
      constant("scale", affine.factor),
      constant("offset", affine.offset),
      constant("mean", new Float32Array(channels)),
      constant("variance", new Float32Array(channels).fill(1)),
    ];
    return [tools.node(node, "BatchNormalization", inputs, outputOf(node), { epsilon: { float: 0 } })];
  });
}

/** `x * factor + offset`, one of each for every channel. */
export interface Affine {
  readonly x: Value;
  readonly factor: Float32Array;
  readonly offset: Float32Array;
}

/** What a Mul, Div, Add or Sub with a constant computes by channel, channels on `axis`; null for anything else. */
export function affineOf(node: Node, axis = 1): Affine | null {
  const { op } = node;
  if (node.domain !== "" || !["Mul", "Div", "Add", "Sub"].includes(op)) return null;
  const commutes = op === "Mul" || op === "Add";
  const x = commutes && inputOf(node, 0).constant ? inputOf(node, 1) : inputOf(node, 0);
  const { constant } = x === inputOf(node, 0) ? inputOf(node, 1) : inputOf(node, 0);
  const size = x.shape[axis];
  if (!constant || x.constant || x.shape.length < 2 || typeof size !== "number") return null;
  const numbers = spreadOver(constant, x.shape.length, axis, size);
  if (!numbers) return null;
  const neutral = (value: number): Float32Array => new Float32Array(size).fill(value);
  if (op === "Mul") return { x, factor: numbers, offset: neutral(0) };
  if (op === "Div") {
    const factor = numbers.map((c) => 1 / c);
    return factor.every(Number.isFinite) ? { x, factor, offset: neutral(0) } : null;
  }
  return { x, factor: neutral(1), offset: numbers.map((c) => (op === "Sub" ? -c : c)) };
}
