// Every operator that training computes, by its name in the graph: an explicit list, one line an operator. To add
// one, write it in its family's file and name it here.

import * as tf from "@tensorflow/tfjs";
import { relu } from "../kernels/relu.js";
import {
  clip,
  elu,
  gelu,
  generalRelu,
  hardSigmoid,
  hardSwish,
  leakyRelu,
  mish,
  prelu,
  softsign,
  swish,
  thresholdedRelu,
  unary,
} from "./activations.js";
import { binary, comparison, extremum, logicalNot, mean, variadic, where } from "./arithmetic.js";
import { cast, oneHot } from "./cast.js";
import { convTranspose } from "./conv-transpose.js";
import { convolution } from "./convolution.js";
import { gemm, matMul } from "./matrix.js";
import {
  concat,
  expand,
  flatten,
  gather,
  identity,
  pad,
  reshape,
  slice,
  squeeze,
  tile,
  transpose,
  unsqueeze,
} from "./movement.js";
import type { Op } from "./op.js";
import { averagePool, globalAveragePool, globalMaxPool, maxPool } from "./pooling.js";
import { batchNormalization, layerNormalization, reduce, softmax } from "./reduction.js";
import { resize } from "./resize.js";

/** Operators of ONNX, and qdg's own Swish, GeneralRelu and Requantize. */
export const OPS: Readonly<Record<string, Op>> = {
  Abs: unary((x) => tf.abs(x)),
  Add: binary((a, b) => tf.add(a, b)),
  AveragePool: averagePool,
  BatchNormalization: batchNormalization,
  Cast: cast,
  Clip: clip,
  Concat: concat,
  Conv: convolution,
  ConvTranspose: convTranspose,
  Div: binary((a, b) => tf.div(a, b)),
  Elu: unary(elu),
  Equal: comparison((a, b) => tf.equal(a, b)),
  Exp: unary((x) => tf.exp(x)),
  Expand: expand,
  Flatten: flatten,
  Gather: gather,
  Gelu: unary(gelu),
  Gemm: gemm,
  GeneralRelu: unary(generalRelu),
  GlobalAveragePool: globalAveragePool,
  GlobalMaxPool: globalMaxPool,
  HardSigmoid: unary(hardSigmoid),
  HardSwish: unary(hardSwish),
  Identity: identity,
  LayerNormalization: layerNormalization,
  LeakyRelu: unary(leakyRelu),
  Less: comparison((a, b) => tf.less(a, b)),
  LogSoftmax: softmax((x) => tf.logSoftmax(x)),
  MatMul: matMul,
  Max: extremum((a, b) => tf.maximum(a, b)),
  MaxPool: maxPool,
  Mean: mean,
  Min: extremum((a, b) => tf.minimum(a, b)),
  Mish: unary(mish),
  Mul: binary((a, b) => tf.mul(a, b)),
  Neg: unary((x) => tf.neg(x)),
  Not: unary(logicalNot),
  OneHot: oneHot,
  PRelu: prelu,
  Pad: pad,
  ReduceMax: reduce((x, axes, keep) => tf.max(x, axes, keep)),
  ReduceMean: reduce((x, axes, keep) => tf.mean(x, axes, keep)),
  ReduceSum: reduce((x, axes, keep) => tf.sum(x, axes, keep)),
  Relu: unary(relu),
  Requantize: identity,
  Reshape: reshape,
  Resize: resize,
  Round: unary((x) => tf.round(x)),
  Selu: unary((x) => tf.selu(x)),
  Sigmoid: unary((x) => tf.sigmoid(x)),
  Slice: slice,
  Softmax: softmax((x) => tf.softmax(x)),
  Softplus: unary((x) => tf.softplus(x)),
  Softsign: unary(softsign),
  Sqrt: unary((x) => tf.sqrt(x)),
  Squeeze: squeeze,
  Sub: binary((a, b) => tf.sub(a, b)),
  Sum: variadic((a, b) => tf.add(a, b)),
  Swish: unary(swish),
  Tanh: unary((x) => tf.tanh(x)),
  ThresholdedRelu: unary(thresholdedRelu),
  Tile: tile,
  Transpose: transpose,
  Unsqueeze: unsqueeze,
  Where: where,
};
