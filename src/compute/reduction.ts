// Reductions over axes and the normalizations: sums in double, rounded once to float32.

import { floatAttribute, intAttribute, intsAttribute } from "../graph/graph.js";
import type { Tensor } from "../base/tensor.js";
import { sizeOf } from "../base/tensor.js";
import type { Call, Kernel } from "./kernel.js";
import {
  axisOf,
  float32At,
  inputAt,
  intsAt,
  invalid,
  newTensor,
  optionalInput,
  optionalInts,
  unsupported,
} from "./kernel.js";
import { around, stridesOf, walk } from "./shapes.js";

/** A function of the elements that one result is made of. */
type Reducer = (values: ArrayLike<number>, indices: Int32Array, start: number) => number;

export type ReducerName =
  | "ReduceSum"
  | "ReduceMean"
  | "ReduceMax"
  | "ReduceMin"
  | "ReduceProd"
  | "ReduceSumSquare"
  | "ReduceL2";

const REDUCERS: { readonly [name in ReducerName]: Reducer } = {
  ReduceSum: sum,
  ReduceMean: (values, indices, start) => sum(values, indices, start) / indices.length,
  ReduceMax: (values, indices, start) =>
    indices.reduce((best, at) => Math.max(best, values[start + at] as number), Number.NEGATIVE_INFINITY),
  ReduceMin: (values, indices, start) =>
    indices.reduce((best, at) => Math.min(best, values[start + at] as number), Number.POSITIVE_INFINITY),
  ReduceProd: (values, indices, start) =>
    indices.reduce((product, at) => product * (values[start + at] as number), 1),
  ReduceSumSquare: (values, indices, start) =>
    indices.reduce((total, at) => total + (values[start + at] as number) ** 2, 0),
  ReduceL2: (values, indices, start) =>
    Math.sqrt(indices.reduce((total, at) => total + (values[start + at] as number) ** 2, 0)),
};

function sum(values: ArrayLike<number>, indices: Int32Array, start: number): number {
  let total = 0;
  for (const at of indices) total += values[start + at] as number;
  return total;
}

/** Those that make integers of integers. */
const OF_INTEGERS: ReadonlySet<string> = new Set(["ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd"]);

/** ReduceSum, ReduceMean, ... over the axes of the second input; sums and products of integers up to 2^53. */
export function reduce(op: ReducerName): Kernel {
  return (call) => {
    const input = inputAt(call, 0);
    const { shape, dtype } = input;
    const selects = op === "ReduceMax" || op === "ReduceMin";
    const computes = dtype === "int64" || dtype === "int32" || (selects && dtype === "uint8");
    if (dtype !== "float32" && !(OF_INTEGERS.has(op) && computes)) {
      throw unsupported(call, `${op} of ${dtype}`);
    }
    const x = dtype === "int64" ? intsAt(call, 0) : (input.data as ArrayLike<number>);
    const axes = reducedAxes(call, shape.length);
    if (axes === null) return [inputAt(call, 0)];
    const keep = intAttribute(call.node, "keepdims", 1) !== 0;
    const strides = stridesOf(shape);
    const kept = shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
    const over = (list: readonly number[]): Int32Array =>
      walk(
        list.map((axis) => shape[axis] as number),
        list.map((axis) => strides[axis] as number),
        0,
      );
    const starts = over(kept);
    const inside = over(axes);
    const outputShape = keep
      ? shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim))
      : kept.map((axis) => shape[axis] as number);
    const y = newTensor(call, dtype, outputShape) as Tensor;
    starts.forEach((start, i) => {
      const result = REDUCERS[op](x, inside, start);
      if (dtype !== "float32" && !Number.isSafeInteger(result)) throw invalid(call, `${result} leaves 2^53`);
      y.data[i] = (dtype === "int64" ? BigInt(result) : result) as never;
    });
    return [y];
  };
}

/** Axes from the second input or the attribute; all when absent, none (null) with noop_with_empty_axes. */
function reducedAxes(call: Call, rank: number): number[] | null {
  const listed = optionalInts(call, 1) ?? intsAttribute(call.node, "axes") ?? [];
  if (listed.length === 0) {
    if (intAttribute(call.node, "noop_with_empty_axes", 0) !== 0) return null;
    return Array.from({ length: rank }, (_, axis) => axis);
  }
  return [...new Set(listed.map((axis) => axisOf(call, axis, rank)))].sort((a, b) => a - b);
}

/** `scale[c] * (x - mean[c]) / sqrt(variance[c] + epsilon) + bias[c]` (ONNX BatchNormalization, inference). */
export const batchNormalization: Kernel = (call) => {
  if (intAttribute(call.node, "training_mode", 0) !== 0) throw invalid(call, "training_mode is set");
  const x = float32At(call, 0);
  const [scale, bias, mean, variance] = [1, 2, 3, 4].map((index) => float32At(call, index)) as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const epsilon = floatAttribute(call.node, "epsilon", 1e-5);
  const { shape } = inputAt(call, 0);
  const [, C, inner] = around(shape, 1);
  for (const list of [scale, bias, mean, variance]) {
    if (list.length !== C) throw invalid(call, `got ${list.length} parameters, expected ${C}`);
  }
  const y = newTensor(call, "float32", shape);
  for (let i = 0; i < x.length; i++) {
    const c = Math.floor(i / inner) % C;
    const deviation = Math.sqrt((variance[c] as number) + epsilon);
    y.data[i] =
      ((scale[c] as number) * ((x[i] as number) - (mean[c] as number))) / deviation + (bias[c] as number);
  }
  return [y];
};

/** `scale * (x - mean) / sqrt(variance + epsilon) + bias` over the axes from `axis` on. */
export const layerNormalization: Kernel = (call) => {
  const x = float32At(call, 0);
  const scale = float32At(call, 1);
  const bias = optionalInput(call, 2) ? float32At(call, 2) : null;
  const epsilon = floatAttribute(call.node, "epsilon", 1e-5);
  const { shape } = inputAt(call, 0);
  const axis = axisOf(call, intAttribute(call.node, "axis", -1), shape.length);
  const size = sizeOf(shape.slice(axis));
  if (scale.length !== size || (bias && bias.length !== size)) {
    throw invalid(call, `got ${scale.length} scales, expected ${size}`);
  }
  const y = newTensor(call, "float32", shape);
  for (let start = 0; start < x.length; start += size) {
    let total = 0;
    for (let i = 0; i < size; i++) total += x[start + i] as number;
    const mean = total / size;
    let squares = 0;
    for (let i = 0; i < size; i++) squares += ((x[start + i] as number) - mean) ** 2;
    const deviation = Math.sqrt(squares / size + epsilon);
    for (let i = 0; i < size; i++) {
      const normal = ((x[start + i] as number) - mean) / deviation;
      y.data[start + i] = normal * (scale[i] as number) + (bias ? (bias[i] as number) : 0);
    }
  }
  return [y];
};
