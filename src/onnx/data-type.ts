// Element types of the ONNX format: their numbers, names and sizes, and which of them a Tensor can hold.

import type { DType } from "../base/tensor.js";

/** Values of TensorProto.DataType for the types that a Tensor can hold. */
export const DATA_TYPE: { readonly [D in DType]: number } = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  uint4: 21,
  int4: 22,
};

/** Bits an element takes in raw_data. */
export const BITS_IN_FILE: { readonly [D in DType]: 4 | 8 | 16 | 32 | 64 } = {
  float32: 32,
  uint8: 8,
  int8: 8,
  uint16: 16,
  int16: 16,
  int32: 32,
  int64: 64,
  bool: 8,
  float16: 16,
  float64: 64,
  uint32: 32,
  uint64: 64,
  uint4: 4,
  int4: 4,
};

/** Names of all values of TensorProto.DataType, by number. */
export const DATA_TYPE_NAMES: readonly string[] = [
  "UNDEFINED",
  "FLOAT",
  "UINT8",
  "INT8",
  "UINT16",
  "INT16",
  "INT32",
  "INT64",
  "STRING",
  "BOOL",
  "FLOAT16",
  "DOUBLE",
  "UINT32",
  "UINT64",
  "COMPLEX64",
  "COMPLEX128",
  "BFLOAT16",
  "FLOAT8E4M3FN",
  "FLOAT8E4M3FNUZ",
  "FLOAT8E5M2",
  "FLOAT8E5M2FNUZ",
  "UINT4",
  "INT4",
  "FLOAT4E2M1",
  "FLOAT8E8M0",
  "UINT2",
  "INT2",
  "FLOAT6E2M3",
  "FLOAT6E3M2",
];

const DTYPES = new Map<number, DType>(
  (Object.keys(DATA_TYPE) as DType[]).map((dtype) => [DATA_TYPE[dtype], dtype]),
);

/** The name of a data type, for people: "FLOAT8E5M2", or "type 99". */
export function dataTypeName(dataType: number | undefined): string {
  return DATA_TYPE_NAMES[dataType ?? 0] ?? `type ${dataType}`;
}

/** undefined for the types that a Tensor does not hold: strings, complex numbers, 2-, 6- and 8-bit floats... */
export function dtypeOf(dataType: number | undefined): DType | undefined {
  return DTYPES.get(dataType ?? 0);
}
