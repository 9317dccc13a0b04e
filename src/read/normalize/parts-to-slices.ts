// Split, and Gather of what stands together, become Slices: these move integers as they are.

import { int64 } from "../../base/tensor.js";
import { type Graph, inputOf, intAttribute, type Node, outputOf, type Value } from "../../graph/graph.js";
import { isUnknownRank } from "../../graph/unknown-shape.js";
import { rewrite, type Rewritten, type RewriteTools } from "./rewrite.js";

/**
 * - `Split(x)` along an axis of known parts is a Slice for each part.
 * - `Gather(x, i)` with constant indices that count up by one is a Slice; with a single number a Squeeze after it.
 */
export function partsToSlices(graph: Graph): Graph {
  return rewrite(graph, (node, tools) => {
    if (node.domain !== "") return null;
    if (node.op === "Split") return slicesOf(node, tools);
    return node.op === "Gather" ? sliceOf(node, tools) : null;
  });
}

function slicesOf(node: Node, tools: RewriteTools): readonly Node[] | null {
  const x = inputOf(node, 0);
  if (isUnknownRank(x.shape) || x.constant) return null;
  const axis = axisIn(node, x);
  const sizes = node.outputs.map(({ shape }) => shape[axis]);
  if (!sizes.every((size) => typeof size === "number")) return null;
  let start = 0;
  return node.outputs.map((output, index) => {
    const from = start;
    start += sizes[index] as number;
    return slice(node, x, output, axis, from, start, tools);
  });
}

function sliceOf(node: Node, tools: RewriteTools): Rewritten {
  const x = inputOf(node, 0);
  const { constant, dtype } = inputOf(node, 1);
  if (dtype !== "int64" && dtype !== "int32") return null;
  if (
    x.constant ||
    x.dtype !== "float32" ||
    !constant ||
    isUnknownRank(x.shape) ||
    constant.shape.length > 1
  ) {
    return null;
  }
  const axis = axisIn(node, x);
  const size = x.shape[axis];
  const indices = Array.from(constant.data as ArrayLike<bigint | number>, Number).map((index) =>
    index < 0 && typeof size === "number" ? index + size : index,
  );
  const [first] = indices;
  if (first === undefined || first < 0 || !indices.every((index, i) => index === first + i)) return null;
  const y = outputOf(node);
  const end = first + indices.length;
  const isAll = first === 0 && end === size;
  if (constant.shape.length === 1) return isAll ? x : [slice(node, x, y, axis, first, end, tools)];
  const one = tools.inner(y, "one", x.shape.with(axis, 1));
  const axes = tools.constant(`${y.name}/axes`, int64([1], [axis]));
  if (isAll) return [tools.node(node, "Squeeze", [x, axes], y)];
  return [slice(node, x, one, axis, first, end, tools), tools.node(node, "Squeeze", [one, axes], y)];
}

function axisIn(node: Node, x: Value): number {
  const axis = intAttribute(node, "axis", 0);
  return axis < 0 ? axis + x.shape.length : axis;
}

function slice(
  node: Node,
  x: Value,
  y: Value,
  axis: number,
  start: number,
  end: number,
  tools: RewriteTools,
): Node {
  const list = (name: string, number: number): Value =>
    tools.constant(`${y.name}/${name}`, int64([1], [number]));
  return tools.node(node, "Slice", [x, list("start", start), list("end", end), list("axis", axis)], y);
}
