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
import { UNKNOWN_DIM } from "../../graph/unknown-shape.js";
import { constants } from "../../onnx/shape-facts.js";
import { made } from "./pattern.js";
import { sameShape } from "./remove-identities.js";
import { rewrite, type Rewritten, type RewriteTools } from "./rewrite.js";

/**
 * - `Transpose(Transpose(x, p), q) = Transpose(x, q of p)`, which is x where that leaves all axes in place;
 * - `Reshape(y, s)` of a y that is x reshaped, squeezed, unsqueezed or flattened is `Reshape(x, s)`, where s needs no size of y (0) that
 *   is open; it is x where that has the shape that comes out.
 */
export function joinMoves(graph: Graph): Graph {
  return rewrite(graph, (node, tools) => {
    if (node.domain !== "") return null;
    if (node.op === "Transpose") return joinedTranspose(node, tools);
    return node.op === "Reshape" ? joinedReshape(node, tools) : null;
  });
}

function joinedTranspose(node: Node, tools: RewriteTools): Rewritten {
  const before = made(node.inputs[0], "Transpose");
  const x = before?.inputs[0];
  if (!before || !x) return null;
  const [first, second] = [permutation(before), permutation(node)];
  const perm = second.map((axis) => first[axis] as number);
  if (perm.every((axis, i) => axis === i)) return x;
  return [tools.node(node, "Transpose", [x], outputOf(node), { perm })];
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
