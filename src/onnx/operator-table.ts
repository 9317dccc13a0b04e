// The standard operators that qdg writes and understands: since when they have the form it uses, how many inputs and
// outputs they take, their element types, and attribute values that need not be written. Facts of the ONNX operator sets
// (checked against the official schemas), no code.

import type { DType } from "../base/tensor.js";
import type { Attribute } from "../graph/graph.js";

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
export type Result = number | DType | "own";

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
const RECURRENT = { direction: "forward", layout: 0 };
const CONV = { auto_pad: "NOTSET", group: 1 };

export const OPERATORS: ReadonlyMap<string, Operator> = new Map(
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
    Col2Im: op(18, 3, "float"),
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
    Det: op(11, 1, "float"),
    Div: op(7, 2, "numeric"),
    Dropout: op(7, [1, 3], "float", { results: [0, "bool"], outputs: [1, 2] }),
    Einsum: op(12, [1, MANY], "numeric"),
    Elu: op(6, 1, "float", { defaults: { alpha: float(1) } }),
    Equal: op(7, 2, "whole-byte", { results: ["bool"] }),
    Erf: op(9, 1, "float"),
    Exp: op(6, 1, "float"),
    Expand: op(8, 2, "whole-byte"),
    EyeLike: op(9, 1, "whole-byte", { results: ["own"], defaults: { k: 0 } }),
    Flatten: op(1, 1, "any", { defaults: { axis: 1 } }),
    Floor: op(6, 1, "float"),
    GRU: op(7, [3, 6], "float", { outputs: [0, 2], defaults: { ...RECURRENT, linear_before_reset: 0 } }),
    Gather: op(1, 2, "whole-byte", { defaults: { axis: 0 } }),
    GatherElements: op(11, 2, "whole-byte", { defaults: { axis: 0 } }),
    GatherND: op(12, 2, "whole-byte", { defaults: { batch_dims: 0 } }),
    Gelu: op(20, 1, "float", { defaults: { approximate: "none" } }),
    Gemm: op(7, [2, 3], "float or wide integer", {
      defaults: { alpha: float(1), beta: float(1), transA: 0, transB: 0 },
    }),
    GlobalAveragePool: op(1, 1, "float"),
    GlobalLpPool: op(2, 1, "float", { defaults: { p: 2 } }),
    GlobalMaxPool: op(1, 1, "float"),
    Greater: compare(9),
    GreaterOrEqual: compare(12),
    GridSample: op(20, 2, "whole-byte", {
      defaults: { align_corners: 0, mode: "linear", padding_mode: "zeros" },
    }),
    GroupNormalization: op(21, 3, "float", { defaults: { epsilon: float(1e-5), stash_type: 1 } }),
    HardSigmoid: op(6, 1, "float", { defaults: { alpha: float(0.2), beta: float(0.5) } }),
    HardSwish: op(14, 1, "float"),
    Hardmax: op(13, 1, "float", { defaults: { axis: -1 } }),
    Identity: op(1, 1, "any"),
    InstanceNormalization: op(6, 3, "float", { defaults: { epsilon: float(1e-5) } }),
    IsInf: op(10, 1, "float", { results: ["bool"], defaults: { detect_negative: 1, detect_positive: 1 } }),
    IsNaN: op(9, 1, "float", { results: ["bool"] }),
    LRN: op(1, 1, "float", {
      defaults: { alpha: float(1e-4), beta: float(0.75), bias: float(1) },
    }),
    LSTM: op(7, [3, 8], "float", { outputs: [0, 3], defaults: { ...RECURRENT, input_forget: 0 } }),
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
    LpNormalization: op(1, 1, "float", { defaults: { axis: -1, p: 2 } }),
    LpPool: op(2, 1, "float", {
      defaults: { auto_pad: "NOTSET", ceil_mode: 0, p: 2 },
      listDefaults: CONV_LISTS,
    }),
    MatMul: op(1, 2, "float or wide integer"),
    MatMulInteger: op(10, [2, 4], "8-bit integer", { results: ["int32"] }),
    Max: op(8, [1, MANY], "numeric"),
    MaxPool: op(1, 1, "float or 8-bit integer", {
      outputs: [1, 2],
      results: [0, "int64"],
      defaults: { auto_pad: "NOTSET", ceil_mode: 0, storage_order: 0 },
      listDefaults: CONV_LISTS,
    }),
    MaxRoiPool: op(1, 2, "float", { defaults: { spatial_scale: float(1) } }),
    Mean: op(8, [1, MANY], "float"),
    MeanVarianceNormalization: op(9, 1, "float"),
    Min: op(8, [1, MANY], "numeric"),
    Mish: op(18, 1, "float"),
    Mod: op(10, 2, "numeric", { defaults: { fmod: 0 } }),
    Mul: op(7, 2, "numeric"),
    Neg: op(6, 1, "signed"),
    NonMaxSuppression: op(10, [2, 5], "float", { results: ["int64"], defaults: { center_point_box: 0 } }),
    NonZero: op(9, 1, "whole-byte", { results: ["int64"] }),
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
    RNN: op(7, [3, 6], "float", { outputs: [0, 2], defaults: RECURRENT }),
    Range: op(11, 3, "signed"),
    Reciprocal: op(6, 1, "float"),
    ReduceL1: reduce(18),
    ReduceL2: reduce(18),
    ReduceLogSum: reduce(18),
    ReduceLogSumExp: reduce(18),
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
    ReverseSequence: op(10, 2, "whole-byte", { defaults: { batch_axis: 1, time_axis: 0 } }),
    RoiAlign: op(16, 3, "float", {
      defaults: {
        coordinate_transformation_mode: "half_pixel",
        mode: "avg",
        output_height: 1,
        output_width: 1,
        sampling_ratio: 0,
        spatial_scale: float(1),
      },
    }),
    Round: op(11, 1, "float"),
    ScatterElements: op(11, 3, "whole-byte", { defaults: { axis: 0, reduction: "none" } }),
    ScatterND: op(11, 3, "whole-byte", { defaults: { reduction: "none" } }),
    Selu: op(6, 1, "float", {
      defaults: { alpha: float(1.6732631921768188), gamma: float(1.0507010221481323) },
    }),
    Shape: op(1, 1, "any", { results: ["int64"], defaults: { start: 0 } }),
    Shrink: op(9, 1, "numeric", { defaults: { bias: float(0), lambd: float(0.5) } }),
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
    Trilu: op(14, [1, 2], "whole-byte", { defaults: { upper: 1 } }),
    Unsqueeze: op(13, 2, "any"),
    Where: op(9, 3, "bool", { results: [1] }),
    Xor: logic,
  } satisfies Record<string, Operator>),
);
