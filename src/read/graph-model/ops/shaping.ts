// The same elements in another shape or type, with a border, or repeated.

import type { Dim } from "../../../graph/graph.js";
import { formatShape, plus, product } from "../../dims.js";
import { heldAxis, type Held, rankOf } from "../../held.js";
import { type Emit, type OpCall, type OpFamily } from "../call.js";
import { broadcastShapes, type GraphTensor, shapeOfTensor } from "../tensors.js";

/** The size that -1 stands for: what is left of the elements, as a number or a name. */
function workedOut(call: OpCall, from: readonly Dim[], to: readonly Dim[]): readonly Dim[] {
  const open = to.indexOf(-1);
  if (open < 0) return to;
  const others = to.filter((_, axis) => axis !== open);
  const names = from.filter((dim) => typeof dim === "string");
  for (const dim of others) {
    const at = names.indexOf(dim as string);
    if (at >= 0) names.splice(at, 1);
  }
  const known = product(from.filter((dim) => typeof dim === "number")) ?? 0;
  const taken = product(others.filter((dim) => typeof dim === "number")) ?? 0;
  const rest = taken === 0 ? Number.NaN : known / taken;
  const unmatched = others.filter((dim) => typeof dim === "string" && !from.includes(dim));
  if (unmatched.length > 0) return to.with(open, call.unknownSize("axis"));
  if (names.length === 0) {
    if (!Number.isInteger(rest)) call.failModel(`cannot reshape ${formatShape(from)} to ${formatShape(to)}`);
    return to.with(open, rest);
  }
  const name = names.join("*");
  const whole = rest === 1 ? name : Number.isInteger(rest) ? `${rest}*(${name})` : null;
  return to.with(open, whole ?? call.unknownSize("axis"));
}

const reshape: Emit = (call) => {
  const input = call.input(0);
  const from = shapeOfTensor(input);
  const target = call.input(1).numbers;
  if (!target) return reshapeAtRunTime(call, input);
  const to = workedOut(call, from, target);
  const [had, has] = [product(from), product(to)];
  if (had !== null && has !== null && had !== has) {
    call.failModel(`cannot reshape ${formatShape(from)} to ${formatShape(to)}`);
  }
  const numbers = to.length < 2 ? input.numbers : null;
  const { value, layout } = input.held;
  // Where the space is one point [N, C, 1, 1] and [N, 1, 1, C] are the same elements in the same order.
  const still = layout === "channels-first" && value.shape.slice(2).every((dim) => dim === 1);
  const x = still ? value : call.asIs(input.held);
  const named = to.filter((dim, axis) => typeof dim === "string" && dim !== x.shape[axis]);
  if (named.length > 1) return reshapeAtRunTime(call, input, to);
  return call.result(call.reshape(x, "", to), "as-is", numbers);
};

/** The shape is a tensor that the graph computes. */
function reshapeAtRunTime(call: OpCall, { held }: GraphTensor, to?: readonly Dim[]): GraphTensor {
  const shape = call.input(1).held.value;
  const rank = shape.shape[0];
  if (typeof rank !== "number") return call.fail("shape: has a rank that only run time knows");
  const sizes = call.cast(shape, "int64", "shape");
  const dims = to ?? Array.from({ length: rank }, (_, axis) => call.unknownSize(`axis ${axis}`));
  return call.result(call.node("Reshape", [call.asIs(held), sizes], "", dims, { allowzero: 1 }));
}

/** Axes between batch and channels may go and come without a change of layout. */
function stays(held: Held, axes: readonly number[], rank: number): boolean {
  return held.layout === "channels-first" && axes.every((axis) => axis > 0 && axis < rank - 1);
}

const squeeze: Emit = (call) => {
  const input = call.input(0);
  const shape = shapeOfTensor(input);
  const rank = shape.length;
  const asked = [...call.attributes.ints("squeeze_dims"), ...call.attributes.ints("axis")];
  const every = shape.flatMap((dim, axis) => (dim === 1 ? [axis] : []));
  const axes = asked.length === 0 ? every : asked.map((axis) => call.axisOf(axis, rank));
  if (axes.some((axis) => typeof shape[axis] === "number" && shape[axis] !== 1)) {
    call.failModel(`cannot take axes ${formatShape(axes)} out of ${formatShape(shape)}`);
  }
  if (axes.length === 0) return input;
  return squeezed(call, input, axes, "");
};

export function squeezed(
  call: OpCall,
  { held, numbers }: GraphTensor,
  axes: readonly number[],
  what: string,
): GraphTensor {
  const layout = stays(held, axes, rankOf(held)) ? "channels-first" : "as-is";
  const x = call.inLayout(held, layout);
  const at = axes.map((axis) => heldAxis({ value: x, layout }, axis)).sort((a, b) => a - b);
  const shape = x.shape.filter((_, axis) => !at.includes(axis));
  const axesOf = call.ints(`${what}axes`, at);
  return call.result(call.node("Squeeze", [x, axesOf], what, shape), layout, numbers);
}

const expandDims: Emit = (call) => {
  const input = call.input(0);
  const rank = rankOf(input.held) + 1;
  return expanded(call, input, [call.axis(1, rank)], "");
};

/** With axes of size 1, which are counted in the result. */
export function expanded(
  call: OpCall,
  { held, numbers }: GraphTensor,
  axes: readonly number[],
  what: string,
): GraphTensor {
  const rank = rankOf(held) + axes.length;
  const layout = stays(held, axes, rank) ? "channels-first" : "as-is";
  const x = call.inLayout(held, layout);
  // Channels stand at 1 already: what comes into the space stands one further back.
  const at = axes.map((axis) => (layout === "as-is" ? axis : axis + 1)).sort((a, b) => a - b);
  const rest = [...x.shape];
  const shape = Array.from({ length: rank }, (_, axis) => (at.includes(axis) ? 1 : (rest.shift() as Dim)));
  const value = call.node("Unsqueeze", [x, call.ints(`${what}axes`, at)], what, shape);
  return call.result(value, layout, rank === 1 ? numbers : null);
}

const cast: Emit = (call) => {
  const { held, numbers } = call.input(0);
  const dtype = call.attributes.dtype("DstT", "float32");
  call.attributes.ignore("Truncate");
  return call.result(call.cast(held.value, dtype, ""), held.layout, dtype === "int32" ? numbers : null);
};

/** ONNX wants all beginnings, then all ends. */
function paddings(
  call: OpCall,
  held: Held,
): { readonly pads: readonly number[]; readonly shape: readonly Dim[] } {
  const rank = rankOf(held);
  const pairs = pairsOf(call, 1, rank, "paddings");
  const pads = Array<number>(2 * rank).fill(0);
  pairs.forEach(([before, after], tfjsAxis) => {
    const axis = heldAxis(held, tfjsAxis);
    pads[axis] = before;
    pads[axis + rank] = after;
  });
  const shape = held.value.shape.map((dim, axis) =>
    plus(dim, (pads[axis] as number) + (pads[axis + rank] as number)),
  );
  return { pads, shape };
}

/** `[rank, 2]` constant integers. */
export function pairsOf(
  call: OpCall,
  index: number,
  rank: number,
  what: string,
): (readonly [number, number])[] {
  const { constant } = call.input(index).held.value;
  if (!constant) return call.fail(`${what}: are computed from the data; qdg needs constants`);
  const list = Array.from(constant.data as ArrayLike<number>, Number);
  if (list.length !== 2 * rank || list.some((n) => n < 0)) {
    call.failModel(`${what}: got ${formatShape(list)}, expected two sizes for each of ${rank} axes`);
  }
  return Array.from({ length: rank }, (_, i) => [list[2 * i] as number, list[2 * i + 1] as number]);
}

const pad: Emit = (call) => {
  const { held } = call.input(0);
  const { pads, shape } = paddings(call, held);
  const { dtype } = held.value;
  const x =
    call.inputs.length > 2 ? call.number(2, "constant value") : call.attributes.number("constant_value", 0);
  const inputs = [held.value, call.ints("pads", pads), call.scalar("value", x, dtype)];
  return call.result(call.node("Pad", inputs, "", shape), held.layout);
};

const mirrorPad: Emit = (call) => {
  const { held } = call.input(0);
  const mode = call.attributes.choice("mode", ["REFLECT", "SYMMETRIC"], "REFLECT");
  const { pads, shape } = paddings(call, held);
  if (mode === "REFLECT") {
    const inputs = [held.value, call.ints("pads", pads)];
    return call.result(call.node("Pad", inputs, "", shape, { mode: "reflect" }), held.layout);
  }
  if (pads.some((n) => n > 1)) call.fail("mode SYMMETRIC: ONNX has it for borders of one element only");
  // The outermost element once more: what "edge" does for a border of one.
  const inputs = [held.value, call.ints("pads", pads)];
  return call.result(call.node("Pad", inputs, "", shape, { mode: "edge" }), held.layout);
};

const broadcastTo: Emit = (call) => {
  const x = call.asIs(call.input(0).held);
  const asked = call.numbers(1, "shape");
  const shape = broadcastShapes([x.shape, asked], call.where);
  const sizes = call.cast(call.input(1).held.value, "int64", "sizes");
  return call.result(call.node("Expand", [x, sizes], "", shape));
};

const tile: Emit = (call) => {
  const { held } = call.input(0);
  const rank = rankOf(held);
  const asked = call.known(1, "multiples");
  if (asked.length !== rank) call.failModel(`multiples: got ${formatShape(asked)} for ${rank} axes`);
  const repeats = held.value.shape.map(() => 1);
  asked.forEach((n, axis) => (repeats[heldAxis(held, axis)] = n));
  const shape = held.value.shape.map((dim, axis) => repeated(call, dim, repeats[axis] as number));
  return call.result(call.node("Tile", [held.value, call.ints("repeats", repeats)], "", shape), held.layout);
};

function repeated(call: OpCall, dim: Dim, n: number): Dim {
  if (n === 1) return dim;
  return typeof dim === "number" ? dim * n : call.fail(`repeats the axis of open size ${dim}`);
}

export const SHAPING_OPS: OpFamily = {
  BroadcastTo: broadcastTo,
  Cast: cast,
  EnsureShape: (call) => call.input(0),
  ExpandDims: expandDims,
  MirrorPad: mirrorPad,
  Pad: pad,
  PadV2: pad,
  Reshape: reshape,
  Squeeze: squeeze,
  Tile: tile,
};
