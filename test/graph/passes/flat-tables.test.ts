// Tables of integers, as a file has them: what ONNX Runtime makes of them, and that they are the same integers.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { float32, tensor } from "../../../src/base/tensor.js";
import { type IntegerFile, integerFile } from "../../../src/export/integer-file.js";
import { quantizedTensors } from "../../../src/export/quantized-tensors.js";
import { GraphBuilder } from "../../../src/graph/builder.js";
import type { Graph } from "../../../src/graph/graph.js";
import { flatTables } from "../../../src/graph/passes/flat-tables.js";
import { printGraph } from "../../../src/graph/print.js";
import { decodeModel, encodeModel } from "../../../src/onnx/codec.js";
import { graphToModel } from "../../../src/onnx/from-graph.js";
import { cpuRuntime } from "../../../src/runtime/cpu.js";
import { wasmRuntime } from "../../../src/runtime/wasm.js";
import { seeded } from "../../support/layers-models.js";
import { quantizeWith } from "../../support/quantize-with.js";
import { randomSamples } from "../../support/quantized-models.js";
import { largestDifference } from "../../support/same-outputs.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "qdg-tables-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Convolutions with a function between each two, one of them beside a sum; a dense end with a function too. */
function network(seed: number): Graph {
  const random = seeded(seed);
  const net = new GraphBuilder("tables");
  const weight = (...shape: number[]): ReturnType<typeof net.constant> => {
    const data = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => random() - 0.5);
    return net.constant("w", float32(shape, data));
  };
  let x = net.input("x", ["N", 3, 6, 6]);
  for (const op of ["HardSwish", "Sigmoid", "Tanh"]) {
    const conv = net.node("Conv", op, [x, weight(4, x === net.graph.inputs[0] ? 3 : 4, 1, 1)], {
      name: `${op}/conv`,
      shape: ["N", 4, 6, 6],
    });
    const y = net.node(op, op, [conv], { name: op, shape: ["N", 4, 6, 6] });
    x = op === "Sigmoid" ? net.node("Add", "add", [x, y], { name: "add", shape: y.shape }) : y;
  }
  const last = net.node("Conv", "last", [x, weight(2, 4, 1, 1)], { name: "last", shape: ["N", 2, 6, 6] });
  const pooled = net.node("GlobalAveragePool", "pool", [last], { name: "pool", shape: ["N", 2, 1, 1] });
  const flat = net.node("Flatten", "flat", [pooled], { name: "flat", shape: ["N", 2] }, { axis: 1 });
  const dense = net.node(
    "Gemm",
    "dense",
    [flat, weight(3, 2)],
    { name: "dense", shape: ["N", 3] },
    { transB: 1 },
  );
  const gate = net.node("Sigmoid", "gate", [dense], { name: "gate", shape: ["N", 3] });
  net.output(net.node("Gemm", "end", [gate, weight(2, 3)], { name: "end", shape: ["N", 2] }, { transB: 1 }));
  return net.graph;
}

async function quantized(): Promise<Graph> {
  const source = network(1);
  return (await quantizeWith(source, { bits: 8 }, randomSamples(source.inputs, { seed: 5, sizes: { N: 1 } })))
    .graph;
}

const file = (graph: Graph, form: "integer" | "float"): IntegerFile =>
  integerFile(graph, 21, { form, weights: "int8" }, () => ({}));

test("are read by GatherElements in both forms, and the integers are those of Gather on cpu and wasm", async () => {
  const graph = await quantized();
  for (const form of ["integer", "float"] as const) {
    const { bytes, lowered } = file(graph, form);
    const before = encodeModel(
      graphToModel(lowered.graph, { opset: 21, irVersion: 10, producerVersion: "test" }),
    );
    const ops = decodeModel(bytes).graph?.node?.map(({ opType }) => opType) ?? [];
    expect(ops).not.toContain("Gather");
    expect(ops.filter((op) => op === "GatherElements")).toHaveLength(4);
    expect(await largestDifference(before, bytes, lowered.graph)).toBe(0);
    // The outputs are real numbers: the last multiplication rounds by itself.
    const onWasm = await largestDifference(before, bytes, lowered.graph, { secondRuntime: wasmRuntime });
    expect(onWasm).toBeLessThan(1e-6);
    const once = flatTables(lowered.graph);
    expect(printGraph(flatTables(once))).toBe(printGraph(once));
  }
});

test("let no transpose stand between convolutions in what ONNX Runtime makes of the file", async () => {
  const { bytes } = file(await quantized(), "integer");
  const optimizedModelPath = join(folder, "optimized.onnx");
  await (await cpuRuntime.open({ bytes }, { optimizedModelPath })).dispose();
  const ops = decodeModel(readFileSync(optimizedModelPath)).graph?.node?.map(({ opType }) => opType) ?? [];
  expect(ops.filter((op) => op === "QLinearConv")).toHaveLength(4);
  // Of the input, and before the mean.
  expect(ops.filter((op) => op === "Transpose").length).toBeLessThanOrEqual(2);
});

test("count as one tensor of integers each, under the name of what they give", async () => {
  const { bytes, lowered } = file(await quantized(), "integer");
  const names = quantizedTensors(decodeModel(bytes)).map(({ name }) => name);
  // What Flatten moves is a tensor of its own.
  const expected = [...lowered.integers.map(({ name }) => name), "flat"];
  expect(names.toSorted()).toEqual(expected.toSorted());
});

test("of images of which several sizes are open get these from the indices", () => {
  const net = new GraphBuilder("open");
  const x = net.input("x", ["N", 2, "H", "W"]);
  const index = net.node("Cast", "c", [x], { name: "i", shape: x.shape, dtype: "int32" }, { to: 6 });
  const table = net.constant("t", tensor("uint8", [4], Uint8Array.of(9, 7, 5, 3)));
  net.output(net.node("Gather", "g", [table, index], { name: "y", shape: x.shape, dtype: "uint8" }));
  expect(printGraph(flatTables(net.graph))).toMatchInlineSnapshot(`
    "graph open(x: float32[N,2,H,W])
      i: int32[N,2,H,W] = Cast(x) {to=6} @c
      _t4: int32[?] = Reshape(i, _t5: int64[1] = [-1]) @g
      _t6: uint8[?] = GatherElements(t: uint8[4] = [9,7,5,3], _t4) @g
      _t7: int64[4] = Shape(i) @g
      y: uint8[N,2,H,W] = Reshape(_t6, _t7) @g
      return y
    "
  `);
});

test("leave embeddings alone, and tables that are read at indices nobody cast", () => {
  const net = new GraphBuilder("other");
  const i = net.input("i", ["N", 3], "int32");
  const rows = net.constant("rows", float32([5, 2], new Float32Array(10)));
  const list = net.constant("list", float32([5], new Float32Array(5)));
  net.output(net.node("Gather", "e", [rows, i], { name: "e", shape: ["N", 3, 2] }));
  net.output(net.node("Gather", "l", [list, i], { name: "l", shape: ["N", 3] }));
  expect(printGraph(flatTables(net.graph))).toBe(printGraph(net.graph));
});
