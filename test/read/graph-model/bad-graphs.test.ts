// Graph-models that are refused: each with what is wrong, where, and what mends it.

import { describe, expect, test } from "vitest";
import { checkGraphJson } from "../../../src/read/graph-model/graph-json.js";
import { readGraphModel } from "../../../src/read/graph-model/read-graph-model.js";
import {
  i,
  ints,
  intWeight,
  modelJson,
  node,
  readTestGraph,
  s,
  type TestGraph,
  texts,
} from "../../support/graph-models.js";

const x: TestGraph["inputs"] = { x: { shape: [2, 4, 4, 3] } };
const filter = { w: { shape: [1, 1, 3, 1], data: [1, 2, 3] } };
const window = { strides: ints(1, 1, 1, 1), dilations: ints(1, 1, 1, 1), padding: s("SAME") };

const GRAPHS: readonly (readonly [title: string, graph: TestGraph, code: string, says: RegExp])[] = [
  [
    "operators that are not read, all of them with the names of their nodes",
    {
      inputs: x,
      nodes: [
        node("a/lookup", "LookupTableFindV2", ["x"]),
        node("b/fft", "RFFT", ["a/lookup"]),
        node("c/fft", "RFFT", ["b/fft"]),
        node("dead", "Unheard", ["x"]),
      ],
      outputs: ["c/fft"],
    },
    "unsupported-op",
    /RFFT \(c\/fft, b\/fft\); LookupTableFindV2 \(a\/lookup\); cut the model before them/,
  ],
  [
    "nodes that read each other in a circle",
    { inputs: x, nodes: [node("a", "Add", ["x", "b"]), node("b", "Relu", ["a"])], outputs: ["b"] },
    "invalid-model",
    /reads itself through/,
  ],
  [
    "an attribute that nobody knows",
    { inputs: x, nodes: [node("a", "Relu", ["x"], { slope: i(3) })], outputs: ["a"] },
    "unsupported-op",
    /a \(Relu\): attribute slope: got .*expected no such attribute/,
  ],
  [
    "an attribute of the wrong kind",
    {
      inputs: x,
      weights: filter,
      nodes: [node("a", "Conv2D", ["x", "w"], { ...window, strides: s("two") })],
      outputs: ["a"],
    },
    "unsupported-op",
    /a \(Conv2D\): attribute strides: got/,
  ],
  [
    "channels first, which tfjs has not",
    {
      inputs: x,
      weights: filter,
      nodes: [node("a", "Conv2D", ["x", "w"], { ...window, data_format: s("NCHW") })],
      outputs: ["a"],
    },
    "unsupported-op",
    /data_format: .*expected NHWC/,
  ],
  [
    "fused operators that are not known",
    {
      inputs: x,
      weights: filter,
      nodes: [
        node("a", "_FusedConv2D", ["x", "w", "w"], { ...window, fused_ops: texts("FusedBatchNorm", "Relu") }),
      ],
      outputs: ["a"],
    },
    "unsupported-op",
    /fused_ops: got fusedbatchnorm, relu, expected BiasAdd/,
  ],
  [
    "a filter of other channels",
    {
      inputs: { x: { shape: [2, 4, 4, 2] } },
      weights: filter,
      nodes: [node("a", "Conv2D", ["x", "w"], window)],
      outputs: ["a"],
    },
    "invalid-model",
    /filter: got shape \[1, 1, 3, 1\], expected 2, the channels of the input, before the last/,
  ],
  [
    "shapes that do not go together",
    {
      inputs: { x: { shape: [2, 3] }, z: { shape: [2, 4] } },
      nodes: [node("a", "Add", ["x", "z"])],
      outputs: ["a"],
    },
    "invalid-model",
    /\[2, 3\] and \[2, 4\], which do not go together/,
  ],
  [
    "a shape with other elements",
    {
      inputs: x,
      weights: { to: intWeight([2], 5, 7) },
      nodes: [node("a", "Reshape", ["x", "to"])],
      outputs: ["a"],
    },
    "invalid-model",
    /cannot reshape \[2, 4, 4, 3\] to \[5, 7\]/,
  ],
  [
    "axes that only run time knows",
    {
      inputs: { ...x, n: { shape: [1], dtype: "int32" } },
      nodes: [node("a", "Sum", ["x", "n"])],
      outputs: ["a"],
    },
    "unsupported-op",
    /a \(Sum\): axis: is computed from the data/,
  ],
  [
    "an output that a node does not have",
    { inputs: x, nodes: [node("a", "Relu", ["x"])], outputs: ["a:2"] },
    "invalid-model",
    /a: output 2 is read/,
  ],
  [
    "a border that ONNX has no operator for",
    {
      inputs: x,
      weights: { p: intWeight([4, 2], 0, 0, 2, 0, 0, 0, 0, 0) },
      nodes: [node("a", "MirrorPad", ["x", "p"], { mode: s("SYMMETRIC") })],
      outputs: ["a"],
    },
    "unsupported-op",
    /SYMMETRIC/,
  ],
  [
    "a range that no memory holds",
    {
      inputs: x,
      weights: { from: intWeight([], 0), to: intWeight([], 2 ** 31 - 1), by: intWeight([], 1) },
      nodes: [node("a", "Range", ["from", "to", "by"])],
      outputs: ["a"],
    },
    "unsupported-op",
    /a \(Range\): shape \[2147483647\] has/,
  ],
  [
    "a tensor for each of millions of numbers",
    {
      inputs: { x: { shape: [2 ** 21] } },
      nodes: [node("a", "Unpack", ["x"], { axis: i(0), num: i(2 ** 21) })],
      outputs: ["a"],
    },
    "unsupported-op",
    /a \(Unpack\): gives 2097152 tensors/,
  ],
  [
    "an image larger than any",
    {
      inputs: x,
      weights: { size: intWeight([2], 2 ** 30, 2 ** 30) },
      nodes: [node("a", "ResizeNearestNeighbor", ["x", "size"])],
      outputs: ["a"],
    },
    "unsupported-op",
    /a \(ResizeNearestNeighbor\): shape/,
  ],
  [
    "boxes that only lose weight",
    {
      inputs: { boxes: { shape: [9, 4] }, scores: { shape: [9] } },
      weights: { most: intWeight([], 3), t: { shape: [], data: [0.5] } },
      nodes: [node("a", "NonMaxSuppressionV5", ["boxes", "scores", "most", "t", "t", "t"])],
      outputs: ["a"],
    },
    "unsupported-op",
    /a \(NonMaxSuppressionV5\): soft_nms_sigma/,
  ],
  [
    "a resize with two rules for where pixels stand",
    {
      inputs: x,
      weights: { size: intWeight([2], 8, 8) },
      nodes: [
        node("a", "ResizeBilinear", ["x", "size"], {
          align_corners: { b: true },
          half_pixel_centers: { b: true },
        }),
      ],
      outputs: ["a"],
    },
    "unsupported-op",
    /align_corners and half_pixel_centers: got both/,
  ],
];

describe("a graph-model is refused with what is wrong", () => {
  test.each(GRAPHS)("%s", (_, graph, code, says) => {
    expect(() => readTestGraph(graph)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(says) as string }),
    );
  });
});

const good: TestGraph = {
  inputs: x,
  weights: filter,
  nodes: [node("a", "Conv2D", ["x", "w"], window)],
  outputs: ["a"],
};

interface Topology {
  node: { name: string; op: string; input?: unknown; attr?: unknown }[];
}
const JSONS: readonly (readonly [
  string,
  (json: Record<string, unknown>, topology: Topology) => void,
  RegExp,
])[] = [
  ["no topology", (json) => delete json["modelTopology"], /modelTopology: got nothing/],
  ["nodes that are no list", (_, topology) => (topology.node = 5 as never), /node: got 5, expected a list/],
  [
    "a node without a name",
    (_, topology) => topology.node.push({ op: "Relu" } as never),
    /expected \{name, op\}/,
  ],
  [
    "two nodes of one name",
    (_, topology) => topology.node.push({ name: "a", op: "Relu" }),
    /two nodes are named "a"/,
  ],
  [
    "an input that is no node",
    (_, { node: [first] }) => (first!.input = ["nobody"]),
    /"nobody", which is no node/,
  ],
  ["inputs that are no names", (_, { node: [first] }) => (first!.input = [3]), /input: got \[3\]/],
  [
    "a signature that names nothing",
    (json) => (json["signature"] = { outputs: { y: { name: "nobody:0" } } }),
    /signature y: "nobody:0" is no node/,
  ],
];

describe("so is a topology that is none", () => {
  test.each(JSONS)("%s", (_, edit, says) => {
    const { json } = modelJson(good);
    edit(json, json["modelTopology"] as Topology);
    expect(() => checkGraphJson(json, "model.json")).toThrow(says);
  });
});

describe("weights that are not the graph's", () => {
  const json = checkGraphJson(modelJson(good).json, "model.json");
  const weight = { dtype: "float32", shape: [1, 1, 3, 1], data: Float32Array.of(1, 2, 3) } as const;

  test("one that is missing", () => {
    expect(() => readGraphModel(json, new Map())).toThrow(
      /w: is a constant of the graph that the weights manifest lacks/,
    );
  });

  test("one that no node has", () => {
    const weights = new Map([
      ["w", weight],
      ["other", weight],
    ]);
    expect(() => readGraphModel(json, weights)).toThrow(/other: no constant of the graph has this name/);
  });
});
