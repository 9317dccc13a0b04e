// Operators in the forms of older opsets: what is read computes what ONNX Runtime computes from the file itself.

import { expect, test } from "vitest";
import { float32, int64, sizeOf, type Tensor } from "../../../src/base/tensor.js";
import { floatFile } from "../../../src/export/float-file.js";
import type { Attribute } from "../../../src/graph/graph.js";
import { encodeModel } from "../../../src/onnx/codec.js";
import { attributeProto } from "../../../src/onnx/from-graph.js";
import { ATTRIBUTE_TYPE, type AttributeProto, type ModelProto } from "../../../src/onnx/model-proto.js";
import { tensorToProto } from "../../../src/onnx/tensor-proto.js";
import { readOnnx } from "../../../src/read/onnx/read-onnx.js";
import { largestDifference } from "../../support/same-outputs.js";

interface Older {
  readonly opset: number;
  /** Of x; [2, 4, 6, 6] when absent. */
  readonly shape?: readonly number[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** Inputs after x. */
  readonly constants?: readonly Tensor[];
  readonly outputs?: number;
  readonly more?: readonly AttributeProto[];
}

/** x -> the operator -> y, y1... */
function modelOf(
  op: string,
  { opset, shape = [2, 4, 6, 6], attributes = {}, constants = [], outputs = 1, more = [] }: Older,
): ModelProto {
  const names = constants.map((_, i) => `c${i}`);
  const results = Array.from({ length: outputs }, (_, i) => `y${i}`);
  return {
    irVersion: 4,
    opsetImport: [{ version: opset }],
    graph: {
      name: "older",
      node: [
        {
          opType: op,
          name: "node",
          input: ["x", ...names],
          output: results,
          attribute: [
            ...Object.entries(attributes).map(([name, value]) => attributeProto(name, value)),
            ...more,
          ],
        },
      ],
      input: [
        {
          name: "x",
          type: {
            tensorType: { elemType: 1, shape: { dim: shape.map((dimValue) => ({ dimValue })) } },
          },
        },
      ],
      output: results.map((name) => ({ name, type: { tensorType: { elemType: 1 } } })),
      initializer: constants.map((tensor, i) => tensorToProto(tensor, names[i])),
    },
  };
}

const float = (x: number): Attribute => ({ float: x });
const scales = (...list: number[]): Tensor => float32([list.length], list);
const four = (): Tensor => float32([4], [0.5, 1, 1.5, 2]);
/** [2, 3, 2, 2] within -1..1. */
const grid = (): Tensor =>
  float32(
    [2, 3, 2, 2],
    Float32Array.from({ length: 24 }, (_, i) => Math.sin(i)),
  );
const waves = (...shape: number[]): Tensor =>
  float32(
    shape,
    Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(i * 1.7)),
  );
/** Of the second query nothing is shown. */
const shown = (): Tensor => ({
  dtype: "bool",
  shape: [6, 6],
  data: Uint8Array.from({ length: 36 }, (_, i) => (Math.floor(i / 6) === 1 || i % 3 === 0 ? 0 : 1)),
});
const ratio: AttributeProto = { name: "scales", type: ATTRIBUTE_TYPE.floats, floats: [1, 1, 2, 3] };

test.each<[string, string, Older]>([
  ["Clip with bounds", "Clip", { opset: 7, attributes: { min: float(-0.5), max: float(0.75) } }],
  ["Clip without an upper bound", "Clip", { opset: 10, attributes: { min: float(0) } }],
  ["Clip without any", "Clip", { opset: 10 }],
  ["Pad", "Pad", { opset: 10, attributes: { pads: [0, 0, 1, 2, 0, 0, 3, 0], value: float(0.5) } }],
  ["Pad by reflection", "Pad", { opset: 7, attributes: { pads: [0, 0, 1, 2, 0, 0, 3, 0], mode: "reflect" } }],
  ["Slice", "Slice", { opset: 9, attributes: { starts: [1, -3], ends: [3, 9999], axes: [1, 2] } }],
  ["Slice of the first axes", "Slice", { opset: 7, attributes: { starts: [0, 1], ends: [1, 3] } }],
  ["Split into parts", "Split", { opset: 11, attributes: { axis: 1, split: [1, 3] }, outputs: 2 }],
  ["Split into halves", "Split", { opset: 7, attributes: { axis: 1 }, outputs: 2 }],
  ["Unsqueeze", "Unsqueeze", { opset: 11, attributes: { axes: [0, 3] } }],
  ["ReduceMean over space", "ReduceMean", { opset: 17, attributes: { axes: [2, 3], keepdims: 0 } }],
  ["ReduceMax over all", "ReduceMax", { opset: 11, attributes: { keepdims: 0 } }],
  ["ReduceSum", "ReduceSum", { opset: 11, attributes: { axes: [-1] } }],
  ["ReduceL2", "ReduceL2", { opset: 12, attributes: { axes: [1] } }],
  ["Softmax over one axis", "Softmax", { opset: 11, attributes: { axis: -1 } }],
  ["Softmax over all axes from one on", "Softmax", { opset: 11, attributes: { axis: 2 } }],
  ["Softmax over the axes that it means when none is named", "Softmax", { opset: 7 }],
  ["LogSoftmax", "LogSoftmax", { opset: 12, attributes: { axis: 1 } }],
  ["Upsample by attribute", "Upsample", { opset: 8, attributes: { mode: "nearest" }, more: [ratio] }],
  [
    "Upsample, linear",
    "Upsample",
    { opset: 9, attributes: { mode: "linear" }, constants: [scales(1, 1, 2, 2)] },
  ],
  ["Resize of opset 10 that enlarges", "Resize", { opset: 10, constants: [scales(1, 1, 2, 1.5)] }],
  ["Resize of opset 10 that shrinks", "Resize", { opset: 10, constants: [scales(1, 1, 0.5, 0.7)] }],
  [
    "Resize of opset 11",
    "Resize",
    { opset: 11, attributes: { mode: "linear" }, constants: [scales(), scales(1, 1, 2, 2)] },
  ],
  [
    "Resize of opset 11 to sizes",
    "Resize",
    { opset: 11, constants: [scales(), scales(), int64([4], [2, 4, 9, 3])] },
  ],
  [
    "BatchNormalization of opset 7",
    "BatchNormalization",
    { opset: 7, constants: [four(), four(), four(), four()] },
  ],
  ["Dropout with a ratio", "Dropout", { opset: 7, attributes: { ratio: float(0.5) } }],
  ["Split into halves, of opset 13", "Split", { opset: 13, attributes: { axis: 1 }, outputs: 2 }],
  ["PRelu of opset 7", "PRelu", { opset: 7, constants: [float32([4, 1, 1], [0.1, 0.2, 0.3, 0.4])] }],
  ["Hardmax of opset 11", "Hardmax", { opset: 11, attributes: { axis: 3 } }],
  ["Attention", "Attention", { opset: 23, constants: [waves(2, 4, 5, 6), waves(2, 4, 5, 3)] }],
  [
    "Attention that looks back, of fewer heads of keys",
    "Attention",
    {
      opset: 24,
      attributes: { is_causal: 1, scale: float(0.7) },
      constants: [waves(2, 2, 6, 6), waves(2, 2, 6, 6)],
    },
  ],
  [
    "Attention with a mask",
    "Attention",
    { opset: 23, constants: [waves(2, 4, 6, 6), waves(2, 4, 6, 6), shown()] },
  ],
  [
    "Attention over vectors, with numbers that are added",
    "Attention",
    {
      opset: 23,
      shape: [2, 6, 8],
      attributes: { q_num_heads: 4, kv_num_heads: 2 },
      constants: [waves(2, 5, 4), waves(2, 5, 4), waves(6, 5)],
    },
  ],
  ["CastLike", "CastLike", { opset: 17, constants: [float32([], [0])] }],
  ["RMSNormalization", "RMSNormalization", { opset: 23, constants: [float32([6], [1, 2, 3, 4, 5, 6])] }],
  [
    "RMSNormalization over several axes",
    "RMSNormalization",
    {
      opset: 24,
      attributes: { axis: 2, epsilon: float(0.1) },
      constants: [float32([6, 6], new Float32Array(36).fill(2))],
    },
  ],
  [
    "GridSample of opset 16",
    "GridSample",
    { opset: 16, attributes: { mode: "bilinear" }, constants: [grid()] },
  ],
  ["Pow of opset 7", "Pow", { opset: 7, constants: [float32([], [2])] }],
  ["DepthToSpace of opset 9", "DepthToSpace", { opset: 9, attributes: { blocksize: 2 } }],
  [
    "AveragePool that rounds up",
    "AveragePool",
    { opset: 10, attributes: { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 } },
  ],
])("%s", async (_, op, older) => {
  const model = modelOf(op, older);
  const graph = readOnnx(model, "older.onnx");
  for (const { shape } of graph.outputs) expect(shape.every((dim) => typeof dim === "number")).toBe(true);
  expect(await largestDifference(encodeModel(model), floatFile(graph, 21), graph)).toBeLessThan(1e-6);
});

test.each<[string, string, Older, RegExp]>([
  ["an opset before 7", "Relu", { opset: 6 }, /is of opset 6, expected 7 to 26; export it at another one/],
  ["an opset of the future", "Relu", { opset: 27 }, /is of opset 27, expected 7 to 26/],
  [
    "BatchNormalization by position",
    "BatchNormalization",
    { opset: 7, attributes: { spatial: 0 }, constants: [four(), four(), four(), four()] },
    /node \(BatchNormalization\): has statistics by position/,
  ],
  [
    "Resize of opset 10 both ways",
    "Resize",
    { opset: 10, constants: [scales(1, 1, 2, 0.5)] },
    /both enlarge and shrink/,
  ],
  [
    "Attention with a soft cap",
    "Attention",
    { opset: 23, attributes: { softcap: float(2) }, constants: [waves(2, 4, 6, 6), waves(2, 4, 6, 6)] },
    /node \(Attention\): has a soft cap, which is not supported; export the model at opset 22 or earlier/,
  ],
  [
    "Resize as TensorFlow 1 had it",
    "Resize",
    {
      opset: 11,
      attributes: { coordinate_transformation_mode: "tf_half_pixel_for_nn" },
      constants: [scales(), scales(1, 1, 2, 2)],
    },
    /got tf_half_pixel_for_nn/,
  ],
])("%s is refused", (_, op, older, message) => {
  expect(() => readOnnx(modelOf(op, older), "older.onnx")).toThrow(message);
});
