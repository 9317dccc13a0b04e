// What computes an operator: a pure function from tensors to tensors. Kernels check
// what they are given and refuse what they do not compute exactly; they never approximate.

import { QdgError } from "../base/error.js";
import type { DataOf, DType, Tensor } from "../base/tensor.js";
import { allocate, boundedSize } from "../base/tensor.js";
import type { Node } from "../graph/graph.js";

/** One evaluation of one node. An input that is left out is null. */
export interface Call {
  readonly node: Node;
  readonly inputs: readonly (Tensor | null)[];
}

export type Kernel = (call: Call) => readonly Tensor[];

/** Kernels by ONNX name. */
export type Operators = ReadonlyMap<string, Kernel>;

/** @throws QdgError `unsupported-op` */
export function kernelOf(node: Node, operators: Operators): Kernel {
  const kernel = node.domain === "" ? operators.get(node.op) : undefined;
  if (!kernel) {
    throw new QdgError(
      "unsupported-op",
      whereOf(node),
      "the reference interpreter has no such operator; run this model on cpu or wasm",
    );
  }
  return kernel;
}

export type NumberData = Exclude<Tensor["data"], BigInt64Array | BigUint64Array>;

/** The node as messages name it: `origin (Op)`. */
export function whereOf(node: Node): string {
  return `${node.origin} (${node.op})`;
}

/** @throws QdgError `invalid-graph` when the input is left out */
export function inputAt(call: Call, index: number): Tensor {
  const input = call.inputs[index];
  if (!input) throw invalid(call, `input ${index} is missing`);
  return input;
}

export function optionalInput(call: Call, index: number): Tensor | null {
  return call.inputs[index] ?? null;
}

/** Elements as plain numbers, without a copy. @throws QdgError `unsupported-op` for 64-bit and float16 data */
export function numbersAt(call: Call, index: number): NumberData {
  return numbersOf(call, inputAt(call, index));
}

export function numbersOf(call: Call, value: Tensor): NumberData {
  if (value.dtype === "float16" || isBig(value)) {
    throw unsupported(call, `input of type ${value.dtype}; cast it first`);
  }
  return value.data as NumberData;
}

/** @throws QdgError `unsupported-op` unless the input is float32 */
export function float32At(call: Call, index: number): Float32Array {
  const value = inputAt(call, index);
  if (value.dtype !== "float32")
    throw unsupported(call, `input ${index}: got ${value.dtype}, expected float32`);
  return value.data as Float32Array;
}

export function isBig(value: Tensor): value is Tensor<"int64"> | Tensor<"uint64"> {
  return value.dtype === "int64" || value.dtype === "uint64";
}

/** A list of integers (shape, axes, pads...) from an int32 or int64 input. */
export function intsAt(call: Call, index: number): number[] {
  const value = inputAt(call, index);
  if (value.dtype !== "int64" && value.dtype !== "int32") {
    throw invalid(call, `input ${index}: got ${value.dtype}, expected int64 or int32`);
  }
  return Array.from(value.data as ArrayLike<bigint | number>, (item) => {
    const number = Number(item);
    if (!Number.isSafeInteger(number)) throw invalid(call, `input ${index}: got ${item}, beyond 2^53`);
    return number;
  });
}

export function optionalInts(call: Call, index: number): number[] | null {
  return optionalInput(call, index) ? intsAt(call, index) : null;
}

/** Zeros. @throws QdgError `invalid-graph` for a shape that no tensor here may have; checked before allocating */
export function newTensor<D extends DType>(
  call: Call,
  dtype: D,
  shape: readonly number[],
): { readonly dtype: D; readonly shape: readonly number[]; readonly data: DataOf<D> } {
  return { dtype, shape, data: allocate(dtype, checkedSize(call, shape)) };
}

/** Elements of an output. @throws QdgError `invalid-graph` for a shape that no tensor here may have */
export function checkedSize(call: Call, shape: readonly number[]): number {
  return boundedSize(shape, "invalid-graph", whereOf(call.node), "output shape");
}

/** An axis counted from either end. @throws QdgError `invalid-graph` outside -rank..rank-1 */
export function axisOf(call: Call, axis: number, rank: number): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    throw invalid(call, `axis: got ${axis}, expected ${-rank}..${rank - 1}`);
  }
  return axis < 0 ? axis + rank : axis;
}

export function invalid(call: Call, what: string): QdgError {
  return new QdgError("invalid-graph", whereOf(call.node), what);
}

export function unsupported(call: Call, what: string): QdgError {
  return new QdgError(
    "unsupported-op",
    whereOf(call.node),
    `the reference interpreter does not compute ${what}`,
  );
}
