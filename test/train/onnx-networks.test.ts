// What training makes of a network without layers before its first step: another head, another size, any number of images; and what
// it refuses.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { float32 } from "../../src/base/tensor.js";
import { floatFile } from "../../src/export/float-file.js";
import { GraphBuilder } from "../../src/graph/builder.js";
import type { Graph, Node, Value } from "../../src/graph/graph.js";
import { useBackend } from "../../src/train/backends/backends.js";
import { checkRuns } from "../../src/train/check-runs.js";
import { onnxNetwork, type OnnxNetwork, readBack } from "../../src/train/onnx-network.js";
import { decodeModel, encodeModel } from "../../src/onnx/codec.js";
import { replaceHead } from "../../src/train/replace-head.js";
import { resizeInput } from "../../src/train/resize-input.js";
import { graphOf, isOnnxNetwork, loadModel, saveModel } from "../../src/train/trainable-model.js";
import { readTestGraph } from "../support/graph-models.js";
import { convertedGraph, exportedGraph } from "./onnx-networks.js";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "qdg-networks-"));
  await useBackend("wasm");
});
afterAll(() => rm(folder, { recursive: true }));

const qdg = { version: 1, quantizers: {}, labels: ["a", "b", "c"] };
const network = (graph: Graph): OnnxNetwork => onnxNetwork(readBack(graph), "nchw", { qdg });
const converted = (): OnnxNetwork => onnxNetwork(readTestGraph(convertedGraph()), "nhwc", { qdg });

const changed = (before: OnnxNetwork, after: OnnxNetwork): string[] =>
  [...after.weights].flatMap(([name, { data }]) =>
    data.join() === before.weights.get(name)?.data.join() ? [] : [name],
  );
const sizes = ({ graph }: OnnxNetwork): (readonly (string | number)[])[] =>
  [...graph.inputs, ...graph.outputs].map(({ shape }) => shape);

/** Two images, a convolution "c" of 4 channels, then what `end` makes of its map. */
function ending(end: (net: GraphBuilder, map: Value) => Value): Graph {
  const net = new GraphBuilder("net");
  const x = net.input("image", ["N", 3, 8, 8]);
  const data = Float32Array.from({ length: 108 }, (_, i) => Math.sin(i));
  const weight = net.constant("c.weight", float32([4, 3, 3, 3], data));
  net.output(end(net, net.node("Conv", "c", [x, weight], { name: "c", shape: ["N", 4, 6, 6] })));
  return net.graph;
}
const numbers = (net: GraphBuilder, name: string, ...shape: number[]): Value => {
  const length = shape.reduce((product, size) => product * size, 1);
  return net.constant(
    name,
    float32(
      shape,
      Float32Array.from({ length }, (_, i) => Math.cos(i)),
    ),
  );
};
const one = (
  net: GraphBuilder,
  op: string,
  x: Value,
  name: string,
  shape: Value["shape"],
  more: Node["attributes"] = {},
): Value => net.node(op, name, [x], { name, shape }, more);
const pooled = (net: GraphBuilder, x: Value, channels: number): Value =>
  one(net, "Flatten", one(net, "GlobalAveragePool", x, "pool", ["N", channels, 1, 1]), "flat", [
    "N",
    channels,
  ]);

describe("a network without layers", () => {
  test("made for one image takes any number of them, and keeps its weights under their names", () => {
    const made = network(exportedGraph());
    expect(sizes(made)).toEqual([
      ["N", 3, 8, 8],
      ["N", 3],
    ]);
    checkRuns(made, 8, 3);
    expect([...made.weights.keys()].toSorted()).toEqual(
      [
        ...["conv1", "conv2"].flatMap((name) =>
          ["weight", "gamma", "beta", "mean", "var"].map((what) => `${name}.${what}`),
        ),
        "fc.weight",
        "fc.bias",
      ].toSorted(),
    );
  });

  test("is written and read again as it was", async () => {
    for (const before of [network(exportedGraph()), converted()]) {
      const path = await saveModel(folder, before, { force: true });
      const after = await loadModel(path);
      expect(isOnnxNetwork(after)).toBe(true);
      expect([...after.weights]).toEqual([...before.weights]);
      expect(after.userDefinedMetadata).toEqual(before.userDefinedMetadata);
    }
  });

  test("is not written with a number that is none, and the file that was there stays", async () => {
    const before = network(exportedGraph());
    await saveModel(folder, before, { force: true });
    const bias = { dtype: "float32" as const, shape: [3], data: Float32Array.of(0, Number.NaN, 0) };
    const broken = { ...before, weights: new Map([...before.weights, ["fc.bias", bias]]) };
    await expect(saveModel(folder, broken, { force: true })).rejects.toThrow(/fc\.bias: element 1 is NaN/);
    expect((await loadModel(join(folder, "model.onnx"))).weights.get("fc.bias")).toEqual(
      before.weights.get("fc.bias"),
    );
    await expect(saveModel(folder, before)).rejects.toMatchObject({ code: "exists" });
  });

  test("has a bias and statistics for each layer, also where the file holds equal ones once", () => {
    const made = network(
      ending((net, map) => {
        const zeros = net.constant("zeros", float32([4], [0, 0, 0, 0]));
        const ones = net.constant("ones", float32([4], [1, 1, 1, 1]));
        const rows = [ones, zeros, zeros, ones];
        const weight = numbers(net, "d.weight", 4, 4, 1, 1);
        const normal = net.node("BatchNormalization", "bn", [map, ...rows], { name: "bn", shape: map.shape });
        const next = net.node("Conv", "d", [normal, weight, zeros], { name: "d", shape: map.shape });
        return pooled(net, one(net, "Relu", next, "relu", map.shape), 4);
      }),
    );
    expect(made.weights.size).toBe(2 + 4 + 1);
    const normal = made.graph.nodes.find(({ op }) => op === "BatchNormalization");
    expect(new Set(normal?.inputs).size).toBe(5);
  });
});

test("a factor that a file spells out is trained, and has no statistics of a batch", () => {
  const made = network(
    ending((net, map) => {
      const scaled = net.node("Mul", "m", [map, numbers(net, "g", 1, 4, 1, 1)], {
        name: "m",
        shape: map.shape,
      });
      const shifted = net.node("Add", "a", [scaled, numbers(net, "h", 1, 4, 1, 1)], {
        name: "a",
        shape: map.shape,
      });
      return pooled(net, one(net, "Relu", shifted, "r", map.shape), 4);
    }),
  );
  const factor = made.graph.nodes.find(({ op }) => op === "BatchNormalization");
  const trained = new Set(made.weights.keys());
  expect(factor?.inputs.map((input) => input !== null && trained.has(input.name))).toEqual([
    false,
    true,
    true,
    false,
    false,
  ]);
});

test("what is odd about a file is told", async () => {
  const path = join(folder, "half.onnx");
  const { graph, ...model } = decodeModel(floatFile(exportedGraph(), 21));
  const initializer = graph?.initializer?.map((each) =>
    each.name === "fc.bias"
      ? { name: "fc.bias", dims: [3], dataType: 10, rawData: Uint8Array.from([0, 60, 0, 60, 0, 60]) }
      : each,
  );
  const node = graph?.node?.map((each) => ({
    ...each,
    input: each.input?.map((name) => (name === "fc.bias" ? "real bias" : name)) ?? [],
  }));
  const cast = {
    opType: "Cast",
    input: ["fc.bias"],
    output: ["real bias"],
    attribute: [{ name: "to", type: 2, i: 1 }],
  };
  await writeFile(
    path,
    encodeModel({
      ...model,
      graph: { ...graph, initializer: initializer ?? [], node: [cast, ...(node ?? [])] },
    }),
  );
  const warnings: string[] = [];
  await loadModel(path, (warning) => warnings.push(warning));
  expect(warnings).toEqual([expect.stringMatching(/half\.onnx .*float16/)]);
});

describe("another head", () => {
  test.each<[string, () => OnnxNetwork, readonly string[]]>([
    ["a Gemm that gives logits", () => network(exportedGraph()), ["fc.bias", "fc.weight"]],
    ["a Gemm and a softmax", () => network(exportedGraph({ softmax: true })), ["fc.bias", "fc.weight"]],
    ["a MatMul of a graph-model", converted, ["dense/MatMul/bias", "dense/MatMul/kernel"]],
    [
      "a 1x1 Conv before pooling, and a sigmoid",
      () =>
        network(
          ending((net, map) => {
            const weights = [numbers(net, "d.weight", 5, 4, 1, 1), numbers(net, "d.bias", 5)];
            const sums = net.node("Conv", "d", [map, ...weights], { name: "d", shape: ["N", 5, 6, 6] });
            return one(net, "Sigmoid", pooled(net, sums, 5), "p", ["N", 5]);
          }),
        ),
      ["d.bias", "d.weight"],
    ],
  ])("of %s gets the new number of classes, and ends in a softmax", (_, make, expected) => {
    const before = make();
    const after = replaceHead(before, 7, 1);
    expect(changed(before, after).toSorted()).toEqual(expected);
    expect(after.graph.outputs.map(({ shape, producer }) => [shape, producer?.op])).toEqual([
      [["N", 7], "Softmax"],
    ]);
    checkRuns(after, 8, 7);
    expect(after.userDefinedMetadata).toEqual({});
    expect(replaceHead(before, 7, 1).weights).toEqual(after.weights);
    expect(replaceHead(before, 7, 2).weights).not.toEqual(after.weights);
    expect(graphOf(before).outputs[0]?.shape[1]).not.toBe(7);
  });

  test.each<[string, (net: GraphBuilder, map: Value) => Value]>([
    ["a feature map", (net, map) => one(net, "Relu", map, "r", map.shape)],
    ["pooling", (net, map) => pooled(net, one(net, "Relu", map, "r", map.shape), 4)],
  ])("is added to what ends in %s", (_, end) => {
    const before = network(ending(end));
    const after = replaceHead(before, 7, 1);
    expect(changed(before, after)).toEqual(["classes/kernel", "classes/bias"]);
    checkRuns(after, 8, 7);
  });

  test("is not made where the one that is there is kept, but for the softmax that is missing", () => {
    const before = network(exportedGraph());
    const after = replaceHead(before, 3, 1, { keepHead: true });
    expect([...after.weights]).toEqual([...before.weights]);
    expect(after.userDefinedMetadata).toEqual({ qdg });
    expect(after.graph.nodes.at(-1)?.op).toBe("Softmax");
    expect(() => replaceHead(before, 4, 1, { keepHead: true })).toThrow(
      /a head of 3 classes, the data 4 classes/,
    );
  });

  test("is refused, with what there is, where none is found", () => {
    const sum = network(
      ending((net, map) => {
        const features = pooled(net, map, 4);
        const heads = ["a", "b"].map((name) =>
          net.node("Gemm", name, [features, numbers(net, `${name}.weight`, 4, 5)], { name, shape: ["N", 5] }),
        );
        return net.node("Add", "sum", heads, { name: "sum", shape: ["N", 5] });
      }),
    );
    expect(() => replaceHead(sum, 7, 1)).toThrow(
      /no head was found.*it ends in sum \(Add\) and gives \[N, 5\]/,
    );
  });
});

describe("another size", () => {
  test.each([
    ["channels first", () => network(exportedGraph()), ["N", 3, 13, 13]],
    ["channels last", converted, ["N", 13, 13, 3]],
  ] as const)("of the images, %s, leaves the weights", (_, make, expected) => {
    const before = make();
    const after = resizeInput(before, 13);
    expect(after.graph.inputs[0]?.shape).toEqual(expected);
    expect([...after.weights]).toEqual([...before.weights]);
    checkRuns(after, 13, 3);
    expect(resizeInput(after, 13)).toBe(after);
  });

  test.each<[string, () => Graph, number, RegExp]>([
    [
      "weights for each place",
      () => exportedGraph({ flat: true, batch: "N" }),
      12,
      /\/flat \(Reshape\): its weights are for images of 8x8, not 12 px \(gets 864 elements of an image and makes 384/,
    ],
    [
      "windows that are larger than what is left",
      () => ending((net, map) => pooled(net, one(net, "Relu", map, "r", map.shape), 4)),
      2,
      /c \(Conv\): images of 2 px are too small/,
    ],
  ])("is refused for %s", (_, make, size, message) => {
    expect(() => resizeInput(network(make()), size)).toThrow(message);
  });
});

describe("what cannot be trained is refused at once", () => {
  test("by all nodes that training does not compute", () => {
    const graph = ending((net, map) => {
      const a = one(net, "Sin", map, "sine", map.shape);
      return pooled(net, one(net, "Cos", a, "cosine", map.shape), 4);
    });
    expect(() => network(graph)).toThrow(
      /training does not compute sine \(Sin\), cosine \(Cos\); quantize the trained model with qdg-export --calibration/,
    );
  });

  test("where a weight serves in two ways", () => {
    const graph = ending((net, map) => {
      const features = pooled(net, map, 4);
      const weight = numbers(net, "w", 4, 4);
      const first = net.node("Gemm", "a", [features, weight], { name: "a", shape: ["N", 4] }, { transB: 1 });
      return net.node("Mul", "m", [first, weight], { name: "m", shape: ["N", 4] });
    });
    expect(() => network(graph)).toThrow(
      /m \(Mul\): reads w as a constant, and another node as a weight of Gemm/,
    );
  });

  test("where a file has no input of images", async () => {
    const net = new GraphBuilder("rows");
    const x = net.input("rows", ["N", 6]);
    net.output(net.node("Gemm", "g", [x, numbers(net, "w", 6, 3)], { name: "g", shape: ["N", 3] }));
    const path = join(folder, "rows.onnx");
    await writeFile(path, floatFile(net.graph, 21));
    await expect(loadModel(path)).rejects.toThrow(/has the input rows \[N, 6\], expected one of images/);
  });

  test("where the batch is fixed in a way that is not undone", () => {
    const net = new GraphBuilder("net");
    const x = net.input("image", [1, 3, 8, 8]);
    const rows = net.node("Reshape", "rows", [x, net.ints("s", [3, -1])], { name: "rows", shape: [3, 64] });
    const means = net.node(
      "ReduceMean",
      "means",
      [rows, net.ints("a", [1])],
      { name: "means", shape: [3] },
      { keepdims: 0 },
    );
    net.output(net.node("Reshape", "out", [means, net.ints("t", [1, 3])], { name: "out", shape: [1, 3] }));
    expect(() => checkRuns(network(net.graph), 8, 3)).toThrow(
      /out: gives \[1, 3\] for 2 images, expected \[2, 3\]; export the model with an open batch/,
    );
  });

  test("where two images do not fit through a node", () => {
    const net = new GraphBuilder("net");
    const x = net.input("image", [1, 3, 8, 8]);
    const rows = net.node("Reshape", "rows", [x, net.ints("s", [3, 64])], { name: "rows", shape: [3, 64] });
    const relu = one(net, "Relu", rows, "relu", rows.shape);
    net.output(net.node("Reshape", "out", [relu, net.ints("t", [1, 192])], { name: "out", shape: [1, 192] }));
    expect(() => checkRuns(network(net.graph), 8, 192)).toThrow(
      /rows \(Reshape\): does not take 2 images of 8 px/,
    );
  });
});
