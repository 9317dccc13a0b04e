// Every operator of training in its variants: what operators.test.ts runs.

import { float32 } from "../../../src/base/tensor.js";
import type { Attribute } from "../../../src/graph/graph.js";
import {
  apart,
  constant,
  halves,
  int32,
  ints,
  type OperatorCase,
  reals,
  scalar,
  smooth,
} from "./operator-cases.js";

/** Functions that runtimes approximate in their own ways. */
const CLOSE = 2e-6;
/** Sums of real numbers in any order. */
const SUM = 1e-5;

const image = [2, 6, 9, 11];
const alpha = (value: number): Record<string, Attribute> => ({ alpha: { float: value } });
const window = (
  kernel: readonly number[],
  strides: readonly number[],
  pads: readonly number[],
): Record<string, Attribute> => ({ kernel_shape: kernel, strides, pads });
const weight = (...shape: number[]): ReturnType<typeof constant> => constant(reals(shape, -1, 1));

const activations: readonly OperatorCase[] = [
  ...["Relu", "Round", "Identity"].map((op) => ({ op, inputs: [reals(image)] })),
  ...["Exp", "Sigmoid", "Tanh", "Softplus", "Softsign", "Mish", "Selu", "Elu", "Gelu"].map((op) => ({
    op,
    inputs: [smooth(image)],
    tolerance: CLOSE,
    gradient: true,
  })),
  { op: "Sqrt", inputs: [reals([60], 0.5, 9)], tolerance: CLOSE, gradient: true },
  { op: "Elu", inputs: [smooth(image)], attributes: alpha(1.5), tolerance: CLOSE, gradient: true },
  {
    op: "Gelu",
    inputs: [smooth([80])],
    attributes: { approximate: "tanh" },
    tolerance: CLOSE,
    gradient: true,
  },
  ...[0.3, 1.7, -0.4].map((value) => ({
    op: "LeakyRelu",
    inputs: [smooth(image)],
    attributes: alpha(value),
    gradient: true,
  })),
  { op: "LeakyRelu", inputs: [reals([80])] },
  { op: "HardSigmoid", inputs: [reals([80])], attributes: { alpha: { float: 0.3 }, beta: { float: 0.4 } } },
  { op: "HardSigmoid", inputs: [smooth([80])], gradient: true },
  { op: "HardSwish", inputs: [smooth(image)], tolerance: CLOSE, gradient: true },
  ...["Abs", "Neg"].map((op) => ({ op, inputs: [smooth(image)], gradient: true })),
  { op: "ThresholdedRelu", inputs: [reals([80])], attributes: alpha(0.5) },
  { op: "ThresholdedRelu", inputs: [smooth(image)], gradient: true },
  { op: "PRelu", inputs: [reals(image), constant(reals([6, 1, 1]))] },
  { op: "PRelu", inputs: [smooth(image), reals([6, 9, 11])], gradient: true },
  { op: "PRelu", inputs: [smooth(image), reals([1, 9, 1])], gradient: true },
  { op: "PRelu", inputs: [smooth([5, 7]), reals([7])], gradient: true },
  { op: "Clip", inputs: [reals(image), scalar(-1), scalar(2.25)] },
  { op: "Clip", inputs: [smooth(image), scalar(0), scalar(6)], gradient: true },
  { op: "Clip", inputs: [smooth([70]), null, scalar(1)], gradient: true },
  { op: "Clip", inputs: [reals([70]), scalar(0.5), null] },
  { op: "Clip", inputs: [reals([70]), null, null] },
  { op: "Clip", inputs: [reals([70]), scalar(2), scalar(1)] },
  { op: "Clip", inputs: [reals([70]), scalar(1), scalar(1)] },
  { op: "Requantize", domain: "qdg", inputs: [reals(image)], gradient: true },
  { op: "Swish", domain: "qdg", inputs: [smooth(image)], tolerance: CLOSE, gradient: true },
  {
    op: "GeneralRelu",
    domain: "qdg",
    inputs: [smooth(image)],
    attributes: { negative_slope: { float: 0.25 }, threshold: { float: 0.5 }, max_value: { float: 2 } },
    gradient: true,
  },
];

const arithmetic: readonly OperatorCase[] = [
  ...["Add", "Sub", "Mul", "Div", "Max", "Min", "Sum"].flatMap((op) => [
    { op, inputs: [reals(image), reals(image, 0.5, 3)], gradient: op !== "Max" && op !== "Min" },
    { op, inputs: [smooth(image), constant(halves([6, 1, 1]))], gradient: true },
    { op, inputs: [smooth(image), halves([1, 6, 1, 1])], gradient: true },
    { op, inputs: [reals([2, 6, 1, 1]), reals([9, 11], 1, 2)], gradient: op !== "Max" && op !== "Min" },
    { op, inputs: [smooth([3, 5, 4]), halves([2, 3, 5, 1])], gradient: op === "Mul" || op === "Max" },
    { op, inputs: [reals(image), scalar(0.7)] },
    { op, inputs: [reals([7, 4]), reals([4], 1, 2)], gradient: op === "Add" },
    { op, inputs: [reals([2, 3, 4, 5, 6]), reals([3, 1, 1, 1], 1, 2)], gradient: op === "Add" },
  ]),
  { op: "Sum", inputs: [reals(image), reals([6, 1, 1]), reals(image)], gradient: true },
  { op: "Mean", inputs: [reals(image), reals(image), reals(image)], tolerance: CLOSE, gradient: true },
  { op: "Max", inputs: [apart([2, 3, 4, 5, 6]), constant(reals([2, 1, 4, 5, 6]))] },
  { op: "Equal", inputs: [reals(image), scalar(1.5)], output: "bool" },
  { op: "Less", inputs: [reals(image), reals([6, 1, 1])], output: "bool" },
];

const convolutions: readonly OperatorCase[] = [
  { op: "Conv", inputs: [reals(image), weight(4, 6, 3, 3)], gradient: true },
  { op: "Conv", inputs: [reals(image), weight(4, 6, 3, 3), weight(4)], attributes: { pads: [1, 1, 1, 1] } },
  { op: "Conv", inputs: [reals(image), weight(4, 6, 1, 1)], attributes: { strides: [2, 2] } },
  {
    op: "Conv",
    inputs: [reals(image), reals([4, 6, 3, 2], -1, 1), reals([4])],
    attributes: { strides: [2, 1], pads: [0, 2, 1, 0] },
    gradient: true,
  },
  {
    op: "Conv",
    inputs: [reals(image), reals([4, 6, 3, 3], -1, 1)],
    attributes: { strides: [2, 2], auto_pad: "SAME_UPPER" },
    gradient: true,
  },
  {
    op: "Conv",
    inputs: [reals(image), weight(4, 6, 3, 3)],
    attributes: { strides: [2, 2], auto_pad: "SAME_LOWER" },
  },
  {
    op: "Conv",
    inputs: [reals(image), reals([4, 6, 3, 2], -1, 1)],
    attributes: { dilations: [2, 3], pads: [1, 0, 2, 1] },
    gradient: true,
  },
  { op: "Conv", inputs: [reals([2, 3, 11]), reals([4, 3, 3], -1, 1), reals([4])], gradient: true },
  {
    op: "Conv",
    inputs: [reals([2, 3, 11]), reals([4, 3, 3], -1, 1)],
    attributes: { strides: [2], pads: [1, 1] },
    gradient: true,
  },
  {
    op: "Conv",
    inputs: [reals([2, 3, 11]), reals([4, 3, 3], -1, 1)],
    attributes: { dilations: [2], pads: [2, 2] },
    gradient: true,
  },
  {
    op: "Conv",
    inputs: [reals([2, 3, 5, 6, 7]), reals([4, 3, 2, 3, 2], -1, 1), reals([4])],
    attributes: { strides: [1, 2, 1], pads: [1, 0, 0, 0, 1, 1] },
    gradient: true,
  },
  {
    op: "Conv",
    inputs: [reals([2, 3, 6, 6, 7]), reals([2, 3, 2, 3, 2], -1, 1)],
    attributes: { dilations: [2, 1, 2], pads: [1, 1, 0, 1, 1, 1] },
    gradient: true,
  },
  // A group a channel.
  {
    op: "Conv",
    inputs: [reals(image), reals([6, 1, 3, 3], -1, 1), reals([6])],
    attributes: { group: 6, pads: [1, 1, 1, 1] },
    gradient: true,
  },
  {
    op: "Conv",
    inputs: [reals(image), reals([12, 1, 3, 2], -1, 1)],
    attributes: { group: 6, strides: [2, 2], pads: [0, 1, 1, 0] },
    gradient: true,
  },
  {
    op: "Conv",
    inputs: [reals(image), reals([12, 1, 3, 2], -1, 1)],
    attributes: { group: 6, strides: [2, 1], pads: [0, 1, 1, 0] },
    gradient: true,
  },
  {
    op: "Conv",
    inputs: [reals(image), reals([6, 1, 3, 3], -1, 1)],
    attributes: { group: 6, strides: [1, 3], pads: [1, 1, 1, 1] },
  },
  {
    op: "Conv",
    inputs: [reals(image), reals([12, 1, 2, 3], -1, 1)],
    attributes: { group: 6, dilations: [2, 2], pads: [1, 2, 1, 2] },
    gradient: true,
  },
  {
    op: "Conv",
    inputs: [reals([2, 3, 11]), reals([6, 1, 3], -1, 1)],
    attributes: { group: 3, strides: [2] },
    gradient: true,
  },
  {
    op: "Conv",
    inputs: [reals([2, 3, 5, 6, 7]), reals([3, 1, 3, 2, 3], -1, 1)],
    attributes: { group: 3, strides: [2, 2, 2], pads: [1, 0, 1, 1, 0, 1] },
    gradient: true,
  },
  // One channel is a group of its own.
  { op: "Conv", inputs: [reals([2, 1, 5, 5]), weight(3, 1, 3, 3)], attributes: { group: 1 } },
];

const transposed: readonly OperatorCase[] = [
  { op: "ConvTranspose", inputs: [reals(image), reals([6, 4, 3, 3], -1, 1), reals([4])], gradient: true },
  {
    op: "ConvTranspose",
    inputs: [reals(image), reals([6, 4, 3, 3], -1, 1)],
    attributes: { strides: [2, 2], pads: [0, 0, 1, 1] },
    gradient: true,
  },
  {
    op: "ConvTranspose",
    inputs: [reals(image), reals([6, 4, 2, 1], -1, 1)],
    attributes: { strides: [3, 2], output_padding: [1, 1] },
    gradient: true,
  },
  {
    op: "ConvTranspose",
    inputs: [reals(image), reals([6, 4, 4, 3], -1, 1)],
    attributes: { strides: [2, 3], pads: [2, 0, 1, 1], output_padding: [1, 2] },
    gradient: true,
  },
  {
    op: "ConvTranspose",
    inputs: [reals([2, 3, 7]), reals([3, 2, 4], -1, 1)],
    attributes: { strides: [2], pads: [1, 1] },
  },
  {
    op: "ConvTranspose",
    inputs: [reals([2, 3, 3, 4, 5]), reals([3, 2, 3, 2, 3], -1, 1), reals([2])],
    attributes: { strides: [2, 1, 2], pads: [0, 0, 0, 1, 1, 1] },
    gradient: true,
  },
];

const matrices: readonly OperatorCase[] = [
  {
    op: "Gemm",
    inputs: [reals([5, 7]), reals([4, 7]), reals([4])],
    attributes: { transB: 1 },
    gradient: true,
  },
  { op: "Gemm", inputs: [reals([5, 7]), reals([7, 4])], gradient: true },
  {
    op: "Gemm",
    inputs: [reals([7, 5]), reals([7, 4]), reals([5, 1])],
    attributes: { transA: 1, alpha: { float: 0.5 }, beta: { float: 2 } },
    gradient: true,
  },
  { op: "MatMul", inputs: [reals([5, 7]), reals([7, 4])], gradient: true },
  { op: "MatMul", inputs: [reals([3, 5, 7]), reals([7, 4])], gradient: true },
  { op: "MatMul", inputs: [reals([2, 3, 5, 7]), weight(7, 4)] },
  { op: "MatMul", inputs: [reals([3, 5, 7]), reals([3, 7, 4])], gradient: true },
  { op: "MatMul", inputs: [reals([2, 3, 5, 7]), reals([3, 7, 4])], gradient: true },
];

const pools: readonly OperatorCase[] = [
  ...["MaxPool", "AveragePool"].flatMap((op) => [
    { op, inputs: [apart(image)], attributes: window([2, 2], [2, 2], [0, 0, 0, 0]), gradient: true },
    { op, inputs: [apart(image)], attributes: window([3, 2], [2, 1], [1, 0, 1, 1]), gradient: true },
    { op, inputs: [apart(image)], attributes: window([3, 3], [2, 2], [1, 1, 0, 0]), gradient: true },
    { op, inputs: [reals(image)], attributes: window([1, 1], [2, 3], [0, 0, 0, 0]), gradient: true },
    { op, inputs: [reals(image)], attributes: window([1, 3], [1, 1], [0, 0, 0, 0]) },
    {
      op,
      inputs: [reals(image)],
      attributes: { kernel_shape: [3, 3], strides: [2, 2], auto_pad: "SAME_UPPER" },
    },
    {
      op,
      inputs: [reals(image)],
      attributes: window([2, 2], [3, 3], [0, 0, 0, 0]),
    },
    { op, inputs: [apart([2, 3, 11])], attributes: window([3], [2], [1, 1]), gradient: true },
    {
      op,
      inputs: [apart([2, 3, 5, 6, 7])],
      attributes: window([2, 3, 2], [1, 2, 2], [0, 0, 0, 0, 0, 0]),
      gradient: true,
    },
    { op, inputs: [reals([2, 3, 5, 6, 7])], attributes: window([2, 3, 2], [2, 2, 1], [1, 1, 0, 0, 0, 1]) },
  ]),
  ...[
    [1, 1, 1, 1],
    [1, 0, 0, 1],
  ].map((pads) => ({
    op: "AveragePool",
    inputs: [reals(image)],
    attributes: { ...window([3, 2], [2, 1], pads), count_include_pad: 1 },
    gradient: true,
  })),
  ...["GlobalAveragePool", "GlobalMaxPool"].flatMap((op) =>
    [[2, 3, 7], image, [2, 3, 4, 5, 6]].map((shape) => ({ op, inputs: [apart(shape)], gradient: true })),
  ),
].map((each) => Object.assign({ tolerance: CLOSE }, each));

const reductions: readonly OperatorCase[] = [
  ...["ReduceSum", "ReduceMax", "ReduceMean"].flatMap((op) => [
    { op, inputs: [apart(image), ints(1)], attributes: { keepdims: 1 }, tolerance: SUM, gradient: true },
    { op, inputs: [apart(image), ints(2, -1)], attributes: { keepdims: 0 }, tolerance: SUM, gradient: true },
    { op, inputs: [apart(image), ints(1)], attributes: { keepdims: 0 }, tolerance: SUM, gradient: true },
    { op, inputs: [apart([2, 5, 4]), ints(0)], attributes: { keepdims: 0 }, tolerance: SUM },
    { op, inputs: [reals([4, 5])], attributes: { keepdims: 0 }, tolerance: SUM },
  ]),
  ...["Softmax", "LogSoftmax"].flatMap((op) => [
    { op, inputs: [smooth([4, 6])], attributes: { axis: 1 }, tolerance: CLOSE, gradient: true },
    { op, inputs: [smooth(image)], attributes: { axis: 1 }, tolerance: CLOSE, gradient: true },
    { op, inputs: [smooth(image)], attributes: { axis: -1 }, tolerance: CLOSE, gradient: true },
    { op, inputs: [smooth(image)], attributes: { axis: 2 }, tolerance: CLOSE },
  ]),
  {
    op: "LayerNormalization",
    inputs: [smooth([3, 4, 8]), reals([8]), reals([8])],
    tolerance: SUM,
    gradient: true,
  },
  {
    op: "LayerNormalization",
    inputs: [smooth([3, 4, 8]), reals([4, 8])],
    attributes: { axis: 1, epsilon: { float: 0.01 } },
    tolerance: SUM,
    gradient: true,
  },
  ...[[4, 6], [2, 6, 5], image].map((shape) => ({
    op: "BatchNormalization",
    inputs: [reals(shape), reals([6]), reals([6]), constant(reals([6])), constant(reals([6], 0.2, 2))],
    attributes: { epsilon: { float: 0.001 } },
    tolerance: CLOSE,
    gradient: true,
  })),
];

const movement: readonly OperatorCase[] = [
  { op: "Reshape", inputs: [reals(image), ints(0, -1)], gradient: true },
  { op: "Reshape", inputs: [reals([2, 6, 1, 1]), ints(2, 6)], gradient: true },
  { op: "Reshape", inputs: [reals([4, 12]), ints(4, 3, 2, 2)], gradient: true },
  { op: "Flatten", inputs: [reals(image)], attributes: { axis: 2 } },
  { op: "Squeeze", inputs: [reals([2, 6, 1, 1]), ints(2, -1)], gradient: true },
  { op: "Unsqueeze", inputs: [reals([2, 6, 4]), ints(1, -1)], gradient: true },
  ...[
    [0, 3, 1, 2],
    [0, 2, 3, 1],
    [0, 1, 3, 2],
    [1, 0, 2, 3],
    [0, 2, 1, 3],
    [3, 2, 1, 0],
    [0, 3, 2, 1],
  ].map((perm) => ({ op: "Transpose", inputs: [reals([2, 3, 4, 5])], attributes: { perm }, gradient: true })),
  { op: "Transpose", inputs: [reals([3, 4])], attributes: { perm: [1, 0] } },
  { op: "Transpose", inputs: [reals([3, 4, 5])], attributes: { perm: [0, 2, 1] } },
  { op: "Transpose", inputs: [reals([2, 3, 4, 5, 2])], attributes: { perm: [0, 4, 1, 2, 3] } },
  ...[0, 1, -1].map((axis) => ({
    op: "Concat",
    inputs: [reals([2, 6, 4, 5]), reals([2, 6, 4, 5]), reals([2, 6, 4, 5])],
    attributes: { axis },
    gradient: true,
  })),
  { op: "Concat", inputs: [reals([2, 3, 4, 5]), constant(reals([2, 1, 4, 5]))], attributes: { axis: 1 } },
  { op: "Slice", inputs: [reals(image), ints(1, 2), ints(2 ** 31 - 1, -1), ints(2, 3)], gradient: true },
  { op: "Slice", inputs: [reals(image), ints(1, -9), ints(5, 99), ints(1, -1), ints(2, 3)], gradient: true },
  { op: "Pad", inputs: [reals(image), ints(0, 0, 1, 2, 0, 0, 0, 1), scalar(0)], gradient: true },
  { op: "Pad", inputs: [reals(image), ints(0, 1, -1, 2, 0, 0, 2, -3), scalar(1.5)], gradient: true },
  { op: "Pad", inputs: [reals(image), ints(1, 0, 2, 1), null, ints(1, -1)] },
  { op: "Tile", inputs: [reals([2, 3, 4, 2]), ints(1, 2, 1, 3)], gradient: true },
  { op: "Expand", inputs: [reals([2, 1, 4]), ints(2, 3, 1)], gradient: true },
  { op: "Gather", inputs: [reals([9]), constant(int32([4, 5], 0, 8))], gradient: true },
  { op: "Gather", inputs: [reals([7, 3]), int32([4, 5], 0, 6)], attributes: { axis: 0 }, gradient: true },
  { op: "Gather", inputs: [reals([9]), int32([2, 3, 4, 5], 0, 8)], attributes: { axis: 0 } },
  { op: "Gather", inputs: [reals(image), ints(1, 2, 3, 5, 6)], attributes: { axis: 2 }, gradient: true },
  { op: "Gather", inputs: [reals(image), ints(3, 3, -1, 0)], attributes: { axis: -1 }, gradient: true },
  { op: "Cast", inputs: [reals(image)], attributes: { to: 6 }, output: "int32" },
  { op: "Cast", inputs: [reals(image)], attributes: { to: 9 }, output: "bool" },
  { op: "Cast", inputs: [int32(image, -9, 9)], attributes: { to: 1 } },
  {
    op: "OneHot",
    inputs: [int32([4, 3], 0, 5), constant(int32([], 6, 6)), constant(float32([2], [-1, 2]))],
    attributes: { axis: -1 },
  },
  ...[
    [1, 1, 2, 3],
    [1, 1, 1, 7],
  ].map((scales) => ({
    op: "Resize",
    inputs: [reals(image), null, constant(float32([4], scales))],
    attributes: { mode: "nearest", nearest_mode: "floor", coordinate_transformation_mode: "asymmetric" },
    gradient: true,
  })),
  {
    op: "Resize",
    inputs: [reals(image), null, constant(float32([4], [1, 1, 2, 3]))],
    attributes: { mode: "linear", coordinate_transformation_mode: "asymmetric" },
    tolerance: CLOSE,
    gradient: true,
  },
];

const sums = (list: readonly OperatorCase[]): OperatorCase[] =>
  list.map((each) => ({ ...each, tolerance: SUM }));
export const CASES: readonly OperatorCase[] = [
  ...activations,
  ...arithmetic,
  ...sums([...convolutions, ...transposed, ...matrices]),
  ...pools,
  ...reductions,
  ...movement,
];
