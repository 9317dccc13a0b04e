// Makes one of two transposes, or of two reshapes, that follow each other, and none of those that come to nothing.

import { int64 } from "../../base/tensor.js";
import {
  type Graph,
  intAttribute,
  intsAttribute,
  type Node,
  outputOf,
  type Value,
} from "../../graph/graph.js";
import { isUnknownRank, UNKNOWN_DIM } from "../../graph/unknown-shape.js";
import { constants } from "../../onnx/shape-facts.js";
import { made } from "./pattern.js";
import { sameShape } from "./remove-identities.js";
import { rewrite, type Rewritten, type RewriteTools } from "./rewrite.js";

/**
 * - `Transpose(Transpose(x, p), q) = Transpose(x, q of p)`, which is x where that leaves all axes in place; one that only swaps axes
 *   of size 1 is x too;
 * - `Reshape(y, s)` of a y that is x reshaped, squeezed, unsqueezed or flattened is `Reshape(x, s)`, where s needs no size of y (0) that
 *   is open; it is x where that has the shape that comes out;
 * - a transpose that only moves axes of size 1 is a reshape where one stands before or after it, and one with that.
 */
export function joinMoves(graph: Graph): Graph {
  return rewrite(graph, (node, tools) => {
    if (node.domain !== "") return null;
    if (node.op === "Transpose") return joinedTranspose(node, tools) ?? relabelled(node, tools);
    const joined = RESHAPES.has(node.op) ? relabelled(node, tools) : null;
    return joined ?? (node.op === "Reshape" ? joinedReshape(node, tools) : null);
  });
}

function joinedTranspose(node: Node, tools: RewriteTools): Rewritten {
  const [from] = node.inputs;
  if (from && keepsElements(node) && sameShape(from.shape, outputOf(node).shape)) return from;
  const before = made(from, "Transpose");
  const x = before?.inputs[0];
  if (!before || !x) return null;
  const [first, second] = [permutation(before), permutation(node)];
  const perm = second.map((axis) => first[axis] as number);
  if (perm.every((axis, i) => axis === i)) return x;
  return [tools.node(node, "Transpose", [x], outputOf(node), { perm })];
}

/** `Transpose(Reshape(x))` or `Reshape(Transpose(x))` as one reshape of x, where the transpose leaves all elements in their order. */
function relabelled(node: Node, tools: RewriteTools): Rewritten {
  const before = node.inputs[0]?.producer;
  const x = before?.inputs[0];
  if (!before || !x || before.domain !== "") return null;
  const [moved, other] = node.op === "Transpose" ? [node, before] : [before, node];
  if (moved.op !== "Transpose" || !RESHAPES.has(other.op) || !keepsElements(moved)) return null;
  const y = outputOf(node);
  if (sameShape(x.shape, y.shape)) return x;
  const sizes = y.shape.map((dim, axis) =>
    typeof dim === "number" ? dim : dim === x.shape[axis] && dim !== UNKNOWN_DIM ? 0 : -1,
  );
  const isKnown = !isUnknownRank(x.shape) && !isUnknownRank(y.shape) && !y.shape.includes(0);
  if (!isKnown || sizes.indexOf(-1) !== sizes.lastIndexOf(-1)) return null;
  const shape = tools.constant(`${y.name}/shape`, int64([sizes.length], sizes));
  return [tools.node(node, "Reshape", [x, shape], y)];
}

function keepsElements(transpose: Node): boolean {
  const { shape } = outputOf(transpose);
  const moved = permutation(transpose).filter((_, place) => shape[place] !== 1);
  return moved.every((axis, i) => i === 0 || axis > (moved[i - 1] as number));
}

/** Of all axes in reverse where none is given. */
function permutation(node: Node): readonly number[] {
  const rank = outputOf(node).shape.length;
  return intsAttribute(node, "perm") ?? Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
}

const RESHAPES: ReadonlySet<string> = new Set(["Reshape", "Flatten", "Squeeze", "Unsqueeze"]);

function joinedReshape(node: Node, tools: RewriteTools): Rewritten {
  const [between, list] = node.inputs;
  const before = between?.producer;
  const x = before?.inputs[0];
  const asked = constants(node, 1);
  if (!between || !list || !before || !x || before.domain !== "" || !RESHAPES.has(before.op) || !asked)
    return null;
  if (intAttribute(node, "allowzero", 0) !== 0) return null;
  const y = outputOf(node);
  if (sameShape(x.shape, y.shape)) return x;
  const sizes = asked.map((size, axis) => (size === 0 ? sizeKept(x, between, axis) : size));
  if (!sizes.every((size) => size !== null)) return null;
  const isAsked = sizes.every((size, axis) => size === asked[axis]);
  const shape = isAsked ? list : tools.constant(`${y.name}/shape`, int64([sizes.length], sizes));
  return [tools.node(node, "Reshape", [x, shape], y)];
}

/** What says that a size stays: 0 where x has the same there, else its number; null where it is open. */
function sizeKept(x: Value, between: Value, axis: number): number | null {
  const size = between.shape[axis];
  if (size !== undefined && size !== UNKNOWN_DIM && x.shape[axis] === size) return 0;
  return typeof size === "number" && size > 0 ? size : null;
}
