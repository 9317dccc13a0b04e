// Each operator of the reference interpreter against ONNX Runtime without optimization: an oracle that shares no
// code with it. Integers and moved elements must be the same, sums of floats close.

import { describe, expect, it } from "vitest";
import type { DType, Tensor } from "../../src/base/tensor.js";
import { float32, int64, sizeOf, tensor } from "../../src/base/tensor.js";
import { GraphBuilder } from "../../src/graph/builder.js";
import type { Attribute } from "../../src/graph/graph.js";
import { encodeModel } from "../../src/onnx/codec.js";
import { graphToModel } from "../../src/onnx/from-graph.js";
import { cpuRuntime } from "../../src/runtime/cpu.js";
import { referenceRuntime } from "../../src/runtime/reference.js";
import { Random } from "./sketch.js";

interface OperatorCase {
  readonly op: string;
  /** An input is computed (fed), or constant; null where it is left out. */
  readonly inputs: readonly (Tensor | { readonly constant: Tensor } | null)[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly outputs?: readonly DType[];
  /** Relative to the largest element; 0: the same. */
  readonly tolerance?: number;
  readonly opset?: number;
}

const random = new Random(7);

/** Half of the values are halves and integers, where rounding and comparisons have their ties. */
function reals(shape: readonly number[], low = -4, high = 4): Tensor<"float32"> {
  return float32(
    shape,
    Float32Array.from({ length: sizeOf(shape) }, () => {
      const x = low + (high - low) * random.next();
      return random.next() < 0.5 ? x : Math.round(2 * x) / 2;
    }),
  );
}

const bytes = (shape: readonly number[]): Tensor<"uint8"> => random.bytes(shape);
const int32 = (shape: readonly number[], low = -9, high = 9): Tensor<"int32"> =>
  tensor(
    "int32",
    shape,
    Int32Array.from({ length: sizeOf(shape) }, () => random.integer(low, high)),
  );
const bools = (shape: readonly number[]): Tensor<"bool"> =>
  tensor("bool", shape, random.bytes(shape, 1).data);
const ints = (...list: number[]): { constant: Tensor } => ({ constant: int64([list.length], list) });
const constant = (data: Tensor): { constant: Tensor } => ({ constant: data });
const scalarInt = (value: number): { constant: Tensor } => constant(int64([], [value]));
const scalar = (value: number): { constant: Tensor } => constant(float32([], [value]));
const alpha = (value: number): Record<string, Attribute> => ({ alpha: { float: value } });

const CLOSE = 2e-6;
const image = [2, 6, 9, 11];
const volume = [2, 4, 5, 6, 7];

const CASES: readonly OperatorCase[] = [
  ...["Abs", "Neg", "Relu", "Sign", "Floor", "Ceil", "Round"].map((op) => ({ op, inputs: [reals([3, 50])] })),
  ...["Asin", "Acos", "Atanh"].map((op): OperatorCase => ({
    op,
    inputs: [reals([3, 5], -0.95, 0.95)],
    tolerance: 1e-6,
  })),
  ...["Tan", "Atan", "Sinh", "Cosh", "Asinh"].map((op): OperatorCase => ({
    op,
    inputs: [reals([3, 5], -1.4, 1.4)],
    tolerance: 1e-6,
  })),
  { op: "Acosh", inputs: [reals([3, 5], 1.1, 4)], tolerance: 1e-6 },
  ...["Exp", "Erf", "Sigmoid", "Tanh", "Softplus", "Softsign", "Mish", "HardSwish", "Sin", "Cos"].map(
    (op) => ({
      op,
      inputs: [reals([3, 50])],
      tolerance: CLOSE,
    }),
  ),
  ...["Log", "Sqrt", "Reciprocal"].map((op) => ({ op, inputs: [reals([60], 0.5, 9)], tolerance: CLOSE })),
  { op: "LeakyRelu", inputs: [reals([80])], attributes: alpha(0.3) },
  { op: "LeakyRelu", inputs: [reals([80])] },
  { op: "Elu", inputs: [reals([80])], attributes: alpha(1.5), tolerance: CLOSE },
  { op: "Selu", inputs: [reals([80])], tolerance: CLOSE },
  { op: "HardSigmoid", inputs: [reals([80])], attributes: { alpha: { float: 0.3 }, beta: { float: 0.4 } } },
  { op: "ThresholdedRelu", inputs: [reals([80])], attributes: alpha(0.5) },
  { op: "Gelu", inputs: [reals([80])], tolerance: CLOSE },
  { op: "Gelu", inputs: [reals([80])], attributes: { approximate: "tanh" }, tolerance: CLOSE },
  { op: "PRelu", inputs: [reals(image), reals([6, 1, 1])] },
  { op: "Clip", inputs: [reals([70]), scalar(-1), scalar(2.25)] },
  { op: "Clip", inputs: [reals([70]), null, scalar(1)] },
  { op: "Clip", inputs: [bytes([70]), constant(bytes([])), null] },
  { op: "Relu", inputs: [int32([40])] },

  ...["Add", "Sub", "Mul", "Div", "Max", "Min"].map((op) => ({
    op,
    inputs: [reals([2, 1, 5, 3], 1, 4), reals([4, 1, 3], 1, 4)],
  })),
  ...["Add", "Sub", "Mul", "Max", "Min"].map((op) => ({
    op,
    inputs: [int32([4, 3], -2e9, 2e9), int32([3], -2e9, 2e9)],
  })),
  { op: "Div", inputs: [int32([30], -50, 50), int32([1], 3, 7)] },
  ...["Add", "Sub", "Mul", "Div"].map((op) => ({
    op,
    inputs: [int64([4], [7, -7, 9, 2 ** 40]), int64([1], [-2])],
  })),
  { op: "Pow", inputs: [reals([30], 0.5, 3), reals([1])], tolerance: CLOSE },
  { op: "Mod", inputs: [int32([30], -50, 50), int32([1], 3, 7)] },
  { op: "Sum", inputs: [reals([3, 4]), reals([4]), reals([3, 1])] },
  { op: "Mean", inputs: [reals([3, 4]), reals([4]), reals([3, 1])], tolerance: CLOSE },
  { op: "Max", inputs: [reals([3, 4]), reals([4]), reals([3, 1])] },
  ...["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"].map((op) => ({
    op,
    inputs: [reals([3, 40]), reals([40])],
    outputs: ["bool" as const],
  })),
  { op: "Equal", inputs: [int64([3], [1, 2, 3]), int64([1], [2])], outputs: ["bool"] },
  ...["And", "Or", "Xor"].map((op) => ({ op, inputs: [bools([4, 5]), bools([5])] })),
  { op: "Not", inputs: [bools([9])] },
  ...["BitwiseAnd", "BitwiseOr", "BitwiseXor"].map((op) => ({ op, inputs: [bytes([4, 9]), bytes([9])] })),
  { op: "BitwiseNot", inputs: [bytes([20])] },
  {
    op: "BitShift",
    inputs: [bytes([3, 8]), constant(random.bytes([8], 7))],
    attributes: { direction: "LEFT" },
  },
  {
    op: "BitShift",
    inputs: [bytes([3, 8]), constant(random.bytes([8], 7))],
    attributes: { direction: "RIGHT" },
  },
  { op: "Where", inputs: [bools([4, 1]), reals([3]), reals([4, 3])], outputs: ["float32"] },

  { op: "Cast", inputs: [bytes([30])], attributes: { to: 3 }, outputs: ["int8"] },
  { op: "Cast", inputs: [bytes([30])], attributes: { to: 1 }, outputs: ["float32"] },
  { op: "Cast", inputs: [int32([30], -9e8, 9e8)], attributes: { to: 2 }, outputs: ["uint8"] },
  { op: "Cast", inputs: [int32([30], -9e8, 9e8)], attributes: { to: 7 }, outputs: ["int64"] },
  { op: "Cast", inputs: [reals([30], 0, 99)], attributes: { to: 2 }, outputs: ["uint8"] },
  { op: "Cast", inputs: [reals([30])], attributes: { to: 6 }, outputs: ["int32"] },
  { op: "Cast", inputs: [reals([30])], attributes: { to: 9 }, outputs: ["bool"] },

  { op: "Reshape", inputs: [bytes([2, 3, 4]), ints(0, -1)] },
  { op: "Reshape", inputs: [bytes([2, 3, 4]), ints(4, 0, 2)] },
  { op: "Flatten", inputs: [bytes([2, 3, 4])], attributes: { axis: 2 } },
  { op: "Squeeze", inputs: [bytes([2, 1, 4, 1]), ints(-1)] },
  { op: "Squeeze", inputs: [bytes([2, 1, 4, 1])] },
  { op: "Unsqueeze", inputs: [bytes([2, 4]), ints(0, -1)] },
  { op: "Transpose", inputs: [bytes([2, 3, 4])], attributes: { perm: [2, 0, 1] } },
  { op: "Transpose", inputs: [bytes([2, 3, 4])] },
  { op: "Concat", inputs: [bytes([2, 3]), bytes([2, 1]), bytes([2, 2])], attributes: { axis: -1 } },
  { op: "Split", inputs: [bytes([2, 5]), ints(2, 3)], attributes: { axis: 1 }, outputs: ["uint8", "uint8"] },
  {
    op: "Split",
    inputs: [bytes([2, 5])],
    attributes: { axis: 1, num_outputs: 2 },
    outputs: ["uint8", "uint8"],
  },
  { op: "Slice", inputs: [bytes([5, 7]), ints(1, -1), ints(99, -99), ints(0, 1), ints(2, -2)] },
  { op: "Slice", inputs: [bytes([5, 7]), ints(-3), ints(4)] },
  { op: "Pad", inputs: [bytes([3, 4]), ints(1, 0, 2, 3), constant(bytes([]))] },
  { op: "Pad", inputs: [bytes([3, 4]), ints(-1, 2, 1, -1), constant(bytes([]))] },
  { op: "Pad", inputs: [reals([3, 4]), ints(1, 2), null, ints(-1)] },
  { op: "Expand", inputs: [bytes([3, 1]), ints(2, 1, 4)] },
  { op: "Tile", inputs: [bytes([2, 3]), ints(2, 3)] },
  { op: "Gather", inputs: [bytes([3, 5]), constant(int64([2, 2], [0, -1, 4, 2]))], attributes: { axis: 1 } },
  ...[-1, 1].map((axis) => ({
    op: "OneHot",
    inputs: [constant(int64([2, 3], [0, -1, 4, 2, 1, 7])), scalarInt(4), constant(float32([2], [-1, 5]))],
    attributes: { axis },
    outputs: ["float32" as const],
  })),
  { op: "Shape", inputs: [bytes([2, 3, 4])], attributes: { start: 1 }, outputs: ["int64"] },
  { op: "ConstantOfShape", inputs: [int64([2], [2, 3])], outputs: ["float32"] },
  { op: "Identity", inputs: [bytes([4])] },

  { op: "QuantizeLinear", inputs: [reals([3, 60]), scalar(0.25)], outputs: ["uint8"] },
  {
    op: "QuantizeLinear",
    inputs: [
      reals([3, 60]),
      constant(reals([3], 0.01, 1)),
      constant(tensor("int8", [3], Int8Array.of(-5, 0, 9))),
    ],
    attributes: { axis: 0 },
    outputs: ["int8"],
  },
  {
    op: "DequantizeLinear",
    inputs: [bytes([4, 3, 5]), constant(reals([3])), constant(bytes([3]))],
    outputs: ["float32"],
  },
  {
    op: "DequantizeLinear",
    inputs: [bytes([6, 5]), constant(reals([2, 5])), constant(bytes([2, 5]))],
    attributes: { axis: 0, block_size: 3 },
    outputs: ["float32"],
  },
  { op: "DequantizeLinear", inputs: [int32([40], -2e9, 2e9), scalar(0.01)], outputs: ["float32"] },

  { op: "MatMul", inputs: [reals([2, 1, 4, 7]), reals([3, 7, 5])], tolerance: CLOSE },
  { op: "MatMul", inputs: [reals([7]), reals([3, 7, 5])], tolerance: CLOSE },
  { op: "Gemm", inputs: [reals([4, 7]), reals([7, 5]), reals([5])], tolerance: CLOSE },
  {
    op: "Gemm",
    inputs: [reals([7, 4]), reals([5, 7]), reals([4, 1])],
    attributes: { transA: 1, transB: 1, alpha: { float: 0.5 }, beta: { float: 2 } },
    tolerance: CLOSE,
  },
  {
    op: "Conv",
    inputs: [reals(image), reals([4, 3, 3, 2]), reals([4])],
    attributes: { group: 2, strides: [2, 1], pads: [1, 0, 2, 1] },
    tolerance: CLOSE,
  },
  {
    op: "Conv",
    inputs: [reals(image), reals([4, 6, 3, 3])],
    attributes: { strides: [2, 3], auto_pad: "SAME_LOWER" },
    tolerance: CLOSE,
  },
  {
    op: "Conv",
    inputs: [reals([1, 2, 12]), reals([3, 2, 4]), reals([3])],
    attributes: { strides: [3], auto_pad: "SAME_UPPER" },
    tolerance: CLOSE,
  },
  {
    op: "Conv",
    inputs: [reals(volume), reals([4, 2, 2, 3, 2]), reals([4])],
    attributes: { group: 2, strides: [2, 1, 2], dilations: [2, 1, 1], pads: [1, 0, 2, 1, 1, 0] },
    tolerance: CLOSE,
  },
  {
    op: "ConvTranspose",
    inputs: [reals(volume), reals([4, 3, 2, 3, 2]), reals([3])],
    attributes: { strides: [2, 1, 2], pads: [1, 0, 1, 0, 1, 0] },
    tolerance: CLOSE,
  },
  {
    op: "MaxPool",
    inputs: [reals(volume)],
    attributes: { kernel_shape: [2, 3, 2], strides: [2, 1, 2], pads: [1, 1, 0, 0, 1, 1] },
  },
  {
    op: "AveragePool",
    inputs: [reals(volume)],
    attributes: { kernel_shape: [2, 3, 2], strides: [2, 1, 2], pads: [1, 1, 0, 0, 1, 1] },
    tolerance: CLOSE,
  },
  {
    op: "ConvTranspose",
    inputs: [reals([2, 4, 5, 6]), reals([4, 3, 3, 2]), reals([6])],
    attributes: { group: 2, strides: [2, 3], pads: [1, 0, 0, 1], output_padding: [1, 0] },
    tolerance: CLOSE,
  },
  {
    op: "ConvTranspose",
    inputs: [reals([1, 2, 5, 6]), reals([2, 3, 3, 3])],
    attributes: { strides: [2, 2], auto_pad: "SAME_UPPER" },
    tolerance: CLOSE,
  },
  {
    op: "ConvTranspose",
    inputs: [reals([1, 2, 7]), reals([2, 3, 4])],
    attributes: { dilations: [2], output_shape: [11] },
    tolerance: CLOSE,
  },
  {
    op: "MaxPool",
    inputs: [bytes(image)],
    attributes: { kernel_shape: [3, 2], strides: [2, 2], pads: [1, 0, 1, 1] },
  },
  {
    op: "MaxPool",
    inputs: [reals(image)],
    attributes: { kernel_shape: [3, 3], strides: [2, 3], ceil_mode: 1, dilations: [2, 1] },
  },
  {
    op: "AveragePool",
    inputs: [reals(image)],
    attributes: { kernel_shape: [3, 2], strides: [2, 2], pads: [1, 1, 1, 0] },
    tolerance: CLOSE,
  },
  {
    op: "AveragePool",
    inputs: [reals(image)],
    attributes: {
      kernel_shape: [3, 2],
      strides: [2, 3],
      pads: [1, 1, 1, 0],
      ceil_mode: 1,
      count_include_pad: 1,
    },
    tolerance: CLOSE,
  },
  {
    op: "AveragePool",
    inputs: [reals([2, 3, 10])],
    attributes: { kernel_shape: [3], strides: [2], auto_pad: "SAME_UPPER" },
    tolerance: CLOSE,
  },
  { op: "GlobalAveragePool", inputs: [reals(image)], tolerance: CLOSE },
  { op: "GlobalMaxPool", inputs: [reals(image)] },

  ...["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSumSquare", "ReduceL2"].map(
    (op) => ({
      op,
      inputs: [reals([3, 4, 5]), ints(-1, 0)],
      attributes: { keepdims: 0 },
      tolerance: CLOSE,
    }),
  ),
  { op: "ReduceSum", inputs: [reals([3, 4])], tolerance: CLOSE },
  { op: "ReduceProd", inputs: [int64([2, 3], [1, 2, 3, 4, 5, 6]), ints(1)] },
  { op: "Softmax", inputs: [reals([3, 7, 2])], attributes: { axis: 1 }, tolerance: CLOSE },
  { op: "LogSoftmax", inputs: [reals([3, 7])], tolerance: CLOSE },
  {
    op: "BatchNormalization",
    inputs: [reals(image), reals([6]), reals([6]), reals([6]), reals([6], 0.1, 3)],
    tolerance: CLOSE,
  },
  {
    op: "LayerNormalization",
    inputs: [reals([3, 4, 5]), reals([4, 5]), reals([4, 5])],
    attributes: { axis: 1 },
    tolerance: CLOSE,
  },
  {
    op: "Resize",
    inputs: [bytes([1, 2, 3, 4]), null, constant(float32([4], [1, 1, 2, 3]))],
    attributes: { mode: "nearest", nearest_mode: "floor", coordinate_transformation_mode: "asymmetric" },
  },
  {
    op: "Resize",
    inputs: [reals([1, 2, 3, 4]), null, constant(float32([4], [1, 1, 2, 3]))],
    attributes: { mode: "linear", coordinate_transformation_mode: "asymmetric" },
    tolerance: CLOSE,
  },
  {
    op: "Resize",
    inputs: [reals([1, 2, 3, 4]), null, null, ints(1, 2, 7, 5)],
    attributes: { mode: "linear", coordinate_transformation_mode: "align_corners" },
    tolerance: CLOSE,
  },
  {
    op: "Resize",
    inputs: [reals([1, 2, 3, 4]), null, null, ints(1, 2, 7, 5)],
    attributes: { mode: "nearest" },
  },
  { op: "Pad", inputs: [reals([3, 4]), ints(2, 1, 0, 3)], attributes: { mode: "reflect" } },
  { op: "Pad", inputs: [int32([3, 4]), ints(0, 1, 5, 3)], attributes: { mode: "edge" } },
  {
    op: "Mod",
    inputs: [reals([40]), constant(reals([40], 0.5, 3))],
    attributes: { fmod: 1 },
    tolerance: CLOSE,
  },
  {
    op: "Mod",
    inputs: [int32([40]), constant(tensor("int32", [1], Int32Array.of(-4)))],
    attributes: { fmod: 1 },
  },
  ...[0, 1].flatMap((largest): OperatorCase[] => [
    {
      op: "TopK",
      inputs: [int32([3, 8, 2], 0, 4), ints(5)],
      attributes: { axis: 1, largest },
      outputs: ["int32", "int64"],
    },
    {
      op: largest === 1 ? "ArgMax" : "ArgMin",
      inputs: [int32([3, 8, 2], 0, 4)],
      attributes: { axis: 1, keepdims: largest, select_last_index: largest },
      outputs: ["int64"],
    },
    {
      op: "CumSum",
      inputs: [reals([3, 5, 2]), scalarInt(1)],
      attributes: { exclusive: largest, reverse: 1 },
      tolerance: CLOSE,
    },
    { op: "CumSum", inputs: [int32([3, 5]), scalarInt(-1)], attributes: { exclusive: largest } },
  ]),
  { op: "NonZero", inputs: [bools([3, 4, 2])], outputs: ["int64"] },
  {
    op: "NonMaxSuppression",
    inputs: [
      reals([2, 20, 4], 0, 1),
      reals([2, 3, 20], 0, 1),
      ints(6),
      constant(float32([1], [0.3])),
      scalar(0.2),
    ],
    outputs: ["int64"],
  },
  {
    op: "NonMaxSuppression",
    inputs: [reals([1, 9, 4], 0, 1), reals([1, 1, 9], 0, 1), ints(4)],
    outputs: ["int64"],
  },
  { op: "IsNaN", inputs: [float32([4], [1, Number.NaN, Infinity, -Infinity])], outputs: ["bool"] },
  { op: "IsInf", inputs: [float32([4], [1, Number.NaN, Infinity, -Infinity])], outputs: ["bool"] },
  {
    op: "IsInf",
    inputs: [float32([4], [1, Number.NaN, Infinity, -Infinity])],
    attributes: { detect_negative: 0 },
    outputs: ["bool"],
  },
  { op: "GatherElements", inputs: [reals([3, 4]), constant(int64([2, 4], [0, -1, 2, 1, 1, 0, -3, 2]))] },
  {
    op: "GatherElements",
    inputs: [bytes([2, 3, 4]), constant(int64([1, 3, 2], [0, 3, -1, 1, 2, 2]))],
    attributes: { axis: -1 },
  },
  { op: "GatherND", inputs: [reals([3, 4, 2]), constant(int64([2, 2, 2], [0, 1, 2, 3, -1, 0, 1, -2]))] },
  { op: "ScatterND", inputs: [reals([5, 2]), constant(int64([2, 1], [3, 0])), reals([2, 2])] },
  {
    op: "ScatterND",
    inputs: [reals([5, 2]), constant(int64([3, 1], [3, 0, 3])), reals([3, 2])],
    attributes: { reduction: "add" },
    tolerance: CLOSE,
  },
  {
    op: "Range",
    inputs: [2, 11, 4].map((x) => tensor("int32", [], Int32Array.of(x))),
  },
  { op: "Range", inputs: [scalarInt(5), scalarInt(-4), scalarInt(-3)], outputs: ["int64"] },
  { op: "Range", inputs: [0.5, 2.3, 0.25].map((x) => float32([], [x])) },
  { op: "Size", inputs: [reals([3, 4])], outputs: ["int64"] },
  ...["DCR", "CRD"].map((mode): OperatorCase => {
    return { op: "DepthToSpace", inputs: [reals([2, 12, 3, 2])], attributes: { blocksize: 2, mode } };
  }),
  ...[3, 5].map((size): OperatorCase => {
    const attributes = { size, alpha: { float: 0.3 }, beta: { float: 0.6 }, bias: { float: 1.5 } };
    return { op: "LRN", inputs: [reals([2, 7, 3, 2])], attributes, tolerance: CLOSE };
  }),
  ...["ab,bc->ac", "abc,abd->acd", "ab->ba", "aa->a", "abc->b", "ab,cb,b->ca"].map(
    (equation): OperatorCase => {
      const sizes: Record<string, number> = { a: 3, b: 4, c: 2, d: 5 };
      const terms = (equation.split("->")[0] ?? "").split(",");
      const inputs = terms.map((term) => reals(Array.from(term, (letter) => sizes[letter] ?? 1)));
      return { op: "Einsum", inputs, attributes: { equation }, tolerance: CLOSE };
    },
  ),
];

describe("an operator of the reference computes what ONNX Runtime computes", () => {
  for (const [index, operatorCase] of CASES.entries()) {
    const { op, attributes = {}, tolerance = 0 } = operatorCase;
    const shapes = operatorCase.inputs.map((input) => {
      const data = input && ("constant" in input ? input.constant : input);
      return data ? `${data.dtype}[${data.shape.join(",")}]` : "-";
    });
    it(`${index}: ${op} of ${shapes.join(" ")} ${JSON.stringify(attributes)}`, async () => {
      const { bytes: model, feeds } = modelOf(operatorCase);
      const session = await referenceRuntime.open({ bytes: model });
      const got = await session.run(feeds);
      const oracle = await cpuRuntime.open({ bytes: model }, { optimization: "none" });
      const expected = await oracle.run(feeds);
      await oracle.dispose();
      expect(types(got)).toEqual(types(expected));
      for (const [name, output] of Object.entries(expected)) {
        expect(difference(got[name] as Tensor, output)).toBeLessThanOrEqual(tolerance);
      }
    });
  }
});

function modelOf({ op, inputs, attributes = {}, outputs, opset = 21 }: OperatorCase): {
  readonly bytes: Uint8Array;
  readonly feeds: Record<string, Tensor>;
} {
  const builder = new GraphBuilder("operator");
  const feeds: Record<string, Tensor> = {};
  const values = inputs.map((input, i) => {
    if (input === null) return null;
    if ("constant" in input) return builder.constant(`c${i}`, input.constant);
    feeds[`x${i}`] = input;
    return builder.input(`x${i}`, input.shape, input.dtype);
  });
  const node = {
    op,
    domain: "" as const,
    attributes,
    inputs: values,
    outputs: (outputs ?? [values[0]?.dtype ?? "float32"]).map((dtype, i) => ({
      name: `y${i}`,
      dtype,
      shape: ["..."],
    })),
    origin: op,
  };
  builder.graph.nodes.push(node);
  builder.graph.outputs.push(...node.outputs);
  const model = graphToModel(builder.graph, { opset, irVersion: 10, producerVersion: "test" });
  return { bytes: encodeModel(model), feeds };
}

function types(results: Readonly<Record<string, Tensor>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(results).map(([name, { dtype, shape }]) => [name, [dtype, ...shape]]),
  );
}

/** Largest difference relative to the largest element; 0 and -0 are one number. */
function difference(got: Tensor, expected: Tensor): number {
  const [a, b] = [got, expected].map(({ data }) => Array.from(data as ArrayLike<number | bigint>));
  let most = 0;
  let largest = 0;
  (b ?? []).forEach((x, i) => {
    const y = a?.[i] as typeof x;
    if (x !== y) most = Math.max(most, Math.abs(Number(x) - Number(y)));
    largest = Math.max(largest, Math.abs(Number(x)));
  });
  // Two integers beyond 2^53 may differ by what a double does not show.
  if (most === 0) return (b ?? []).every((x, i) => x === a?.[i]) ? 0 : Number.POSITIVE_INFINITY;
  return largest === 0 ? Number.POSITIVE_INFINITY : most / largest;
}
