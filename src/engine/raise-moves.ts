// Nodes that move bytes: where each goes is found by running the node itself on the numbers of the places.

import type { Tensor } from "../base/tensor.js";
import { tensor } from "../base/tensor.js";
import { sameShape } from "../compute/shapes.js";
import { stepOf } from "../compute/step.js";
import { whereOf } from "../compute/kernel.js";
import { intsAttribute, type Node, type Value } from "../graph/graph.js";
import { type Bytes, newBytes } from "./bytes.js";
import { isSameInMemory, move, type Moves } from "./operations/move.js";
import type { Raising } from "./raising.js";

const MOVES: ReadonlySet<string> = new Set(
  (
    "Concat DepthToSpace Expand Flatten Gather Identity Pad Reshape Resize Slice SpaceToDepth Split Squeeze Tile Transpose " +
    "Unsqueeze"
  ).split(" "),
);

/** The bytes of a node that moves them: under another shape where memory stays as it is; null for another node. */
export function raiseMove(node: Node, value: Value, raising: Raising): Bytes | null {
  if (!MOVES.has(node.op) || node.domain !== "") return null;
  const relabelled = node.op === "Transpose" ? relabel(node, value, raising) : null;
  if (relabelled) return relabelled;
  const sources: Bytes[] = [];
  const starts: number[] = [];
  let total = 0;
  const inputs = node.inputs.map((input, index): Tensor | null => {
    if (!input) return null;
    const constant = raising.constants.get(input);
    if (input.dtype !== "uint8" || (constant && node.op !== "Concat")) {
      // The byte that a Pad puts around: below zero, where no place is.
      if (node.op === "Pad" && index === 2 && constant) {
        return tensor("int32", constant.shape, Int32Array.of(-1 - Number(constant.data[0])));
      }
      return constant ?? null;
    }
    const bytes = raising.bytesOf(input);
    sources.push(bytes);
    starts.push(total);
    const count = bytes.shape.reduce((product, dim) => product * dim, 1);
    const places = Int32Array.from({ length: count }, (_, i) => total + i);
    total += count;
    return tensor("int32", raising.shapeOf(input), places);
  });
  if (sources.length === 0) return null;
  const result = stepOf(node, raising.operators).run(inputs)[node.outputs.indexOf(value)] as Tensor<"int32">;
  const moves = movesOf(result.data, starts);
  const [first] = sources as [Bytes];
  for (const axis of channelAxes(node, first, result.shape)) {
    const y = newBytes(value.name, result.shape, axis);
    if (sources.length === 1 && isSameInMemory(first, y, moves)) return raising.alias(value, axis, first);
  }
  const y = raising.create(value, preferredAxis(node, first, result.shape));
  raising.add(move(whereOf(node), sources, moves, y));
  return y;
}

/** A Transpose that moves the channels' axis alone changes nothing in memory. */
function relabel(node: Node, value: Value, raising: Raising): Bytes | null {
  const input = node.inputs[0] as Value;
  const x = raising.bytesOf(input);
  if (!sameShape(x.shape, raising.shapeOf(input))) return null;
  const permutation = intsAttribute(node, "perm") ?? x.shape.map((_, axis) => x.shape.length - 1 - axis);
  const others = permutation.filter((axis) => axis !== x.channelAxis);
  if (others.some((axis, i) => i > 0 && axis < (others[i - 1] as number))) return null;
  return raising.alias(value, permutation.indexOf(x.channelAxis), x);
}

/** From places counted through all sources to a source and a place in it. */
function movesOf(places: Int32Array, starts: readonly number[]): Moves {
  const source = new Int32Array(places.length);
  const index = new Int32Array(places.length);
  places.forEach((place, i) => {
    let s = starts.length - 1;
    while (s >= 0 && place < (starts[s] as number)) s--;
    source[i] = s < 0 ? place : s;
    index[i] = s < 0 ? 0 : place - (starts[s] as number);
  });
  return { source, index };
}

/** Axes that may be the last in the memory of x. */
function channelAxes(node: Node, x: Bytes, shape: readonly number[]): number[] {
  const axes = shape.map((_, axis) => axis).filter((axis) => axis > 0 && shape[axis] === x.storage.C);
  const likely = preferredAxis(node, x, shape);
  return [likely, ...axes.filter((axis) => axis !== likely)];
}

function preferredAxis(node: Node, x: Bytes, shape: readonly number[]): number {
  const moved = node.op === "Transpose" ? intsAttribute(node, "perm")?.indexOf(x.channelAxis) : undefined;
  const axis = moved ?? (shape.length === x.shape.length ? x.channelAxis : 1);
  return axis > 0 && axis < shape.length ? axis : Math.min(1, shape.length - 1);
}
