// What a graph is after reading: names, order and layout of inputs and outputs, no transpose within, shapes as numbers.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { OPS } from "../../../src/read/graph-model/ops.js";
import { chance } from "../../support/layer-cases.js";
import {
  i,
  ints,
  intWeight,
  node,
  readTestGraph,
  realWeight,
  s,
  type TestGraph,
} from "../../support/graph-models.js";

const window = { strides: ints(1, 1, 1, 1), dilations: ints(1, 1, 1, 1), padding: s("SAME") };
const network: TestGraph = {
  inputs: { x: { shape: [null, 8, 8, 3] } },
  weights: {
    w: realWeight(chance(1), 3, 3, 3, 4),
    v: realWeight(chance(2), 3, 3, 4, 4),
    k: realWeight(chance(3), 4),
    space: intWeight([2], 1, 2),
  },
  nodes: [
    node("one", "Conv2D", ["x", "w"], window),
    node("biased", "BiasAdd", ["one", "k"]),
    node("relu", "Relu", ["biased"]),
    node("two", "Conv2D", ["relu", "v"], window),
    node("sum", "AddV2", ["two", "relu"]),
    node("pool", "MaxPool", ["sum"], {
      ksize: ints(1, 2, 2, 1),
      strides: ints(1, 2, 2, 1),
      padding: s("VALID"),
    }),
    node("mean", "Mean", ["pool", "space"]),
    node("y", "Softmax", ["mean"]),
  ],
  outputs: ["y", "pool"],
};

test("inputs and outputs bear the signature's names, in its order; values those of their nodes", () => {
  const graph = readTestGraph(network);
  expect(graph.inputs.map(({ name, shape }) => [name, shape])).toEqual([["x_in", ["N", 8, 8, 3]]]);
  expect(graph.outputs.map(({ name, shape }) => [name, shape])).toEqual([
    ["out_0", ["N", 4]],
    ["out_1", ["N", 4, 4, 4]],
  ]);
  const names = graph.nodes.map(({ op, outputs: [output] }) => `${op} ${output?.name}`);
  expect(names).toContain("Conv biased");
  expect(names).toContain("GlobalAveragePool mean/pool");
});

test("a convolutional network has a transpose at its input and its image output alone", () => {
  const transposes = readTestGraph(network).nodes.filter(({ op }) => op === "Transpose");
  expect(transposes.map(({ outputs: [output] }) => output?.shape)).toEqual([
    ["N", 3, 8, 8],
    ["N", 4, 4, 4],
  ]);
  const first = readTestGraph(network, { layout: "nchw" });
  expect(first.nodes.filter(({ op }) => op === "Transpose")).toEqual([]);
  expect(first.inputs[0]?.shape).toEqual(["N", 3, 8, 8]);
});

test("a shape that is spelled out in operators leaves none of them", () => {
  const graph = readTestGraph({
    inputs: { x: { shape: [null, 4, 4, 3] } },
    weights: { zero: intWeight([1], 0), one: intWeight([1], 1), rest: intWeight([], 48) },
    nodes: [
      node("shape", "Shape", ["x"]),
      node("n", "StridedSlice", ["shape", "zero", "one", "one"], { shrink_axis_mask: i(1) }),
      node("to", "Pack", ["n", "rest"], { axis: i(0) }),
      node("y", "Reshape", ["x", "to"]),
    ],
    outputs: ["y"],
  });
  expect(graph.nodes.map(({ op }) => op)).toEqual(["Reshape"]);
  expect(graph.outputs[0]?.shape).toEqual(["N", 48]);
});

test("without a signature the inputs are the placeholders, the outputs what nobody reads", () => {
  const graph = readTestGraph({
    inputs: { x: { shape: [2, 3] } },
    nodes: [node("y", "Relu", ["x"])],
    outputs: [],
  });
  expect(graph.outputs.map(({ name }) => name)).toEqual(["y"]);
});

test("two outputs of one tensor, and an input that is an output, are there each by its name", () => {
  const graph = readTestGraph({
    inputs: { x: { shape: [2, 3] } },
    nodes: [node("y", "Relu", ["x"])],
    outputs: ["y", "y", "x"],
  });
  expect(graph.outputs.map(({ name }) => name)).toEqual(["out_0", "out_1", "out_2"]);
});

test("every operator that is read is compared with tfjs in a test of this folder", () => {
  const folder = import.meta.dirname;
  const tests = readdirSync(folder).filter((name) => name.endsWith(".test.ts"));
  const text = tests.map((name) => readFileSync(join(folder, name), "utf8")).join("");
  expect([...OPS.keys()].filter((op) => !text.includes(`"${op}"`))).toEqual([]);
});
