import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { float32, int64, tensor } from "../../src/base/tensor.js";
import { GraphBuilder } from "../../src/graph/builder.js";
import type { Attribute, Graph } from "../../src/graph/graph.js";
import { UNKNOWN_SHAPE } from "../../src/graph/unknown-shape.js";
import { verifyGraph } from "../../src/graph/verify.js";
import { decodeModel, encodeModel } from "../../src/onnx/codec.js";
import type { ModelOptions } from "../../src/onnx/from-graph.js";
import { graphToModel } from "../../src/onnx/from-graph.js";
import { bodyNode, localFunction } from "../../src/onnx/local-function.js";
import { verifyModel } from "../../src/onnx/verify.js";
import { runModel } from "./model-run.js";

const OPTIONS: ModelOptions = { opset: 21, irVersion: 10, producerVersion: "0.1.0" };

const UNPACK = localFunction({
  name: "Unpack4",
  inputs: ["p"],
  outputs: ["w"],
  nodes: [bodyNode("Cast", ["p"], ["w"], { to: 3 })],
  opset: 21,
});

/** A convolution with int4 weights behind a function, the smallest file of the kind that qdg writes. */
function tiny(): Graph {
  const builder = new GraphBuilder("tiny");
  const x = builder.input("x", ["N", 3, 8, 8]);
  const levels = Int8Array.from({ length: 135 }, (_, i) => (i % 16) - 8);
  const packed = builder.constant("w.q", tensor("int4", [5, 3, 3, 3], levels));
  const scale = builder.constant("w.s", float32([5], [0.1, 0.2, 0.3, 0.4, 0.5]));
  const unpacked = { name: "w8", shape: [5, 3, 3, 3], dtype: "int8" } as const;
  const integers = builder.node("Unpack4", "conv", [packed], unpacked, {}, "qdg");
  const w = builder.node(
    "DequantizeLinear",
    "conv",
    [integers, scale],
    { name: "w", shape: [5, 3, 3, 3] },
    { axis: 0 },
  );
  const attributes = { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [1, 1], group: 1 };
  builder.output(builder.node("Conv", "conv", [x, w], { name: "y", shape: ["N", 5, 8, 8] }, attributes));
  return builder.graph;
}

function single(op: string, attributes: Record<string, Attribute>): Graph {
  const builder = new GraphBuilder("single");
  const x = builder.input("x", ["N", 4]);
  builder.output(builder.node(op, "layer", [x], { name: "layer", shape: ["N", 4] }, attributes));
  return builder.graph;
}

/** Names of the attributes that are written for a node. */
const names = (op: string, attributes: Record<string, Attribute>): (string | undefined)[] =>
  (graphToModel(single(op, attributes), OPTIONS).graph?.node?.[0]?.attribute ?? []).map(({ name }) => name);

const metadata = { "qdg.version": "0.1.0", labels: '["a","b"]' };

describe("graphToModel", () => {
  test("writes the golden file, which the official checker passed (onnx 1.23.2, onnxruntime 1.31.1)", () => {
    const bytes = encodeModel(graphToModel(tiny(), { ...OPTIONS, functions: [UNPACK], metadata }));
    expect(Buffer.from(bytes)).toEqual(readFileSync(new URL("golden/tiny.onnx", import.meta.url)));
  });

  test("writes what ONNX Runtime computes as the graph says", async () => {
    const model = graphToModel(tiny(), { ...OPTIONS, functions: [UNPACK] });
    const shape = [1, 3, 8, 8];
    const data = new Float32Array(192);
    data[9] = 1; // channel 0, row 1, column 1
    const { y } = await runModel(model, { x: { shape, data } });
    expect(y?.shape).toEqual([1, 5, 8, 8]);
    // Output channel 1 at row 0, column 0 sees it under kernel position (2, 2): element 27 + 8, level 35 % 16 - 8.
    expect(y?.data[64]).toBeCloseTo(0.2 * ((35 % 16) - 8), 6);
  });

  test("passes verify, and its graph the graph's own", () => {
    verifyGraph(tiny());
    expect(() => verifyModel(graphToModel(tiny(), { ...OPTIONS, functions: [UNPACK] }))).not.toThrow();
  });

  test("leaves out attributes that equal their default, and no others", () => {
    expect(names("Softmax", { axis: -1 })).toEqual([]);
    expect(names("Softmax", { axis: 1 })).toEqual(["axis"]);
    expect(names("LeakyRelu", { alpha: { float: 0.01 } })).toEqual([]);
    expect(names("LeakyRelu", { alpha: { float: 0.0100001 } })).toEqual(["alpha"]);
    expect(names("Elu", { alpha: 1 })).toEqual(["alpha"]);
    expect(names("MaxPool", { strides: [1, 1], pads: [0, 0, 0, 1], ceil_mode: 0 })).toEqual(["pads"]);
    expect(names("Flatten", { axis: 0 })).toEqual(["axis"]);
  });

  test("writes a constant once, however often it is used, and only constants that are used", () => {
    const builder = new GraphBuilder("twice");
    const x = builder.input("x", [2]);
    const c = builder.constant("c", float32([2], [1, 2]));
    builder.constant("unused", float32([2], [1, 2]));
    const y = builder.node("Add", "y", [x, c], { name: "y", shape: [2] });
    builder.output(builder.node("Mul", "z", [y, c], { name: "z", shape: [2] }));
    const { graph } = graphToModel(builder.graph, OPTIONS);
    expect(graph?.initializer?.map(({ name }) => name)).toEqual(["c"]);
    expect(graph?.valueInfo).toBeUndefined();
  });

  test("writes a left-out input in the middle as an empty name, and none at the end", () => {
    const builder = new GraphBuilder("clip");
    const x = builder.input("x", [2]);
    const max = builder.constant("max", float32([], [6]));
    const y = builder.node("Clip", "y", [x, null, max], { name: "y", shape: [2] });
    builder.output(builder.node("Clip", "z", [y, null, null], { name: "z", shape: [2] }));
    expect(graphToModel(builder.graph, OPTIONS).graph?.node?.map(({ input }) => input)).toEqual([
      ["x", "", "max"],
      ["y"],
    ]);
  });

  test("writes dimensions as sizes, names or nothing, and attributes as what they are", () => {
    const builder = new GraphBuilder("kinds");
    const x = builder.input("x", ["N", 4, "?"]);
    const u = builder.input("u", UNKNOWN_SHAPE, "bool");
    const attributes = {
      i: 0,
      f: { float: 0.1 },
      s: "é",
      ints: [1, 2],
      none: [],
      strings: ["a", ""],
      t: int64([1], [5]),
    };
    builder.output(builder.node("Concat", "y", [x, u], { name: "y", shape: [] }, attributes));
    const { graph } = decodeModel(encodeModel(graphToModel(builder.graph, OPTIONS)));
    expect(graph?.input?.map(({ type }) => type)).toEqual([
      { tensorType: { elemType: 1, shape: { dim: [{ dimParam: "N" }, { dimValue: 4 }, {}] } } },
      { tensorType: { elemType: 9 } },
    ]);
    expect(graph?.output?.[0]?.type).toEqual({ tensorType: { elemType: 1, shape: {} } });
    expect(graph?.node?.[0]?.attribute).toEqual([
      { name: "i", type: 2, i: 0 },
      { name: "f", type: 1, f: Math.fround(0.1) },
      { name: "s", type: 3, s: new TextEncoder().encode("é") },
      { name: "ints", type: 7, ints: [1, 2] },
      { name: "none", type: 7 },
      { name: "strings", type: 8, strings: [Uint8Array.of(0x61), new Uint8Array(0)] },
      { name: "t", type: 4, t: { dims: [1], dataType: 7, rawData: Uint8Array.of(5, 0, 0, 0, 0, 0, 0, 0) } },
    ]);
  });

  test("names a node after its layer, once a layer, where the output's name does not say it", () => {
    const model = graphToModel(tiny(), { ...OPTIONS, functions: [UNPACK] });
    expect(model.graph?.node?.map(({ name }) => name)).toEqual([undefined, undefined, "conv"]);
  });

  test("imports the qdg domain, and writes functions, only where they are called", () => {
    const calling = graphToModel(tiny(), { ...OPTIONS, functions: [UNPACK] });
    expect(calling.opsetImport).toEqual([{ version: 21 }, { domain: "qdg", version: 1 }]);
    const plain = graphToModel(single("Relu", {}), { ...OPTIONS, functions: [UNPACK] });
    expect(plain.opsetImport).toEqual([{ version: 21 }]);
    expect(plain.functions).toBeUndefined();
  });

  test("writes functions that a called function calls", () => {
    const nodes = [bodyNode("Unpack4", ["p"], ["w"], {}, "qdg")];
    const outer = localFunction({ name: "Outer", inputs: ["p"], outputs: ["w"], nodes, opset: 21 });
    const graph = tiny();
    const [call] = graph.nodes;
    if (call) call.op = "Outer";
    const model = graphToModel(graph, { ...OPTIONS, functions: [outer, UNPACK] });
    expect(model.functions?.map(({ name }) => name)).toEqual(["Outer", "Unpack4"]);
    verifyModel(model);
  });

  test.each<[string, () => unknown, RegExp]>([
    [
      "an operator of qdg's own without a function",
      () => graphToModel(tiny(), OPTIONS),
      /conv \(Unpack4\).*lower/,
    ],
    ["an operator that it does not know", () => graphToModel(single("Foo", {}), OPTIONS), /layer \(Foo\)/],
    [
      "an operator that the opset lacks",
      () => graphToModel(single("Gelu", {}), { ...OPTIONS, opset: 19 }),
      /layer \(Gelu\): needs opset 20, got 19/,
    ],
    [
      "int4 before opset 21",
      () => graphToModel(tiny(), { ...OPTIONS, opset: 20, functions: [UNPACK] }),
      /w\.q: int4 needs opset 21, got 20/,
    ],
    [
      "a channel factor that was not lowered",
      () => {
        const graph = tiny();
        const scale = graph.nodes[1]?.inputs[1];
        if (scale) scale.channelFactor = { axis: 0, factors: new Float32Array(5) };
        return graphToModel(graph, { ...OPTIONS, functions: [UNPACK] });
      },
      /w\.s: has a factor along its channels/,
    ],
    [
      "two values of one name",
      () => {
        const graph = tiny();
        const w = graph.nodes[1]?.outputs[0];
        if (w) w.name = "x";
        return graphToModel(graph, { ...OPTIONS, functions: [UNPACK] });
      },
      /^x: two values have this name/,
    ],
  ])("refuses %s", (_, work, message) => {
    expect(work).toThrow(message);
  });
});
