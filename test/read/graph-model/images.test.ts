// Oracle: tfjs. Images in other sizes, blocks, and what chooses by value.

import type { Chance } from "../../support/layer-cases.js";
import {
  b,
  f,
  i,
  ints,
  intWeight,
  node,
  type OpCase,
  realWeight,
  s,
  type TestGraph,
  testOps,
} from "../../support/graph-models.js";

function resize(op: string, align: boolean, half: boolean): OpCase {
  return {
    title: `${op}${align ? ", align_corners" : half ? ", half_pixel_centers" : ""}`,
    seeds: 12,
    graph: (c) => ({
      inputs: { x: { shape: [null, c.int(1, 9), c.int(1, 9), 2] } },
      weights: { size: intWeight([2], c.int(1, 20), c.int(1, 20)) },
      nodes: [node("y", op, ["x", "size"], { align_corners: b(align), half_pixel_centers: b(half) })],
      outputs: ["y"],
    }),
  };
}

/** Whole factors, of open sizes too: what segmentation and detection heads have. */
function grow(op: string): OpCase {
  return {
    title: `${op} to twice a size that only run time knows`,
    seeds: 2,
    graph: () => ({
      inputs: { x: { shape: [null, null, null, 2] } },
      weights: {
        first: intWeight([1], 1),
        last: intWeight([1], 3),
        one: intWeight([1], 1),
        two: intWeight([2], 2, 2),
      },
      nodes: [
        node("shape", "Shape", ["x"]),
        node("space", "StridedSlice", ["shape", "first", "last", "one"]),
        node("size", "Mul", ["space", "two"]),
        node("y", op, ["x", "size"], { align_corners: b(false), half_pixel_centers: b(true) }),
      ],
      outputs: ["y"],
    }),
  };
}

function suppression(op: string, c: Chance): TestGraph {
  const version = Number(op.at(-1));
  const more = version > 2 ? ["least"] : [];
  const outputs = version < 4 ? ["y"] : ["y", "y:1"];
  return {
    inputs: { boxes: { shape: [20, 4], range: [0, 1] }, scores: { shape: [20], range: [0, 1] } },
    weights: {
      most: intWeight([], c.int(3, 25)),
      overlap: { shape: [], data: [c.pick([0.1, 0.3, 0.5])] },
      least: { shape: [], data: [0.2] },
      sigma: { shape: [], data: [0] },
    },
    nodes: [
      node("y", op, ["boxes", "scores", "most", "overlap", ...more, ...(version === 5 ? ["sigma"] : [])], {
        ...(version === 4 && { pad_to_max_output_size: b(c.number() < 0.5) }),
      }),
    ],
    outputs,
  };
}

const window = {
  strides: ints(1, 1, 1, 1),
  dilations: ints(1, 1, 1, 1),
  padding: s("VALID"),
};

testOps([
  ...["ResizeBilinear", "ResizeNearestNeighbor"].flatMap((op) => [
    resize(op, false, false),
    resize(op, true, false),
    resize(op, false, true),
    grow(op),
  ]),
  ...["bilinear", "nearest"].map((method): OpCase => ({
    title: `CropAndResize, ${method}`,
    seeds: 6,
    graph: (c) => ({
      inputs: {
        x: { shape: [2, c.int(1, 6), c.int(2, 6), 3] },
        boxes: { shape: [5, 4], range: [-0.3, 1.3] },
        owner: { shape: [5], dtype: "int32", below: 2 },
      },
      weights: { size: intWeight([2], c.int(1, 5), c.int(1, 5)) },
      nodes: [
        node("y", "CropAndResize", ["x", "boxes", "owner", "size"], {
          method: s(method),
          extrapolation_value: f(0.25),
        }),
      ],
      outputs: ["y"],
    }),
  })),
  {
    title: "DepthToSpace",
    graph: () => ({
      inputs: { x: { shape: [null, 3, 2, 12] } },
      nodes: [node("y", "DepthToSpace", ["x"], { block_size: i(2), data_format: s("NHWC") })],
      outputs: ["y"],
    }),
    seeds: 1,
  },
  {
    title: "SpaceToBatchND and BatchToSpaceND around a convolution: a dilated one",
    graph: (c) => ({
      inputs: { x: { shape: [c.pick([null, 2]), 6, 7, 2] } },
      weights: {
        w: realWeight(c, 3, 3, 2, 3),
        blocks: intWeight([2], 2, 2),
        pads: intWeight([2, 2], 2, 2, 2, 3),
        crops: intWeight([2, 2], 0, 0, 0, 1),
      },
      nodes: [
        node("s", "SpaceToBatchND", ["x", "blocks", "pads"]),
        node("c", "Conv2D", ["s", "w"], window),
        node("y", "BatchToSpaceND", ["c", "blocks", "crops"]),
      ],
      outputs: ["s", "y"],
    }),
  },
  {
    title: "LRN",
    graph: () => ({
      inputs: { x: { shape: [null, 2, 3, 7] } },
      nodes: [node("y", "LRN", ["x"], { depth_radius: i(2), bias: f(1.5), alpha: f(0.3), beta: f(0.75) })],
      outputs: ["y"],
    }),
  },
  {
    title: "TopKV2, of equal numbers too",
    graph: (c) => ({
      inputs: { x: { shape: [null, 9] }, n: { shape: [3, 9], dtype: "int32", below: 4 } },
      weights: { k: intWeight([], c.int(1, 9)) },
      nodes: [
        node("y", "TopKV2", ["x", "k"], { sorted: b(true) }),
        node("z", "TopKV2", ["n", "k"], { sorted: b(true) }),
      ],
      outputs: ["y", "y:1", "z", "z:1"],
    }),
  },
  ...["NonMaxSuppressionV2", "NonMaxSuppressionV3", "NonMaxSuppressionV4", "NonMaxSuppressionV5"].map(
    (op): OpCase => ({ title: op, graph: (c) => suppression(op, c) }),
  ),
  {
    title: "Where, and rows that it finds",
    graph: () => ({
      inputs: { q: { shape: [4, 5], dtype: "bool" }, x: { shape: [4, 5] } },
      nodes: [node("at", "Where", ["q"]), node("y", "GatherNd", ["x", "at"])],
      outputs: ["at", "y"],
    }),
  },
  {
    title: "ScatterNd and TensorScatterUpdate",
    graph: () => ({
      inputs: { u: { shape: [3, 2] }, x: { shape: [5, 2] } },
      weights: {
        at: intWeight([3, 1], 1, 4, 1),
        once: intWeight([3, 1], 3, 0, 2),
        shape: intWeight([2], 5, 2),
      },
      nodes: [
        node("y", "ScatterNd", ["at", "u", "shape"]),
        node("z", "TensorScatterUpdate", ["x", "once", "u"]),
      ],
      outputs: ["y", "z"],
    }),
  },
]);
