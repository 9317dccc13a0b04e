// Element types and dense tensors in row-major order. Names of types are ONNX's, in lower case.

import { QdgError, type QdgErrorCode } from "./error.js";

interface DataByDType {
  float32: Float32Array;
  float64: Float64Array;
  int8: Int8Array;
  uint8: Uint8Array;
  int16: Int16Array;
  uint16: Uint16Array;
  int32: Int32Array;
  uint32: Uint32Array;
  int64: BigInt64Array;
  uint64: BigUint64Array;
  /** 0 or 1 */
  bool: Uint8Array;
  /** One element an entry, -8..7; packed two to a byte only in a file. */
  int4: Int8Array;
  /** One element an entry, 0..15; packed two to a byte only in a file. */
  uint4: Uint8Array;
  /** The 16 bits of each element. */
  float16: Uint16Array;
}

export type DType = keyof DataByDType;
export type DataOf<D extends DType> = DataByDType[D];

/** `data.length` is the product of `shape`; a scalar has shape []. */
export interface Tensor<D extends DType = DType> {
  readonly dtype: D;
  readonly shape: readonly number[];
  readonly data: DataOf<D>;
}

const ARRAYS: { readonly [D in DType]: new (length: number) => DataByDType[D] } = {
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
  int4: Int8Array,
  uint4: Uint8Array,
  float16: Uint16Array,
};

/** Number of elements of a shape; 1 for a scalar. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

/**
 * Elements of one tensor where a file or an option says how large it is: 1 GiB of float32. More is a broken or hostile
 * file, not a network that can be run here.
 */
export const MAX_ELEMENTS: number = 2 ** 28;

/**
 * The number of elements of a shape that is to be allocated; sizes that are open (names) count as 1.
 *
 * @param what the shape is of, for the message
 * @throws QdgError `code` for sizes that are none, and for more than MAX_ELEMENTS
 */
export function boundedSize(
  shape: readonly (number | string)[],
  code: QdgErrorCode,
  where: string,
  what: string,
): number {
  let size = 1;
  for (const dim of shape) {
    if (typeof dim === "string") continue;
    if (!Number.isInteger(dim) || dim < 0) {
      throw new QdgError(code, where, `${what} [${shape.join(", ")}], expected sizes of 0 or more`);
    }
    size *= dim;
  }
  if (size <= MAX_ELEMENTS) return size;
  throw new QdgError(
    code,
    where,
    `${what} [${shape.join(", ")}] has ${size} elements, expected at most ${MAX_ELEMENTS}`,
  );
}

/** A typed array of zeros for `length` elements of `dtype`. */
export function allocate<D extends DType>(dtype: D, length: number): DataOf<D> {
  return new ARRAYS[dtype](length);
}

/** Whether `data` is the typed array that holds elements of `dtype`; a Buffer is a Uint8Array. */
export function isDataOf(dtype: DType, data: unknown): boolean {
  return (
    ArrayBuffer.isView(data) && Object.prototype.toString.call(data) === `[object ${ARRAYS[dtype].name}]`
  );
}

/** The typed array that holds elements of `dtype`, as messages call it. */
export function arrayNameOf(dtype: DType): string {
  return ARRAYS[dtype].name;
}

/** @throws QdgError `internal` when the data does not fill the shape exactly */
export function tensor<D extends DType>(dtype: D, shape: readonly number[], data: DataOf<D>): Tensor<D> {
  if (data.length !== sizeOf(shape)) {
    throw new QdgError(
      "internal",
      "tensor",
      `got ${data.length} elements for shape [${shape.join(", ")}], expected ${sizeOf(shape)}`,
    );
  }
  return { dtype, shape, data };
}

export function float32(shape: readonly number[], data: ArrayLike<number>): Tensor<"float32"> {
  return tensor("float32", shape, data instanceof Float32Array ? data : Float32Array.from(data));
}

export function int64(shape: readonly number[], data: readonly number[]): Tensor<"int64"> {
  return tensor("int64", shape, BigInt64Array.from(data, BigInt));
}

/** Narrows a tensor to one type. @throws QdgError `internal` when it has another */
export function expectDType<D extends DType>(value: Tensor, dtype: D, where: string): Tensor<D> {
  if (value.dtype !== dtype) {
    throw new QdgError("internal", where, `got a ${value.dtype} tensor, expected ${dtype}`);
  }
  return value as Tensor<D>;
}

/**
 * `y[i0, i1, ...] = x[index with index[permutation[a]] = i_a]`, as ONNX Transpose.
 * A permutation of the axes; shapes follow it.
 */
export function transpose<D extends DType>(x: Tensor<D>, permutation: readonly number[]): Tensor<D> {
  const shape = permutation.map((axis) => x.shape[axis] as number);
  const inputStrides = x.shape.map((_, axis) => sizeOf(x.shape.slice(axis + 1)));
  const strides = permutation.map((axis) => inputStrides[axis] as number);
  const data = allocate(x.dtype, x.data.length);
  const index = shape.map(() => 0);
  let from = 0;
  for (let to = 0; to < data.length; to++) {
    data[to] = x.data[from] as never;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis] as number;
      index[axis] = (index[axis] as number) + 1;
      if ((index[axis] as number) < (shape[axis] as number)) break;
      from -= (strides[axis] as number) * (shape[axis] as number);
      index[axis] = 0;
    }
  }
  return { dtype: x.dtype, shape, data };
}
