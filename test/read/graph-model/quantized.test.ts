// Operators within a quantized network: the 8-bit file has the integers of the reference on cpu and wasm, and is near the
// float model. Each stands between two convolutions.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { float32 } from "../../../src/base/tensor.js";
import { exportModel } from "../../../src/export/export-model.js";
import { parity } from "../../../src/parity/parity.js";
import { chance } from "../../support/layer-cases.js";
import { newFolder, removeFolder } from "../../support/small-models.js";
import {
  b,
  f,
  i,
  ints,
  intWeight,
  node,
  realWeight,
  s,
  type TestGraph,
  type TestNode,
  type TestWeight,
  writeGraphModel,
} from "../../support/graph-models.js";
import { npyOf } from "../../parity/tiny-models.js";

const window = { strides: ints(1, 1, 1, 1), dilations: ints(1, 1, 1, 1), padding: s("SAME") };

interface Middle {
  /** From "c", [N, 6, 6, 4], to "m". */
  readonly nodes: readonly TestNode[];
  readonly weights?: Readonly<Record<string, TestWeight>>;
  readonly channels?: number;
  /** Computed in real numbers between quantizers: an integer next to a tie may be one step away. */
  readonly inFloat?: true;
}

const plain = (op: string, attr: TestNode["attr"] = {}): Middle => ({ nodes: [node("m", op, ["c"], attr)] });
const k = realWeight(chance(5), 4);

const MIDDLES: Readonly<Record<string, Middle>> = {
  Relu6: plain("Relu6"),
  LeakyRelu: plain("LeakyRelu", { alpha: f(0.1) }),
  Tanh: plain("Tanh"),
  Square: plain("Square"),
  BiasAdd: { nodes: [node("m", "BiasAdd", ["c", "k"])], weights: { k } },
  "a factor by channel": { nodes: [node("m", "Mul", ["c", "k"])], weights: { k } },
  Prelu: { nodes: [node("m", "Prelu", ["c", "k"])], weights: { k }, inFloat: true },
  "a residual": { nodes: [node("r", "Relu", ["c"]), node("m", "AddV2", ["r", "c"])] },
  "a sum of three": {
    nodes: [node("r", "Relu", ["c"]), node("t", "Tanh", ["c"]), node("m", "AddN", ["r", "c", "t"])],
  },
  Maximum: { nodes: [node("t", "Tanh", ["c"]), node("m", "Maximum", ["c", "t"])] },
  "swish, spelled out": { nodes: [node("t", "Sigmoid", ["c"]), node("m", "Mul", ["c", "t"])] },
  "hard swish, spelled out": {
    nodes: [
      node("a", "AddV2", ["c", "three"]),
      node("r", "Relu6", ["a"]),
      node("p", "Mul", ["c", "r"]),
      node("m", "Mul", ["p", "sixth"]),
    ],
    weights: { three: { shape: [], data: [3] }, sixth: { shape: [], data: [1 / 6] } },
  },
  "squeeze and excite": {
    nodes: [
      node("a", "Mean", ["c", "space"], { keep_dims: b(true) }),
      node("d", "Conv2D", ["a", "v"], window),
      node("t", "Sigmoid", ["d"]),
      node("m", "Mul", ["c", "t"]),
    ],
    weights: { space: intWeight([2], 1, 2), v: realWeight(chance(6), 1, 1, 4, 4) },
  },
  "Split and ConcatV2": {
    nodes: [
      node("p", "Split", ["last", "c"], { num_split: i(2) }),
      node("m", "ConcatV2", ["p:1", "p", "last"], { N: i(2) }),
    ],
    weights: { last: intWeight([], 3) },
  },
  "StridedSlice over space": {
    nodes: [node("m", "StridedSlice", ["c", "from", "to", "by"], { end_mask: i(9) })],
    weights: {
      from: intWeight([4], 0, 1, 0, 0),
      to: intWeight([4], 0, 5, 4, 0),
      by: intWeight([4], 1, 1, 2, 1),
    },
  },
  Pad: {
    nodes: [node("m", "Pad", ["c", "p"])],
    weights: { p: intWeight([4, 2], 0, 0, 1, 2, 0, 1, 0, 0) },
  },
  MirrorPad: {
    nodes: [node("m", "MirrorPad", ["c", "p"], { mode: s("REFLECT") })],
    weights: { p: intWeight([4, 2], 0, 0, 1, 2, 0, 1, 0, 0) },
  },
  Tile: { nodes: [node("m", "Tile", ["c", "r"])], weights: { r: intWeight([4], 1, 2, 1, 1) } },
  ReverseV2: { nodes: [node("m", "ReverseV2", ["c", "a"])], weights: { a: intWeight([1], 2) } },
  "Transpose of space": {
    nodes: [node("m", "Transpose", ["c", "p"])],
    weights: { p: intWeight([4], 0, 2, 1, 3) },
  },
  Reshape: { nodes: [node("m", "Reshape", ["c", "to"])], weights: { to: intWeight([4], -1, 3, 12, 4) } },
  "Squeeze and ExpandDims": {
    nodes: [
      node("e", "ExpandDims", ["c", "one"]),
      node("q", "Squeeze", ["e"], { squeeze_dims: ints(1) }),
      node("m", "Relu", ["q"]),
    ],
    weights: { one: intWeight([], 1) },
  },
  "Unpack and Pack": {
    nodes: [
      node("u", "Unpack", ["c"], { axis: i(3), num: i(4) }),
      node("m", "Pack", ["u:3", "u:1", "u", "u:2"], { axis: i(3), N: i(4) }),
    ],
  },
  GatherV2: {
    nodes: [node("m", "GatherV2", ["c", "at", "axis"])],
    weights: { at: intWeight([4], 3, 1, 1, 0), axis: intWeight([], 2) },
    inFloat: true,
  },
  MaxPool: plain("MaxPool", { ksize: ints(1, 2, 2, 1), strides: ints(1, 2, 2, 1), padding: s("SAME") }),
  AvgPool: plain("AvgPool", { ksize: ints(1, 2, 2, 1), strides: ints(1, 2, 2, 1), padding: s("VALID") }),
  DepthToSpace: {
    ...plain("DepthToSpace", { block_size: i(2), data_format: s("NHWC") }),
    channels: 1,
    inFloat: true,
  },
  "a dilated convolution by blocks": {
    nodes: [
      node("b", "SpaceToBatchND", ["c", "blocks", "pads"]),
      node("d", "Conv2D", ["b", "v"], { ...window, padding: s("VALID") }),
      node("m", "BatchToSpaceND", ["d", "blocks", "crops"]),
    ],
    weights: {
      blocks: intWeight([2], 2, 2),
      pads: intWeight([2, 2], 2, 2, 2, 2),
      crops: intWeight([2, 2], 0, 0, 0, 0),
      v: realWeight(chance(7), 3, 3, 4, 4),
    },
  },
  "ResizeNearestNeighbor, twice as large": {
    nodes: [node("m", "ResizeNearestNeighbor", ["c", "z"], { half_pixel_centers: b(true) })],
    weights: { z: intWeight([2], 12, 12) },
  },
  ResizeBilinear: {
    nodes: [node("m", "ResizeBilinear", ["c", "z"], { half_pixel_centers: b(true) })],
    weights: { z: intWeight([2], 9, 8) },
    inFloat: true,
  },
  Softmax: { ...plain("Softmax"), inFloat: true },
  FusedBatchNormV3: {
    nodes: [
      node("r", "Relu", ["c"]),
      node("m", "FusedBatchNormV3", ["r", "k", "k", "k", "v"], { epsilon: f(0.01), is_training: b(false) }),
    ],
    weights: { k, v: { shape: [4], data: [0.5, 1, 2, 1.5] } },
  },
};

function network(middle: Middle): TestGraph {
  const { nodes, weights = {}, channels = 4 } = middle;
  return {
    inputs: { x: { shape: [null, 6, 6, 3] } },
    weights: {
      w: realWeight(chance(1), 3, 3, 3, 4),
      z1: realWeight(chance(2), 1, 1, channels, 5),
      ...weights,
    },
    nodes: [node("c", "Conv2D", ["x", "w"], window), ...nodes, node("y", "Conv2D", ["m", "z1"], window)],
    outputs: ["y"],
  };
}

let folder: string;
beforeEach(async () => {
  folder = await newFolder();
});
afterEach(() => removeFolder(folder));

test.each(Object.entries(MIDDLES))("%s", async (_, middle) => {
  const model = await writeGraphModel(folder, network(middle));
  const c = chance(9);
  const data = join(folder, "x.npy");
  const samples = Float32Array.from({ length: 12 * 108 }, () => 4 * c.number() - 2);
  await writeFile(data, npyOf(float32([12, 6, 6, 3], samples)));
  const output = join(folder, "model.onnx");
  await exportModel({ model, output, bits: 8, calibration: [data], calibrationCount: 8, heldOutCount: 4 });
  const report = await parity({
    model: output,
    reference: model,
    data: [data],
    count: 4,
    intermediates: true,
  });
  for (const { runtime, tensors } of report.targets) {
    const apart = (tensors ?? []).filter(
      ({ mismatches }) => (mismatches.largestSteps ?? 99) > (middle.inFloat ? 1 : 0),
    );
    expect([runtime, apart]).toEqual([runtime, []]);
  }
  expect(report.reasons).toEqual([]);
  expect(report.float?.outputs[0]?.sqnrDb).toBeGreaterThan(20);
});
