// Takes out nodes whose result is their input.

import { type Dim, type Graph, intsAttribute, type Node, outputOf, type Value } from "../../graph/graph.js";
import { isUnknownRank, UNKNOWN_DIM } from "../../graph/unknown-shape.js";
import { constants } from "../../onnx/shape-facts.js";
import { rewrite } from "./rewrite.js";

/**
 * - Identity, and Dropout without a say whether it trains;
 * - a Cast to the type that is there; a Transpose that leaves all axes in place; Concat, Sum, Max, Min and Mean of one value;
 * - Reshape, Flatten, Expand, Slice (forwards) and Tile where the shape that comes out is the one that went in; a Pad by nothing;
 * - adding 0 or subtracting it, multiplying by 1 or dividing by it, where that does not broadcast.
 *
 * What gives an output of the graph stays.
 */
export function removeIdentities(graph: Graph): Graph {
  return rewrite(graph, (node, { isRead }) => {
    if (node.domain !== "" || node.inputs.length === 0) return null;
    // A mask that somebody reads.
    if (node.outputs.slice(1).some(isRead)) return null;
    return passedThrough(node);
  });
}

const OF_ONE: ReadonlySet<string> = new Set(["Concat", "Sum", "Max", "Min", "Mean"]);
const MOVES: ReadonlySet<string> = new Set(["Reshape", "Flatten", "Expand", "Tile"]);

function passedThrough(node: Node): Value | null {
  const x = node.inputs[0];
  if (!x) return null;
  const y = outputOf(node);
  const { op } = node;
  if (op === "Identity") return x;
  if (op === "Dropout") return node.inputs[2] ? null : x;
  if (op === "Cast") return x.dtype === y.dtype ? x : null;
  if (op === "Transpose") {
    return intsAttribute(node, "perm")?.every((axis, i) => axis === i) ? x : null;
  }
  if (OF_ONE.has(op)) return node.inputs.length === 1 ? x : null;
  if (MOVES.has(op)) return sameShape(x.shape, y.shape) ? x : null;
  if (op === "Pad") return constants(node, 1)?.every((pad) => pad === 0) ? x : null;
  if (op === "Slice") return sameShape(x.shape, y.shape) && isForwards(node) ? x : null;
  return neutral(node);
}

function isForwards(node: Node): boolean {
  const steps = node.inputs[4];
  return !steps || Array.from(steps.constant?.data ?? [], Number).every((step) => step > 0);
}

/** The operand beside a constant that changes nothing. */
function neutral(node: Node): Value | null {
  const what = { Add: 0, Sub: 0, Mul: 1, Div: 1 }[node.op];
  const [a, b] = node.inputs;
  if (what === undefined || !a || !b) return null;
  const commutes = node.op === "Add" || node.op === "Mul";
  const x = commutes && a.constant ? b : a;
  const other = x === a ? b : a;
  const numbers = Array.from(other.constant?.data ?? [], Number);
  const isNeutral = numbers.length > 0 && numbers.every((number) => number === what);
  return isNeutral && !x.constant && sameShape(x.shape, outputOf(node).shape) ? x : null;
}

/** Whether two shapes are known, and one. */
export function sameShape(a: readonly Dim[], b: readonly Dim[]): boolean {
  return (
    !isUnknownRank(a) && a.length === b.length && a.every((dim, i) => dim === b[i] && dim !== UNKNOWN_DIM)
  );
}
