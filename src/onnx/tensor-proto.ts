// TensorProto to Tensor and back. Sizes are checked against the data before anything is allocated; data in
// another file is read by whoever knows where that is (external-data.ts). Values are never converted: float16 stays 16 bits.

import { fromLittleEndian, toLittleEndian } from "../base/little-endian.js";
import { QdgError } from "../base/error.js";
import type { DataOf, DType, Tensor } from "../base/tensor.js";
import { allocate } from "../base/tensor.js";
import { BITS_IN_FILE, DATA_TYPE, dataTypeName, dtypeOf } from "./data-type.js";
import type { Int64, StringStringEntryProto, TensorProto } from "./model-proto.js";

/** Finds the `sizeBytes` bytes of a tensor that lie in another file, by what its TensorProto says of them (external-data.ts). */
export type ExternalData = (
  entries: readonly StringStringEntryProto[],
  sizeBytes: number,
  where: string,
) => Uint8Array;

/**
 * A TensorProto with raw_data: little endian; int4 and uint4 two to a byte, the first in the low half,
 * an odd one out padded with 0. Data is shared, not copied, where the machine is little endian.
 */
export function tensorToProto(tensor: Tensor, name?: string): TensorProto {
  const rawData =
    BITS_IN_FILE[tensor.dtype] === 4
      ? packNibbles(tensor.data as Int8Array | Uint8Array)
      : toLittleEndian(tensor.data, BITS_IN_FILE[tensor.dtype] / 8);
  return {
    ...(tensor.shape.length > 0 ? { dims: tensor.shape } : {}),
    dataType: DATA_TYPE[tensor.dtype],
    ...(name === undefined ? {} : { name }),
    rawData,
  };
}

/**
 * The tensor in raw_data, in the typed list of its data type, or in another file. Its data may be a view on the
 * bytes that were decoded.
 *
 * @param external for data in other files; without it those are refused
 * @throws QdgError `unsupported-op` for a data type that a Tensor cannot hold; `invalid-onnx` for dims below
 * 0 or beyond what fits, data of another length, two kinds of data, integers out of range; `invalid-path`,
 * `not-found` for other files
 */
export function protoToTensor(
  proto: TensorProto,
  where = `tensor ${proto.name ?? ""}`,
  external?: ExternalData,
): Tensor {
  const { dtype, shape, length, sizeBytes, source } = layoutOf(proto, where);
  if (source === "external") {
    if (!external) {
      throw new QdgError(
        "not-found",
        where,
        "its data is in another file, and the model's folder is not known; open the model by its path",
      );
    }
    const bytes = external(proto.externalData ?? [], sizeBytes, where);
    return { dtype, shape, data: fromRaw(bytes, dtype, length, where) };
  }
  if (source === "rawData") {
    return { dtype, shape, data: fromRaw(proto.rawData as Uint8Array, dtype, length, where) };
  }
  return { dtype, shape, data: fromList(proto, source, dtype, length) };
}

interface Layout {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Elements. */
  readonly length: number;
  readonly sizeBytes: number;
  readonly source: "external" | (typeof LISTS)[number] | undefined;
}

/**
 * Type, shape and place of a tensor's data, whose amount and range are checked; data in another file is not
 * looked at.
 *
 * @throws QdgError as protoToTensor
 */
export function layoutOf(proto: TensorProto, where: string): Layout {
  const dtype = dtypeOf(proto.dataType);
  if (!dtype) {
    throw new QdgError(
      "unsupported-op",
      where,
      `has element type ${dataTypeName(proto.dataType)}, which qdg cannot compute with; expected one of ${Object.keys(DATA_TYPE).join(", ")}`,
    );
  }
  if (proto.segment) throw invalid(where, "is a segment of a tensor; store it whole");
  const shape = (proto.dims ?? []).map((dim) => checkedDim(dim, where));
  const length = checkedLength(shape, where);
  const sizeBytes = Math.ceil((length * BITS_IN_FILE[dtype]) / 8);
  const lists = LISTS.filter((key) => proto[key] !== undefined);
  const external = proto.dataLocation === 1;
  if (lists.length > 1 || (external && lists.length > 0)) {
    throw invalid(
      where,
      `has data in ${[...(external ? ["another file"] : []), ...lists].join(" and ")}, expected one`,
    );
  }
  const [list] = lists;
  if (!external) checkAmount(proto, list, dtype, shape, where);
  return { dtype, shape, length, sizeBytes, source: external ? "external" : list };
}

/** Elements of int4 or uint4, two to a byte, low half first. */
export function packNibbles(elements: Int8Array | Uint8Array): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(elements.length / 2));
  for (let i = 0; i < elements.length; i++) {
    bytes[i >> 1] = (bytes[i >> 1] as number) | (((elements[i] as number) & 15) << (4 * (i & 1)));
  }
  return bytes;
}

/** `length` elements of int4 (signed) or uint4 from their packed bytes. */
export function unpackNibbles(bytes: Uint8Array, length: number, signed: boolean): Int8Array | Uint8Array {
  const elements = signed ? new Int8Array(length) : new Uint8Array(length);
  for (let i = 0; i < length; i++) {
    const nibble = ((bytes[i >> 1] as number) >> (4 * (i & 1))) & 15;
    elements[i] = signed && nibble > 7 ? nibble - 16 : nibble;
  }
  return elements;
}

const LISTS = [
  "rawData",
  "floatData",
  "int32Data",
  "stringData",
  "int64Data",
  "doubleData",
  "uint64Data",
] as const;

/** The list that holds elements of a type when raw_data does not. */
const LIST_OF: { readonly [D in DType]: (typeof LISTS)[number] } = {
  float32: "floatData",
  float64: "doubleData",
  int8: "int32Data",
  uint8: "int32Data",
  int16: "int32Data",
  uint16: "int32Data",
  int32: "int32Data",
  uint32: "uint64Data",
  int64: "int64Data",
  uint64: "uint64Data",
  bool: "int32Data",
  int4: "int32Data",
  uint4: "int32Data",
  float16: "int32Data",
};

/** Ranges of what the lists hold; int4 and uint4 stand there as packed bytes, of either sign. */
const RANGES: { readonly [D in DType]?: readonly [number, number] } = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
  uint16: [0, 65535],
  uint32: [0, 4294967295],
  bool: [0, 1],
  int4: [-128, 255],
  uint4: [-128, 255],
  float16: [0, 65535],
};

type TypedArray = DataOf<DType>;

function fromRaw(bytes: Uint8Array, dtype: DType, length: number, where: string): TypedArray {
  const bits = BITS_IN_FILE[dtype];
  if (bits === 4) return unpackNibbles(bytes, length, dtype === "int4");
  if (dtype === "bool" && bytes.some((byte) => byte > 1))
    throw invalid(where, "has a bool other than 0 and 1");
  const size = bits / 8;
  const Type = allocate(dtype, 0).constructor as new (
    buffer: ArrayBufferLike,
    at: number,
    length: number,
  ) => TypedArray;
  // A view needs the alignment of its elements, and their order in the file to be that of the machine.
  const inPlace = bytes.byteOffset % size === 0 && toLittleEndian(bytes, size).buffer === bytes.buffer;
  return inPlace
    ? new Type(bytes.buffer, bytes.byteOffset, length)
    : new Type(fromLittleEndian(bytes, size), 0, length);
}

function checkAmount(
  proto: TensorProto,
  list: (typeof LISTS)[number] | undefined,
  dtype: DType,
  shape: readonly number[],
  where: string,
): void {
  const length = checkedLength(shape, where);
  const type = `${dtype} [${shape.join(", ")}]`;
  const packed = BITS_IN_FILE[dtype] === 4;
  if (list === undefined) {
    if (length > 0) throw invalid(where, `has no data, expected ${length} elements for ${type}`);
    return;
  }
  if (list === "rawData") {
    const sizeBytes = Math.ceil((length * BITS_IN_FILE[dtype]) / 8);
    const got = proto.rawData?.length;
    if (got !== sizeBytes)
      throw invalid(where, `has ${got} bytes of data, expected ${sizeBytes} for ${type}`);
    return;
  }
  if (list !== LIST_OF[dtype]) {
    throw invalid(where, `has data in ${list}, expected rawData or ${LIST_OF[dtype]} for ${type}`);
  }
  const entries = proto[list] as TypedArray;
  const expected = packed ? Math.ceil(length / 2) : length;
  if (entries.length !== expected) {
    throw invalid(where, `has ${entries.length} entries in ${list}, expected ${expected} for ${type}`);
  }
  const range = RANGES[dtype];
  if (!range) return;
  for (const entry of entries) {
    if (entry < range[0] || entry > range[1]) {
      throw invalid(where, `has ${entry} in ${list}, expected ${range[0]}..${range[1]} for ${dtype}`);
    }
  }
}

function fromList(
  proto: TensorProto,
  list: (typeof LISTS)[number] | undefined,
  dtype: DType,
  length: number,
): TypedArray {
  if (list === undefined) return allocate(dtype, length);
  const entries = proto[list] as TypedArray;
  if (BITS_IN_FILE[dtype] === 4) {
    return unpackNibbles(Uint8Array.from(entries as Int32Array), length, dtype === "int4");
  }
  if (dtype === "uint32") return Uint32Array.from(entries as BigUint64Array, Number);
  const data = allocate(dtype, 0);
  if (data.constructor === entries.constructor) return entries;
  const copy = allocate(dtype, length);
  copy.set(entries as never);
  return copy;
}

function checkedDim(dim: Int64, where: string): number {
  if (typeof dim === "number" && dim >= 0) return dim;
  throw invalid(where, `has a dimension of ${dim}, expected 0..2^53-1`);
}

function checkedLength(shape: readonly number[], where: string): number {
  // A dimension of 0 leaves no elements, however large the others are.
  const length = shape.includes(0) ? 0 : shape.reduce((product, dim) => product * dim, 1);
  if (length > 2 ** 40) throw invalid(where, `has shape [${shape.join(", ")}], which is beyond any file`);
  return length;
}

function invalid(where: string, what: string): QdgError {
  return new QdgError("invalid-onnx", where, what);
}
