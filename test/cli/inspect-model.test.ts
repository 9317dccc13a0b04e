// `qdg inspect` of a model before its export: what it has, what stays real, what a GPU would not run.

import { afterEach, beforeEach, expect, test } from "vitest";
import type { ModelInspection } from "../../src/export/inspect-model.js";
import {
  ints,
  intWeight,
  node,
  realWeight,
  s,
  type TestGraph,
  writeGraphModel,
} from "../support/graph-models.js";
import { chance } from "../support/layer-cases.js";
import { runCli } from "../support/run-cli.js";
import { newFolder, removeFolder, writeResnet } from "../support/small-models.js";

const window = { strides: ints(1, 1, 1, 1), dilations: ints(1, 1, 1, 1), padding: s("SAME") };
const graph: TestGraph = {
  inputs: { x: { shape: [null, 6, 6, 3] } },
  weights: {
    w: realWeight(chance(1), 3, 3, 3, 4),
    v: realWeight(chance(2), 1, 1, 4, 2),
    k: intWeight([], 2),
  },
  nodes: [
    node("one", "Conv2D", ["x", "w"], window),
    node("middle", "Softmax", ["one"]),
    node("two", "Conv2D", ["middle", "v"], window),
    node("rounded", "Round", ["two"]),
  ],
  outputs: ["rounded"],
};

let folder: string;
beforeEach(async () => {
  folder = await newFolder();
});
afterEach(() => removeFolder(folder));

test("a graph-model's layers, what runs in real numbers, and what has no WebGPU kernel", async () => {
  const path = await writeGraphModel(folder, graph);
  const { code, stdout, stderr } = await runCli("inspect", folder, "--json");
  expect([code, stderr]).toEqual([0, ""]);
  const found = JSON.parse(stdout) as ModelInspection;
  expect(found).toMatchObject({
    path,
    inputs: [{ name: "x_in", dtype: "float32", shape: ["N", 6, 6, 3] }],
    layout: "nhwc",
    hasPreprocessing: false,
    inFloat: { Softmax: ["middle"] },
    notOnWebgpu: { Round: ["rounded"] },
  });
  expect(found.layers.map(({ layer, weightCount }) => [layer, weightCount])).toEqual([
    ["one", 108],
    ["two", 8],
  ]);
  const { stdout: page } = await runCli("inspect", path);
  expect(page).toContain("in real numbers between quantizers:\n  Softmax: middle");
  expect(page).toContain("refused for --target webgpu:\n  Round: rounded");
  expect(page).toContain("give --preprocess to export");
});

test("a layers-model is shown in the same way", async () => {
  const path = await writeResnet(folder);
  const { code, stdout } = await runCli("inspect", path, "--json");
  expect(code).toBe(0);
  expect((JSON.parse(stdout) as ModelInspection).layers.length).toBeGreaterThan(4);
});

test("operators that are not read are all named", async () => {
  const nodes = [node("a", "RFFT", ["x"]), node("b", "Unheard", ["a"]), node("c", "RFFT", ["b"])];
  const path = await writeGraphModel(folder, { ...graph, nodes, outputs: ["c"] });
  const { code, stderr } = await runCli("inspect", path);
  expect(code).toBe(1);
  expect(stderr).toMatch(/RFFT \(c, a\); Unheard \(b\)/);
});
