// Opsets, and what is asked of the table of operators. No code for computing them.

import { QdgError } from "../base/error.js";
import type { DType, Tensor } from "../base/tensor.js";
import type { Attribute } from "../graph/graph.js";
import { dtypeOf } from "./data-type.js";
import { type Operator, OPERATORS, type TypeClass } from "./operator-table.js";

/** Opsets that qdg writes, and the newest it reads: 18 brought the bitwise operators and axes as inputs, ONNX Runtime 1.30 reads to 26. */
export const MIN_OPSET = 18;
export const MAX_OPSET = 26;
export const DEFAULT_OPSET = 21;

/** From here on there are int4 and uint4. */
export const INT4_OPSET = 21;

const IR_VERSIONS: Readonly<Record<number, number>> = {
  18: 8,
  19: 9,
  20: 9,
  21: 10,
  22: 10,
  23: 11,
  24: 12,
  25: 13,
  26: 13,
};

/**
 * The IR version that came with an opset, which every runtime with that opset reads.
 *
 * @throws QdgError `usage` outside 18..26
 */
export function irVersionFor(opset: number): number {
  const irVersion = IR_VERSIONS[opset];
  if (irVersion === undefined) {
    throw new QdgError(
      "usage",
      "opset",
      `got ${opset}, expected ${MIN_OPSET}..${MAX_OPSET}; leave it out for ${DEFAULT_OPSET}`,
    );
  }
  return irVersion;
}

const FLOATS: readonly DType[] = ["float32", "float64", "float16"];
const UNSIGNED: readonly DType[] = ["uint8", "uint16", "uint32", "uint64"];
const BYTES: readonly DType[] = ["int8", "uint8"];
const INTEGERS: readonly DType[] = [...UNSIGNED, "int8", "int16", "int32", "int64"];
const CLASSES: { readonly [C in Exclude<TypeClass, "any">]: readonly DType[] } = {
  float: FLOATS,
  unsigned: UNSIGNED,
  integer: INTEGERS,
  numeric: [...FLOATS, ...INTEGERS],
  "whole-byte": [...FLOATS, ...INTEGERS, "bool"],
  signed: [...FLOATS, "int8", "int16", "int32", "int64"],
  "8-bit integer": BYTES,
  "float or 8-bit integer": [...FLOATS, ...BYTES],
  "float or wide integer": [...FLOATS, "int32", "int64", "uint32", "uint64"],
  "float or int32": [...FLOATS, "int32"],
  bool: ["bool"],
};

export function isInClass(dtype: DType, types: TypeClass): boolean {
  return types === "any" || CLASSES[types].includes(dtype);
}

/** Operators all of whose inputs have one element type. */
const SAME_TYPE: ReadonlySet<string> = new Set(
  (
    "Add And BitShift BitwiseAnd BitwiseOr BitwiseXor Clip Concat Conv ConvTranspose Div Einsum Equal Gemm Greater " +
    "GreaterOrEqual InstanceNormalization LayerNormalization Less LessOrEqual MatMul Max Mean Min Mod Mul Or PRelu Range Sub Sum Xor"
  ).split(" "),
);

export function needsOneType(opName: string): boolean {
  return SAME_TYPE.has(opName);
}

/** undefined for one that qdg does not know. */
export function operator(name: string): Operator | undefined {
  return OPERATORS.get(name);
}

/** Names of all operators in the table. */
export function operatorNames(): string[] {
  return [...OPERATORS.keys()];
}

/** Whether leaving the attribute out means the same. */
export function isDefaultAttribute(opName: string, name: string, value: Attribute): boolean {
  const known = OPERATORS.get(opName);
  if (!known) return false;
  if (Object.hasOwn(known.listDefaults, name)) {
    return Array.isArray(value) && value.every((item) => item === known.listDefaults[name]);
  }
  const meant = Object.hasOwn(known.defaults, name) ? known.defaults[name] : undefined;
  if (meant === undefined) return false;
  if (typeof meant === "object" && "float" in meant) {
    // The file holds float32.
    return (
      typeof value === "object" &&
      "float" in value &&
      Object.is(Math.fround(value.float), Math.fround(meant.float))
    );
  }
  return value === meant;
}

/**
 * The element type of output `index`.
 *
 * @param inputs types of the inputs; undefined where one is left out or its type is not known
 * @returns undefined when it cannot be said: an operator that is not in the table, an input of unknown type
 */
export function resultType(
  opName: string,
  attributes: Readonly<Record<string, Attribute>>,
  inputs: readonly (DType | undefined)[],
  index: number,
): DType | undefined {
  const results = OPERATORS.get(opName)?.results;
  const result = results?.[Math.min(index, results.length - 1)];
  if (result === undefined) return undefined;
  if (typeof result === "number") return inputs[result];
  if (result !== "own") return result;
  const given = attributes["output_dtype"];
  const asked = typeof given === "number" && given !== 0 ? dtypeOf(given) : undefined;
  switch (opName) {
    case "Cast":
      return typeof attributes["to"] === "number" ? dtypeOf(attributes["to"]) : undefined;
    case "QuantizeLinear":
      return asked ?? (inputs.length > 2 ? inputs[2] : "uint8");
    case "DequantizeLinear":
      return asked ?? inputs[1];
    case "EyeLike":
      return typeof attributes["dtype"] === "number" ? dtypeOf(attributes["dtype"]) : inputs[0];
    case "ConstantOfShape":
      return attributes["value"] === undefined ? "float32" : (attributes["value"] as Tensor).dtype;
    default:
      return undefined;
  }
}
