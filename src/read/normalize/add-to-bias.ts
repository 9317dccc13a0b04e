// An addition of constants after a convolution or a dense layer becomes its bias.

import { float32 } from "../../base/tensor.js";
import { type Graph, inputOf, type Node, outputOf, type Value } from "../../graph/graph.js";
import { outputChannelAxis } from "../../graph/passes/fold-batch-norm.js";
import { rewrite, type RewriteTools } from "./rewrite.js";
import { spreadOver } from "./spread.js";

/** `Conv(x, w, b) + c = Conv(x, w, b + c)`, of ConvTranspose and Gemm too, where only the addition reads the sum. */
export function addToBias(graph: Graph): Graph {
  return rewrite(graph, (node, tools) => {
    if (node.op !== "Add" && node.op !== "Sub") return null;
    const sum = inputOf(node, 0).constant && node.op === "Add" ? inputOf(node, 1) : inputOf(node, 0);
    const other = sum === inputOf(node, 0) ? inputOf(node, 1) : inputOf(node, 0);
    const layer = sum.producer;
    if (!layer || !other.constant || tools.onlyReader(sum) !== node) return null;
    const bias = sumOfBiases(layer, other, node.op === "Sub" ? -1 : 1, tools);
    if (!bias) return null;
    const [x = null, weight = null] = layer.inputs;
    return [tools.node(layer, layer.op, [x, weight, bias], outputOf(node), layer.attributes)];
  });
}

function sumOfBiases(layer: Node, other: Value, sign: 1 | -1, tools: RewriteTools): Value | null {
  const y = outputOf(layer);
  const weight = layer.inputs[1];
  const size = y.shape[1];
  if (outputChannelAxis(layer) === null || layer.op === "MatMul" || !weight?.constant) return null;
  const own = layer.inputs[2];
  if (typeof size !== "number" || (own && own.constant?.dtype !== "float32")) return null;
  const added = other.constant && spreadOver(other.constant, y.shape.length, 1, size);
  if (!added) return null;
  const before = own?.constant?.data as Float32Array | undefined;
  if (before && before.length !== size) return null;
  const sums = added.map((x, k) => (before?.[k] ?? 0) + sign * x);
  return tools.constant(`${layer.origin}/bias`, float32([size], sums));
}
