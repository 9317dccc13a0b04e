// What runs over axes: sums, means, extremes, where they are, and sums so far.

import { int64 } from "../../../base/tensor.js";
import type { Dim, Value } from "../../../graph/graph.js";
import { type Held, heldAxis, type Layout, rankOf } from "../../held.js";
import { type Emit, type OpCall, type OpFamily } from "../call.js";
import { constantOf, type GraphTensor } from "../tensors.js";

/** What a reduction gives: the value's shape, its layout, and the axes as ONNX counts them in the value. */
interface Reduced {
  readonly x: Value;
  readonly axes: readonly number[];
  readonly shape: readonly Dim[];
  readonly layout: Layout;
}

/**
 * The tensor and axes of a reduction. Channels first stay so where batch and channels stay; where the channels go, the
 * rest is in tfjs's order anyway.
 */
function reduced(call: OpCall, held: Held, tfjsAxes: readonly number[], keepDims: boolean): Reduced {
  const rank = rankOf(held);
  let { value: x, layout } = held;
  if (!keepDims && layout === "channels-first" && tfjsAxes.includes(0) && !tfjsAxes.includes(rank - 1)) {
    x = call.asIs(held);
    layout = "as-is";
  }
  const axes = tfjsAxes.map((axis) => heldAxis({ value: x, layout }, axis)).sort((a, b) => a - b);
  const shape = keepDims
    ? x.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim))
    : x.shape.filter((_, axis) => !axes.includes(axis));
  const after = keepDims || !tfjsAxes.includes(rank - 1) ? layout : "as-is";
  return { x, axes, shape, layout: after };
}

/** The axes that input 1 names, each once. */
function axesOf(call: OpCall, rank: number): number[] {
  const constant = constantOf(call.input(1));
  if (!constant) return call.fail("axis: is computed from the data; qdg needs a constant");
  const axes = Array.from(constant.data as ArrayLike<number | bigint>, (axis) =>
    call.axisOf(Number(axis), rank),
  );
  return [...new Set(axes)];
}

type ReduceOp = "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin" | "ReduceProd" | "ReduceL2";

/** Over the whole space of an image ONNX has operators of its own, which quantize. */
const GLOBAL: Readonly<Partial<Record<ReduceOp, string>>> = {
  ReduceMean: "GlobalAveragePool",
  ReduceMax: "GlobalMaxPool",
};

function reduce(op: ReduceOp): Emit {
  return (call) => {
    const keepDims =
      call.attributes.boolean("keep_dims", false) || call.attributes.boolean("keepdims", false);
    const input = call.input(0);
    const held = op === "ReduceMean" || op === "ReduceL2" ? call.real(0) : input.held;
    const axes = axesOf(call, rankOf(held));
    if (axes.length === 0) return call.result(held.value, held.layout);
    const global = held.value.dtype === "float32" ? GLOBAL[op] : undefined;
    if (global && isSpace(axes, rankOf(held))) return pooled(call, held, global, keepDims);
    const { x, axes: at, shape, layout } = reduced(call, held, axes, keepDims);
    const result = call.node(op, [x, call.ints("axes", at)], "", shape, { keepdims: keepDims ? 1 : 0 });
    return call.result(result, layout, op === "ReduceProd" ? productOf(input, shape) : null);
  };
}

function isSpace(axes: readonly number[], rank: number): boolean {
  return rank > 2 && axes.length === rank - 2 && axes.every((axis) => axis > 0 && axis < rank - 1);
}

function pooled(call: OpCall, held: Held, op: string, keepDims: boolean): GraphTensor {
  const x = call.channelsFirst(held);
  const kept = x.shape.slice(0, 2);
  const shape = [...kept, ...x.shape.slice(2).map(() => 1)];
  const pool = call.node(op, [x], keepDims ? "" : "pool", shape);
  return keepDims ? call.result(pool, "channels-first") : call.result(call.reshape(pool, "", kept));
}

/** The product of a list of sizes. */
function productOf({ numbers }: GraphTensor, shape: readonly Dim[]): readonly number[] | null {
  if (!numbers || shape.length > 0 || !numbers.every((n) => typeof n === "number")) return null;
  return [numbers.reduce((a, b) => a * b, 1)];
}

/** Of booleans: the largest or the least of 0 and 1. */
function reduceLogic(op: "ReduceMax" | "ReduceMin"): Emit {
  return (call) => {
    const keepDims = call.attributes.boolean("keep_dims", false);
    const { value, layout } = call.input(0).held;
    const numbers = { value: call.cast(value, "int32", "numbers"), layout };
    const axes = axesOf(call, rankOf(numbers));
    if (axes.length === 0) return call.input(0);
    const { x, axes: at, shape, layout: after } = reduced(call, numbers, axes, keepDims);
    const attributes = { keepdims: keepDims ? 1 : 0 };
    const result = call.node(op, [x, call.ints("axes", at)], "result", shape, attributes);
    return call.result(call.cast(result, "bool", ""), after);
  };
}

/** Index of the largest or least along one axis, the first of several. */
function argument(op: "ArgMax" | "ArgMin"): Emit {
  return (call) => {
    const { value, layout } = call.input(0).held;
    const held = { value: value.dtype === "bool" ? call.cast(value, "int32", "numbers") : value, layout };
    const axis = call.inputs.length > 1 ? call.axis(1, rankOf(held)) : 0;
    call.attributes.ignore("output_type");
    const { x, axes, shape, layout: after } = reduced(call, held, [axis], false);
    const attributes = { axis: axes[0] as number, keepdims: 0 };
    const index = call.node(op, [x], "index", shape, attributes, { dtype: "int64" });
    return call.result(call.cast(index, "int32", ""), after);
  };
}

/** `y[i] = sum over j <= i of x[j]` along an axis; exclusive: `j < i`; reverse: from the end. */
const cumsum: Emit = (call) => {
  const { held } = call.input(0);
  const axis = heldAxis(held, call.axis(1, rankOf(held)));
  const exclusive = call.attributes.boolean("exclusive", false) ? 1 : 0;
  const reverse = call.attributes.boolean("reverse", false) ? 1 : 0;
  const at = call.constant("axis", int64([], [axis]));
  const sum = call.node("CumSum", [held.value, at], "", held.value.shape, { exclusive, reverse });
  return call.result(sum, held.layout);
};

export const REDUCTION_OPS: OpFamily = {
  All: reduceLogic("ReduceMin"),
  Any: reduceLogic("ReduceMax"),
  ArgMax: argument("ArgMax"),
  ArgMin: argument("ArgMin"),
  Cumsum: cumsum,
  EuclideanNorm: reduce("ReduceL2"),
  Max: reduce("ReduceMax"),
  Mean: reduce("ReduceMean"),
  Min: reduce("ReduceMin"),
  Prod: reduce("ReduceProd"),
  Sum: reduce("ReduceSum"),
};
