// Gives weighted layers that read a residual stream a copy of it with a quantizer of its own: the papers count the bits
// of what enters a convolution, and add in full precision.

import { cloneGraph, type Graph, inputOf, type Node, outputOf, type Value } from "../graph.js";
import { integerSources, residualValues } from "../integer-sources.js";
import { isScaling, kindOf, REQUANTIZE } from "../node-kinds.js";

/**
 * `Conv(x) -> Conv(Requantize(x))` where an Add reads x too: one copy for all weighted layers that read x, named
 * `x/requantized`. Where both have the same bits it costs nothing: placing quantizers gives the copy that of x, and lowering
 * leaves the node out.
 */
export function requantizeResiduals(graph: Graph): Graph {
  const result = cloneGraph(graph);
  const sources = integerSources(result);
  const residual = residualValues(result);
  const copies = new Map<Value, Value>();
  result.nodes = result.nodes.flatMap((node) => {
    if (kindOf(node) !== "weighted" || isScaling(node)) return [node];
    const x = inputOf(node, 0);
    if (!residual.has(sources.get(x) ?? x)) return [node];
    const known = copies.get(x);
    if (known) {
      node.inputs[0] = known;
      return [node];
    }
    const made = requantized(x);
    const copy = outputOf(made);
    copies.set(x, copy);
    node.inputs[0] = copy;
    return [made, node];
  });
  return result;
}

function requantized(x: Value): Node {
  const { dtype, shape, producer } = x;
  const copy: Value = { name: `${x.name}/requantized`, dtype, shape };
  const node: Node = {
    op: REQUANTIZE,
    domain: "qdg",
    attributes: {},
    inputs: [x],
    outputs: [copy],
    origin: producer?.origin ?? x.name,
  };
  copy.producer = node;
  return node;
}
