// What is known of lists of integers that a network computes from shapes: sizes as numbers where they are, as names
// where only run time knows them.

import { sizeOf, type Tensor } from "../../base/tensor.js";
import { type Dim, intAttribute, type Node, type Value } from "../../graph/graph.js";
import { isUnknownRank, UNKNOWN_DIM } from "../../graph/unknown-shape.js";

/** Longer lists are no shapes. */
const MOST_SIZES = 64;

export class ShapeValues {
  /** Elements in order, of a list or of a single number; UNKNOWN_DIM is one of which nothing is known. */
  readonly #known = new Map<Value, readonly Dim[]>();

  /** null where nothing is known of the value. */
  of(value: Value | null | undefined): readonly Dim[] | null {
    if (!value) return null;
    const { constant } = value;
    return constant ? listOf(constant) : (this.#known.get(value) ?? null);
  }

  /** Notes what the outputs of a node hold. @returns the numbers of the only output where all are known */
  note(node: Node): readonly number[] | null {
    const [output, ...others] = node.outputs;
    const rule = RULES.get(node.op);
    if (!output || others.length > 0 || !rule) return null;
    const dims = rule(node, (index) => this.of(node.inputs[index]));
    if (!dims || dims.length > MOST_SIZES) return null;
    this.#known.set(output, dims);
    return dims.every((dim) => typeof dim === "number") ? dims : null;
  }
}

type Rule = (node: Node, input: (index: number) => readonly Dim[] | null) => readonly Dim[] | null;

const RULES: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ["Shape", shape],
  ["Size", count],
  ["Gather", gather],
  ["Slice", slice],
  ["Concat", concat],
  ["Identity", (_, input) => input(0)],
  ["Cast", (node, input) => (isWhole(node.outputs[0]) && isWhole(node.inputs[0]) ? input(0) : null)],
  ["Reshape", (_, input) => input(0)],
  ["Squeeze", (_, input) => input(0)],
  ["Unsqueeze", (_, input) => input(0)],
  ["Add", (_, input) => pairs(input(0), input(1), 0, (a, b) => a + b)],
  ["Mul", (_, input) => pairs(input(0), input(1), 1, (a, b) => a * b)],
]);

function isWhole(value: Value | null | undefined): boolean {
  return value?.dtype === "int64" || value?.dtype === "int32";
}

function listOf(constant: Tensor): readonly Dim[] | null {
  if (constant.dtype !== "int64" && constant.dtype !== "int32") return null;
  if (constant.shape.length > 1 || sizeOf(constant.shape) > MOST_SIZES) return null;
  return Array.from(constant.data as ArrayLike<bigint | number>, Number);
}

function shape(node: Node): readonly Dim[] | null {
  const x = node.inputs[0]?.shape;
  if (!x || isUnknownRank(x)) return null;
  const end = node.attributes["end"];
  return x.slice(intAttribute(node, "start", 0), typeof end === "number" ? end : x.length);
}

function count(node: Node): readonly Dim[] | null {
  const x = node.inputs[0]?.shape;
  if (!x || isUnknownRank(x) || x.some((dim) => typeof dim === "string")) return null;
  return [sizeOf(x as readonly number[])];
}

function gather(node: Node, input: (index: number) => readonly Dim[] | null): readonly Dim[] | null {
  const [list, indices] = [input(0), input(1)];
  if (!list || !indices || node.inputs[0]?.shape.length !== 1) return null;
  const dims = indices.map((index) => (typeof index === "number" ? list.at(index) : undefined));
  return dims.every((dim) => dim !== undefined) ? dims : null;
}

function slice(node: Node, input: (index: number) => readonly Dim[] | null): readonly Dim[] | null {
  const list = input(0);
  const [start, end] = [input(1)?.[0], input(2)?.[0]];
  const step = node.inputs[4] ? input(4)?.[0] : 1;
  return list && step === 1 && typeof start === "number" && typeof end === "number"
    ? list.slice(start, end)
    : null;
}

function concat(node: Node, input: (index: number) => readonly Dim[] | null): readonly Dim[] | null {
  const dims: Dim[] = [];
  for (const [index, each] of node.inputs.entries()) {
    const size = each?.shape[0];
    if (each?.shape.length !== 1 || !isWhole(each) || typeof size !== "number" || size > MOST_SIZES)
      return null;
    dims.push(...(input(index) ?? Array.from({ length: size }, () => UNKNOWN_DIM)));
  }
  return dims;
}

/** Element by element; a name stays one beside the number that changes nothing. */
function pairs(
  a: readonly Dim[] | null,
  b: readonly Dim[] | null,
  neutral: number,
  combine: (a: number, b: number) => number,
): readonly Dim[] | null {
  if (!a || !b || (a.length !== b.length && a.length !== 1 && b.length !== 1)) return null;
  return Array.from({ length: Math.max(a.length, b.length) }, (_, i): Dim => {
    const p = (a.length === 1 ? a[0] : a[i]) as Dim;
    const q = (b.length === 1 ? b[0] : b[i]) as Dim;
    if (typeof p === "number" && typeof q === "number") return combine(p, q);
    if (q === neutral) return p;
    return p === neutral ? q : UNKNOWN_DIM;
  });
}
