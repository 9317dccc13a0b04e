// Every operator that qdg computes by itself, by its ONNX name: for the reference interpreter, and for the constants of a
// model. One line an operator; anything else is an error that names the node.

import { QdgError } from "../base/error.js";
import type { Node } from "../graph/graph.js";
import { clipOperator, prelu, signed, unary } from "./activations.js";
import {
  binary,
  bitShift,
  bitwise,
  bitwiseNot,
  comparison,
  logicalNot,
  mean,
  variadic,
  where,
} from "./arithmetic.js";
import { cast, castLike } from "./cast.js";
import { conv, convTranspose } from "./convolution.js";
import type { Kernel } from "./kernel.js";
import { whereOf } from "./kernel.js";
import { gemm, matMul } from "./matrix.js";
import {
  concat,
  constant,
  constantOfShape,
  expand,
  flatten,
  gather,
  identity,
  oneHot,
  pad,
  reshape,
  shapeOf,
  slice,
  split,
  squeeze,
  tile,
  transposeOperator,
  unsqueeze,
} from "./movement.js";
import { averagePool, globalAveragePool, globalMaxPool, maxPool } from "./pooling.js";
import { dequantizeLinear, quantizeLinear } from "./quantize.js";
import { batchNormalization, layerNormalization, reduce, softmax } from "./reduction.js";
import { resize } from "./resize.js";

const KERNELS: ReadonlyMap<string, Kernel> = new Map(
  Object.entries({
    Abs: signed("Abs"),
    Acos: unary("Acos"),
    Acosh: unary("Acosh"),
    Add: binary("Add"),
    And: bitwise("And", "bool"),
    Asin: unary("Asin"),
    Asinh: unary("Asinh"),
    Atan: unary("Atan"),
    Atanh: unary("Atanh"),
    AveragePool: averagePool,
    BatchNormalization: batchNormalization,
    BitShift: bitShift,
    BitwiseAnd: bitwise("And", "integer"),
    BitwiseNot: bitwiseNot,
    BitwiseOr: bitwise("Or", "integer"),
    BitwiseXor: bitwise("Xor", "integer"),
    Cast: cast,
    CastLike: castLike,
    Ceil: unary("Ceil"),
    Clip: clipOperator,
    Concat: concat,
    Constant: constant,
    ConstantOfShape: constantOfShape,
    Conv: conv,
    ConvTranspose: convTranspose,
    Cos: unary("Cos"),
    Cosh: unary("Cosh"),
    DequantizeLinear: dequantizeLinear,
    Div: binary("Div"),
    Dropout: identity,
    Elu: unary("Elu"),
    Equal: comparison("Equal"),
    Erf: unary("Erf"),
    Exp: unary("Exp"),
    Expand: expand,
    Flatten: flatten,
    Floor: unary("Floor"),
    Gather: gather,
    Gelu: unary("Gelu"),
    Gemm: gemm,
    GlobalAveragePool: globalAveragePool,
    GlobalMaxPool: globalMaxPool,
    Greater: comparison("Greater"),
    GreaterOrEqual: comparison("GreaterOrEqual"),
    HardSigmoid: unary("HardSigmoid"),
    HardSwish: unary("HardSwish"),
    Identity: identity,
    LayerNormalization: layerNormalization,
    LeakyRelu: unary("LeakyRelu"),
    Less: comparison("Less"),
    LessOrEqual: comparison("LessOrEqual"),
    Log: unary("Log"),
    LogSoftmax: softmax("LogSoftmax"),
    MatMul: matMul,
    Max: variadic("Max"),
    MaxPool: maxPool,
    Mean: mean,
    Min: variadic("Min"),
    Mish: unary("Mish"),
    Mod: binary("Mod"),
    Mul: binary("Mul"),
    Neg: signed("Neg"),
    Not: logicalNot,
    OneHot: oneHot,
    Or: bitwise("Or", "bool"),
    PRelu: prelu,
    Pad: pad,
    Pow: binary("Pow"),
    QuantizeLinear: quantizeLinear,
    Reciprocal: unary("Reciprocal"),
    ReduceL2: reduce("ReduceL2"),
    ReduceMax: reduce("ReduceMax"),
    ReduceMean: reduce("ReduceMean"),
    ReduceMin: reduce("ReduceMin"),
    ReduceProd: reduce("ReduceProd"),
    ReduceSum: reduce("ReduceSum"),
    ReduceSumSquare: reduce("ReduceSumSquare"),
    Relu: signed("Relu"),
    Reshape: reshape,
    Resize: resize,
    Round: unary("Round"),
    Selu: unary("Selu"),
    Shape: shapeOf,
    Sigmoid: unary("Sigmoid"),
    Sign: signed("Sign"),
    Sin: unary("Sin"),
    Sinh: unary("Sinh"),
    Slice: slice,
    Softmax: softmax("Softmax"),
    Softplus: unary("Softplus"),
    Softsign: unary("Softsign"),
    Split: split,
    Sqrt: unary("Sqrt"),
    Squeeze: squeeze,
    Sub: binary("Sub"),
    Sum: variadic("Add"),
    Swish: unary("Swish"),
    Tan: unary("Tan"),
    Tanh: unary("Tanh"),
    ThresholdedRelu: unary("ThresholdedRelu"),
    Tile: tile,
    Transpose: transposeOperator,
    Unsqueeze: unsqueeze,
    Where: where,
    Xor: bitwise("Xor", "bool"),
  }),
);

/** @throws QdgError `unsupported-op` */
export function kernelOf(node: Node): Kernel {
  const kernel = node.domain === "" ? KERNELS.get(node.op) : undefined;
  if (!kernel) {
    throw new QdgError(
      "unsupported-op",
      whereOf(node),
      "the reference interpreter has no such operator; run this model on cpu or wasm",
    );
  }
  return kernel;
}
