// An ONNX file behind the front door: its facts, and what export, parity and deployment make of it.

import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { float32 } from "../../src/base/tensor.js";
import { exportModel } from "../../src/export/export-model.js";
import { inspectFile } from "../../src/export/inspect.js";
import { floatFile } from "../../src/export/float-file.js";
import { GraphBuilder } from "../../src/graph/builder.js";
import type { Graph, Value } from "../../src/graph/graph.js";
import { decodeModel, encodeModel } from "../../src/onnx/codec.js";
import type { ModelProto } from "../../src/onnx/model-proto.js";
import { rangePreprocessing } from "../../src/image/preprocessing.js";
import { openModel } from "../../src/open/open-model.js";
import { hasPassed } from "../../src/parity/certificate.js";
import { certify } from "../../src/parity/certify.js";
import { parity } from "../../src/parity/parity.js";
import { seeded } from "../support/layers-models.js";

let folder = "";
let path = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "qdg-onnx-"));
  path = join(folder, "net.onnx");
  await writeFile(path, floatFile(network([1, 3, 8, 8]), 21));
});

afterAll(async () => rm(folder, { recursive: true }));

/** Convolution, normalization as files spell it out, HardSwish, a classifier. */
function network(shape: readonly [number, number, number, number]): Graph {
  const random = seeded(5);
  const net = new GraphBuilder("net");
  const numbers = (name: string, ...dims: number[]): Value => {
    const size = dims.reduce((product, dim) => product * dim, 1);
    return net.constant(
      name,
      float32(
        dims,
        Float32Array.from({ length: size }, () => random() - 0.4),
      ),
    );
  };
  const x = net.input("image", shape);
  const [n, , h, w] = shape;
  const image = [n, 6, h, w];
  const sum = net.node(
    "Conv",
    "/conv/Conv",
    [x, numbers("w", 6, 3, 3, 3)],
    { name: "c", shape: image },
    { pads: [1, 1, 1, 1] },
  );
  const scaled = net.node("Mul", "/bn/Mul", [sum, numbers("g", 6, 1, 1)], { name: "m", shape: image });
  const shifted = net.node("Add", "/bn/Add", [scaled, numbers("b", 6, 1, 1)], { name: "a", shape: image });
  const act = net.node("HardSwish", "/act", [shifted], { name: "h", shape: image });
  const pooled = net.node(
    "ReduceMean",
    "/pool",
    [act, net.ints("axes", [2, 3])],
    { name: "p", shape: [n, 6] },
    { keepdims: 0 },
  );
  const logits = net.node("MatMul", "/head/MatMul", [pooled, numbers("k", 6, 4)], {
    name: "l",
    shape: [n, 4],
  });
  net.output(net.node("Add", "/head/Add", [logits, numbers("kb", 4)], { name: "logits", shape: [n, 4] }));
  return net.graph;
}

test("is exported at 4 bits and in float, and parity finds both to be what they were made from", async () => {
  const output = join(folder, "net4.onnx");
  const preprocessing = rangePreprocessing(-1, 1);
  const result = await exportModel({
    model: path,
    output,
    bits: 4,
    calibration: ["synthetic"],
    calibrationCount: 8,
    heldOutCount: 4,
    preprocessing,
  });
  expect(result.bits).toEqual({ "/conv/Conv": [8, 8], "/head/MatMul": [8, 0] });
  expect(result.verification).not.toHaveProperty("skipped");
  expect(result.cost?.sqnrDb).toBeGreaterThan(25);
  const metadata = Object.fromEntries(
    (decodeModel(await readFile(output)).metadataProps ?? []).map(({ key, value }) => [key, value]),
  );
  expect(metadata).toMatchObject({ "qdg.layout": "nchw", "qdg.outputs": '{"logits":"logits"}' });
  expect(metadata["qdg.source"]).toBe((await openModel(path)).sourceHash);
  const report = await parity({
    model: output,
    data: ["random:4"],
    targets: ["cpu", "wasm"],
    reference: path,
  });
  expect(report.passed).toBe(true);

  const float = join(folder, "float.onnx");
  await exportModel({ model: path, output: float, float: true });
  const same = await parity({ model: float, data: ["random:4"], targets: ["cpu"], reference: path });
  expect(same.passed).toBe(true);
  expect(same.float?.outputs[0]?.relativeDifference).toBeLessThan(1e-5);
});

async function variant(shape: (number | string)[], metadata: Record<string, string> = {}): Promise<string> {
  const name = join(folder, `${shape.join("x")}-${Object.keys(metadata).length}.onnx`);
  const graph = new GraphBuilder("g");
  graph.output(graph.node("Relu", "r", [graph.input("x", shape)], { name: "y", shape }));
  await writeFile(name, floatFile(graph.graph, 21, metadata));
  return name;
}

async function layout(name: string, options = {}): Promise<string | null> {
  return (await openModel(name, options)).facts.layout;
}

test("is certified with its files, and inspected before and after", async () => {
  const files = join(folder, "files");
  await mkdir(files, { recursive: true });
  const output = join(files, "model.onnx");
  const preprocessing = rangePreprocessing(-1, 1);
  await exportModel({
    model: path,
    output,
    bits: 4,
    calibration: ["synthetic"],
    calibrationCount: 4,
    heldOutCount: 2,
    preprocessing,
  });
  const certificate = await certify({
    model: path,
    folder: files,
    data: ["random:2"],
    targets: ["cpu", "wasm"],
  });
  expect(hasPassed(certificate)).toBe(true);
  await expect(openModel(output)).rejects.toThrow(/is quantized already \(.* nodes such as/);

  const before = await inspectFile(path);
  expect(before.notes).toEqual([]);
  expect(before.layers.map(({ layer, op, weightBits }) => [layer, op, weightBits])).toEqual([
    ["/conv/Conv", "Conv", null],
    ["/head/MatMul", "Gemm", null],
  ]);
});

test("what the file says of itself wins; else the channels tell how an image's axes are ordered", async () => {
  expect(await layout(await variant(["N", 3, 8, 8]))).toBe("nchw");
  expect(await layout(await variant(["N", 8, 8, 1]))).toBe("nhwc");
  expect(await layout(await variant(["N", 8, 8, 8]))).toBe(null);
  expect(await layout(await variant(["N", 8, 8, 8]), { layout: "nchw" })).toBe("nchw");
  const facts = { "qdg.layout": "nhwc", "qdg.labels": '["a","b"]' };
  expect((await openModel(await variant(["N", 3, 8, 8], facts))).facts).toEqual({
    layout: "nhwc",
    labels: ["a", "b"],
    preprocessing: null,
  });
});

test("tensors in other files are read from the model's folder, and the hash is over them too", async () => {
  const model = decodeModel(await readFile(path));
  const outside = (location: string): ModelProto => ({
    ...model,
    graph: {
      ...model.graph,
      initializer: (model.graph?.initializer ?? []).map((tensor) => {
        if (tensor.name !== "k") return tensor;
        const { rawData: _, ...rest } = tensor;
        return { ...rest, dataLocation: 1, externalData: [{ key: "location", value: location }] };
      }),
    },
  });
  const raw = model.graph?.initializer?.find(({ name }) => name === "k")?.rawData as Uint8Array;
  await writeFile(join(folder, "k.bin"), raw);
  const split = join(folder, "split.onnx");
  await writeFile(split, encodeModel(outside("k.bin")));
  const opened = await openModel(split);
  expect(opened.graph.nodes.map(({ op }) => op)).toEqual(
    (await openModel(path)).graph.nodes.map(({ op }) => op),
  );
  const before = opened.sourceHash;
  await writeFile(
    join(folder, "k.bin"),
    raw.map((byte, i) => (i === 0 ? byte ^ 1 : byte)),
  );
  expect((await openModel(split)).sourceHash).not.toBe(before);
  await writeFile(split, encodeModel(outside("../k.bin")));
  await expect(openModel(split)).rejects.toThrow(/leaves the folder/);
});
