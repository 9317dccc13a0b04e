// Makes one rectifier of two in a row, as a convolution with activation "relu" and a ReLU layer after it are:
// kernels take one in, a second one would keep them in float.

import { float32 } from "../../base/tensor.js";
import type { Graph, Node, Value } from "../graph.js";
import { cloneGraph, consumers, inputOf, outputOf } from "../graph.js";
import { clipRange, kindOf, onlyRectifier } from "../node-kinds.js";

/**
 * `clip(clip(x, a, b), c, d) = clip(x, clip(a, c, d), clip(b, c, d))` where nothing else reads the value between. The
 * result keeps the name of the second.
 */
export function mergeRectifiers(graph: Graph): Graph {
  const result = cloneGraph(graph);
  const uses = consumers(result);
  const merged = new Set<Node>();
  for (const node of result.nodes) {
    const first = kindOf(node) === "rectifier" ? inputOf(node, 0).producer : undefined;
    if (!first || kindOf(first) !== "rectifier" || !onlyRectifier(result, uses, outputOf(first))) continue;
    const [a, b] = clipRange(first) ?? [];
    const [c, d] = clipRange(node) ?? [];
    if (a === undefined || b === undefined || c === undefined || d === undefined) continue;
    const clip = (x: number): number => Math.min(Math.max(x, c), d);
    setRange(node, inputOf(first, 0), clip(a), clip(b));
    merged.add(first);
  }
  result.nodes = result.nodes.filter((node) => !merged.has(node));
  return result;
}

function setRange(node: Node, x: Value, low: number, high: number): void {
  node.op = low === 0 && high === Number.POSITIVE_INFINITY ? "Relu" : "Clip";
  node.inputs = node.op === "Relu" ? [x] : [x, bound(node, "min", low), bound(node, "max", high)];
}

function bound(node: Node, what: string, value: number): Value | null {
  if (!Number.isFinite(value)) return null;
  return {
    name: `${outputOf(node).name}/${what}`,
    dtype: "float32",
    shape: [],
    constant: float32([], [value]),
  };
}
