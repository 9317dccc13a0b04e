// The standard operators that qdg writes and understands: since when they have the form it uses, how many
// inputs and outputs they take, their element types, and attribute values that need not be written.
// Facts of the ONNX operator sets (checked against the official schemas); no code for computing them.

import { QdgError } from "../base/error.js";
import type { DType, Tensor } from "../base/tensor.js";
import type { Attribute } from "../graph/graph.js";
import { dtypeOf } from "./data-type.js";

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

/** Element types of the first input. */
export type TypeClass =
  | "any"
  | "whole-byte"
  | "numeric"
  | "float"
  | "integer"
  | "unsigned"
  | "signed"
  | "8-bit integer"
  | "float or 8-bit integer"
  | "float or wide integer"
  | "float or int32"
  | "bool";

/** Element type of an output: that of an input (its index), a fixed one, or a rule of its own. */
type Result = number | DType | "own";

export interface Operator {
  /** The first opset in which the operator has the form that later ones keep. */
  readonly since: number;
  readonly inputs: readonly [min: number, max: number];
  readonly outputs: readonly [min: number, max: number];
  readonly types: TypeClass;
  /** Of the outputs in order; the last one stands for all that follow. */
  readonly results: readonly Result[];
  /** Values that are meant where an attribute is absent. */
  readonly defaults: Readonly<Record<string, Attribute>>;
  /** The same for lists that have this number everywhere. */
  readonly listDefaults: Readonly<Record<string, number>>;
}

/** Stands for "any number". */
const MANY = 2 ** 31 - 1;

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

function op(
  since: number,
  inputs: number | readonly [number, number],
  types: TypeClass,
  more: {
    readonly results?: readonly Result[];
    readonly outputs?: readonly [number, number];
    readonly defaults?: Readonly<Record<string, Attribute>>;
    readonly listDefaults?: Readonly<Record<string, number>>;
  } = {},
): Operator {
  return {
    since,
    inputs: typeof inputs === "number" ? [inputs, inputs] : inputs,
    outputs: more.outputs ?? [1, 1],
    types,
    results: more.results ?? [0],
    defaults: more.defaults ?? {},
    listDefaults: more.listDefaults ?? {},
  };
}

const float = (value: number): { float: number } => ({ float: value });
const compare = (since: number): Operator => op(since, 2, "numeric", { results: ["bool"] });
const logic = op(7, 2, "bool", { results: ["bool"] });
const reduce = (since: number, types: TypeClass = "float or wide integer"): Operator =>
  op(since, [1, 2], types, { defaults: { keepdims: 1, noop_with_empty_axes: 0 } });
const argReduce = op(13, 1, "numeric", {
  results: ["int64"],
  defaults: { axis: 0, keepdims: 1, select_last_index: 0 },
});
const CONV_LISTS = { strides: 1, dilations: 1, pads: 0 };
const CONV = { auto_pad: "NOTSET", group: 1 };

const OPERATORS: ReadonlyMap<string, Operator> = new Map(
  Object.entries({
    Abs: op(6, 1, "numeric"),
    Acos: op(7, 1, "float"),
    Acosh: op(9, 1, "float"),
    Add: op(7, 2, "numeric"),
    And: logic,
    ArgMax: argReduce,
    ArgMin: argReduce,
    Asin: op(7, 1, "float"),
    Asinh: op(9, 1, "float"),
    Atan: op(7, 1, "float"),
    Atanh: op(9, 1, "float"),
    AveragePool: op(7, 1, "float", {
      defaults: { auto_pad: "NOTSET", ceil_mode: 0, count_include_pad: 0 },
      listDefaults: CONV_LISTS,
    }),
    BatchNormalization: op(9, 5, "float", {
      outputs: [1, 3],
      defaults: { epsilon: float(1e-5), momentum: float(0.9), training_mode: 0 },
    }),
    BitShift: op(11, 2, "unsigned"),
    BitwiseAnd: op(18, 2, "integer"),
    BitwiseNot: op(18, 1, "integer"),
    BitwiseOr: op(18, 2, "integer"),
    BitwiseXor: op(18, 2, "integer"),
    Cast: op(6, 1, "any", { results: ["own"], defaults: { saturate: 1, round_mode: "up" } }),
    Ceil: op(6, 1, "float"),
    Celu: op(12, 1, "float", { defaults: { alpha: float(1) } }),
    Clip: op(11, [1, 3], "numeric"),
    Concat: op(4, [1, MANY], "whole-byte"),
    Constant: op(1, 0, "any", { results: ["own"] }),
    ConstantOfShape: op(9, 1, "integer", { results: ["own"] }),
    Conv: op(1, [2, 3], "float", { defaults: CONV, listDefaults: CONV_LISTS }),
    ConvInteger: op(10, [2, 4], "8-bit integer", {
      results: ["int32"],
      defaults: CONV,
      listDefaults: CONV_LISTS,
    }),
    ConvTranspose: op(1, [2, 3], "float", {
      defaults: CONV,
      listDefaults: { ...CONV_LISTS, output_padding: 0 },
    }),
    Cos: op(7, 1, "float"),
    Cosh: op(9, 1, "float"),
    CumSum: op(11, 2, "float or wide integer", { defaults: { exclusive: 0, reverse: 0 } }),
    DepthToSpace: op(11, 1, "whole-byte", { defaults: { mode: "DCR" } }),
    DequantizeLinear: op(10, [2, 3], "any", {
      results: ["own"],
      defaults: { axis: 1, block_size: 0, output_dtype: 0 },
    }),
    Div: op(7, 2, "numeric"),
    Dropout: op(7, [1, 3], "float", { results: [0, "bool"], outputs: [1, 2] }),
    Einsum: op(12, [1, MANY], "numeric"),
    Elu: op(6, 1, "float", { defaults: { alpha: float(1) } }),
    Equal: op(7, 2, "whole-byte", { results: ["bool"] }),
    Erf: op(9, 1, "float"),
    Exp: op(6, 1, "float"),
    Expand: op(8, 2, "whole-byte"),
    Flatten: op(1, 1, "any", { defaults: { axis: 1 } }),
    Floor: op(6, 1, "float"),
    Gather: op(1, 2, "whole-byte", { defaults: { axis: 0 } }),
    GatherElements: op(11, 2, "whole-byte", { defaults: { axis: 0 } }),
    GatherND: op(12, 2, "whole-byte", { defaults: { batch_dims: 0 } }),
    Gelu: op(20, 1, "float", { defaults: { approximate: "none" } }),
    Gemm: op(7, [2, 3], "float or wide integer", {
      defaults: { alpha: float(1), beta: float(1), transA: 0, transB: 0 },
    }),
    GlobalAveragePool: op(1, 1, "float"),
    GlobalMaxPool: op(1, 1, "float"),
    Greater: compare(9),
    GreaterOrEqual: compare(12),
    HardSigmoid: op(6, 1, "float", { defaults: { alpha: float(0.2), beta: float(0.5) } }),
    HardSwish: op(14, 1, "float"),
    Identity: op(1, 1, "any"),
    InstanceNormalization: op(6, 3, "float", { defaults: { epsilon: float(1e-5) } }),
    IsInf: op(10, 1, "float", { results: ["bool"], defaults: { detect_negative: 1, detect_positive: 1 } }),
    IsNaN: op(9, 1, "float", { results: ["bool"] }),
    LayerNormalization: op(17, [2, 3], "float", {
      outputs: [1, 3],
      results: [0, "float32"],
      defaults: { axis: -1, epsilon: float(1e-5), stash_type: 1 },
    }),
    LeakyRelu: op(6, 1, "float", { defaults: { alpha: float(0.01) } }),
    Less: compare(9),
    LessOrEqual: compare(12),
    Log: op(6, 1, "float"),
    LogSoftmax: op(13, 1, "float", { defaults: { axis: -1 } }),
    MatMul: op(1, 2, "float or wide integer"),
    MatMulInteger: op(10, [2, 4], "8-bit integer", { results: ["int32"] }),
    Max: op(8, [1, MANY], "numeric"),
    MaxPool: op(1, 1, "float or 8-bit integer", {
      outputs: [1, 2],
      results: [0, "int64"],
      defaults: { auto_pad: "NOTSET", ceil_mode: 0, storage_order: 0 },
      listDefaults: CONV_LISTS,
    }),
    Mean: op(8, [1, MANY], "float"),
    Min: op(8, [1, MANY], "numeric"),
    Mish: op(18, 1, "float"),
    Mod: op(10, 2, "numeric", { defaults: { fmod: 0 } }),
    Mul: op(7, 2, "numeric"),
    Neg: op(6, 1, "signed"),
    Not: op(1, 1, "bool"),
    OneHot: op(11, 3, "numeric", { results: [2], defaults: { axis: -1 } }),
    Or: logic,
    PRelu: op(9, 2, "float or wide integer"),
    Pad: op(11, [2, 4], "any", { defaults: { mode: "constant" } }),
    Pow: op(12, 2, "float or wide integer"),
    QLinearConv: op(10, [8, 9], "8-bit integer", {
      results: [7],
      defaults: CONV,
      listDefaults: CONV_LISTS,
    }),
    QLinearMatMul: op(10, 8, "8-bit integer", { results: [7] }),
    QuantizeLinear: op(10, [2, 3], "float or int32", {
      results: ["own"],
      defaults: { axis: 1, block_size: 0, output_dtype: 0, precision: 0, saturate: 1 },
    }),
    Range: op(11, 3, "signed"),
    Reciprocal: op(6, 1, "float"),
    ReduceL1: reduce(18),
    ReduceL2: reduce(18),
    ReduceMax: reduce(18, "whole-byte"),
    ReduceMean: reduce(18),
    ReduceMin: reduce(18, "whole-byte"),
    ReduceProd: reduce(18),
    ReduceSum: reduce(13),
    ReduceSumSquare: reduce(18),
    Relu: op(6, 1, "signed"),
    Reshape: op(5, 2, "any", { defaults: { allowzero: 0 } }),
    Resize: op(13, [1, 4], "whole-byte", {
      defaults: {
        antialias: 0,
        coordinate_transformation_mode: "half_pixel",
        cubic_coeff_a: float(-0.75),
        exclude_outside: 0,
        extrapolation_value: float(0),
        keep_aspect_ratio_policy: "stretch",
        mode: "nearest",
        nearest_mode: "round_prefer_floor",
      },
    }),
    Round: op(11, 1, "float"),
    Selu: op(6, 1, "float", {
      defaults: { alpha: float(1.6732631921768188), gamma: float(1.0507010221481323) },
    }),
    Shape: op(1, 1, "any", { results: ["int64"], defaults: { start: 0 } }),
    Sigmoid: op(6, 1, "float"),
    Sign: op(9, 1, "numeric"),
    Sin: op(7, 1, "float"),
    Sinh: op(9, 1, "float"),
    Size: op(1, 1, "any", { results: ["int64"] }),
    Slice: op(10, [3, 5], "whole-byte"),
    Softmax: op(13, 1, "float", { defaults: { axis: -1 } }),
    Softplus: op(1, 1, "float"),
    Softsign: op(1, 1, "float"),
    SpaceToDepth: op(1, 1, "whole-byte"),
    Split: op(13, [1, 2], "whole-byte", { outputs: [1, MANY], defaults: { axis: 0 } }),
    Sqrt: op(6, 1, "float"),
    Squeeze: op(13, [1, 2], "any"),
    Sub: op(7, 2, "numeric"),
    Sum: op(8, [1, MANY], "float"),
    Swish: op(24, 1, "float", { defaults: { alpha: float(1) } }),
    Tan: op(7, 1, "float"),
    Tanh: op(6, 1, "float"),
    ThresholdedRelu: op(10, 1, "float", { defaults: { alpha: float(1) } }),
    Tile: op(6, 2, "whole-byte"),
    TopK: op(11, 2, "numeric", {
      outputs: [2, 2],
      results: [0, "int64"],
      defaults: { axis: -1, largest: 1, sorted: 1 },
    }),
    Transpose: op(1, 1, "any"),
    Unsqueeze: op(13, 2, "any"),
    Where: op(9, 3, "bool", { results: [1] }),
    Xor: logic,
  } satisfies Record<string, Operator>),
);

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
    case "ConstantOfShape":
      return attributes["value"] === undefined ? "float32" : (attributes["value"] as Tensor).dtype;
    default:
      return undefined;
  }
}
