import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { allocate, type DType, float32, type Tensor, tensor } from "../../src/base/tensor.js";
import { GraphBuilder } from "../../src/graph/builder.js";
import { decodeModel, encodeModel } from "../../src/onnx/codec.js";
import { graphToModel } from "../../src/onnx/from-graph.js";
import type { TensorProto } from "../../src/onnx/model-proto.js";
import { cpuRuntime } from "../../src/runtime/cpu.js";
import type { Runtime, Session } from "../../src/runtime/runtime.js";
import { wasmRuntime } from "../../src/runtime/wasm.js";

const OPTIONS = { opset: 21, irVersion: 10, producerVersion: "test" };
const bytesOf = (builder: GraphBuilder): Uint8Array => encodeModel(graphToModel(builder.graph, OPTIONS));

/** Numbers between -1 and 1 that need no generator. */
const wave = (length: number, step: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => Math.sin(step * (i + 1)));

/** Conv 3x3, Relu, global average, Gemm: [N, 3, 8, 8] -> [N, 5]. */
function network(): Uint8Array {
  const builder = new GraphBuilder("network");
  const x = builder.input("x", ["N", 3, 8, 8]);
  const kernel = builder.constant("kernel", float32([4, 3, 3, 3], wave(108, 1.7)));
  const bias = builder.constant("bias", float32([4], wave(4, 0.9)));
  const conv = builder.node(
    "Conv",
    "conv",
    [x, kernel, bias],
    { name: "conv", shape: ["N", 4, 8, 8] },
    { pads: [1, 1, 1, 1] },
  );
  const relu = builder.node("Relu", "relu", [conv], { name: "relu", shape: ["N", 4, 8, 8] });
  const pool = builder.node("GlobalAveragePool", "pool", [relu], { name: "pool", shape: ["N", 4, 1, 1] });
  const flat = builder.node("Flatten", "flat", [pool], { name: "flat", shape: ["N", 4] });
  const weights = builder.constant("weights", float32([5, 4], wave(20, 2.3)));
  const y = builder.node("Gemm", "dense", [flat, weights], { name: "y", shape: ["N", 5] }, { transB: 1 });
  builder.output(y);
  return bytesOf(builder);
}

/** y = identity(x). */
function identity(dtype: DType): Uint8Array {
  const builder = new GraphBuilder("identity");
  const x = builder.input("x", ["N", 3], dtype);
  builder.output(builder.node("Identity", "i", [x], { name: "y", shape: ["N", 3], dtype }));
  return bytesOf(builder);
}

/** y = x + constant, whose data is in the file data.bin at an offset, or wherever `location` says. */
function withDataOutside(location: string): Uint8Array {
  const builder = new GraphBuilder("outside");
  const x = builder.input("x", ["N", 64]);
  const constant = builder.constant("c", float32([64], wave(64, 1)));
  builder.output(builder.node("Add", "add", [x, constant], { name: "y", shape: ["N", 64] }));
  const model = graphToModel(builder.graph, OPTIONS);
  const outside = (proto: TensorProto): TensorProto => {
    const { rawData: _, ...rest } = proto;
    return {
      ...rest,
      dataLocation: 1,
      externalData: [
        { key: "location", value: location },
        { key: "offset", value: "16" },
        { key: "length", value: "256" },
      ],
    };
  };
  return encodeModel({
    ...model,
    graph: { ...model.graph, initializer: (model.graph?.initializer ?? []).map(outside) },
  });
}

let folder: string;
let path: string;
const sessions: Session[] = [];
async function open(runtime: Runtime, ...args: Parameters<Runtime["open"]>): Promise<Session> {
  const session = await runtime.open(...args);
  sessions.push(session);
  return session;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "qdg-runtime-"));
  path = join(folder, "network.onnx");
  await writeFile(path, network());
});
afterAll(async () => {
  for (const session of sessions) await session.dispose();
  await rm(folder, { recursive: true });
});

const image = (batch: number): Tensor => float32([batch, 3, 8, 8], wave(batch * 192, 0.37));

describe.each([cpuRuntime, wasmRuntime])("runtime $name", (runtime) => {
  test("says that it is available, and its version", async () => {
    expect(await runtime.probe()).toEqual({
      available: true,
      version: expect.stringMatching(/^onnxruntime-(node|web) 1\.\d+\.\d+/),
    });
  });

  test("tells inputs and outputs with type and shape, open sizes by name", async () => {
    const session = await open(runtime, { path });
    expect(session.inputs).toEqual([{ name: "x", dtype: "float32", shape: ["N", 3, 8, 8] }]);
    expect(session.outputs).toEqual([{ name: "y", dtype: "float32", shape: ["N", 5] }]);
  });

  test("calls a size that has no name the empty name", async () => {
    const builder = new GraphBuilder("open");
    const x = builder.input("x", ["N", 3]);
    builder.output(builder.node("Relu", "r", [x], { name: "y", shape: ["N", 3] }));
    const model = graphToModel(builder.graph, OPTIONS);
    const type = { tensorType: { elemType: 1, shape: { dim: [{}, { dimValue: 3 }] } } };
    const graph = { ...model.graph, input: [{ name: "x", type }] };
    const session = await open(runtime, {
      bytes: encodeModel({ ...model, graph }),
    });
    expect(session.inputs[0]?.shape).toEqual(["", 3]);
    const { y } = await session.run({ x: float32([2, 3], [-1, 2, -3, 4, -5, 6]) });
    expect([...(y as Tensor).data]).toEqual([0, 2, 0, 4, 0, 6]);
  });

  test("computes the same from a path, from bytes, and in any batch", async () => {
    const fromPath = await open(runtime, { path });
    const fromBytes = await open(runtime, { bytes: network() });
    const { y } = await fromPath.run({ x: image(2) });
    expect(y).toEqual((await fromBytes.run({ x: image(2) }))["y"]);
    expect(y?.shape).toEqual([2, 5]);
    const one = await fromPath.run({ x: image(1) });
    expect([...(one["y"] as Tensor).data].map(Number)).toEqual(
      [...(y as Tensor).data].slice(0, 5).map((value) => expect.closeTo(Number(value), 5)),
    );
  });

  test("gives results that the next run does not write over", async () => {
    const session = await open(runtime, { path });
    const { y } = await session.run({ x: image(1) });
    const before = [...(y as Tensor).data];
    await session.run({ x: float32([1, 3, 8, 8], new Float32Array(192)) });
    expect([...(y as Tensor).data]).toEqual(before);
  });

  test.each<[DType, readonly (number | bigint)[]]>([
    ["float32", [1.5, -0, Infinity]],
    ["float64", [0.1, -1e300, 3]],
    ["int8", [-128, 127, 0]],
    ["uint8", [0, 128, 255]],
    ["int16", [-32768, 32767, 1]],
    ["uint16", [0, 65535, 1]],
    ["int32", [-(2 ** 31), 2 ** 31 - 1, 1]],
    ["uint32", [0, 2 ** 32 - 1, 1]],
    ["int64", [-(2n ** 63n), 2n ** 63n - 1n, 1n]],
    ["uint64", [0n, 2n ** 64n - 1n, 1n]],
    ["bool", [1, 0, 1]],
    ["float16", [0x3c00, 0xfbff, 0x8000]],
  ])("passes %s in and out, bit for bit", async (dtype, values) => {
    const session = await open(runtime, { bytes: identity(dtype) });
    const data = allocate(dtype, 3);
    values.forEach((value, i) => {
      data[i] = value as never;
    });
    const x = tensor(dtype, [1, 3], data);
    expect(await session.run({ x })).toEqual({ y: x });
  });

  test("refuses a model with a uint4 output at once, which would take the process down", async () => {
    const builder = new GraphBuilder("uint4");
    const x = builder.input("x", [1, 3]);
    const scale = builder.constant("s", float32([], [1]));
    const zero = builder.constant("z", tensor("uint4", [], Uint8Array.of(0)));
    const shape = { name: "y", shape: [1, 3], dtype: "uint4" as const };
    builder.output(builder.node("QuantizeLinear", "q", [x, scale, zero], shape));
    await expect(runtime.open({ bytes: bytesOf(builder) })).rejects.toThrow(
      /^model, "y": type: got uint4.*\[runtime\]$/,
    );
  });

  test("computes the same without optimization", async () => {
    const all = await open(runtime, { path });
    const none = await open(runtime, { path }, { optimization: "none" });
    const [a, b] = [await all.run({ x: image(3) }), await none.run({ x: image(3) })];
    (a["y"] as Tensor).data.forEach((value, i) => {
      expect(Number((b["y"] as Tensor).data[i])).toBeCloseTo(Number(value), 5);
    });
  });

  test("multiplies 4-bit weights by the activations as they are, not by 8-bit ones", async () => {
    const builder = new GraphBuilder("weights-only");
    const x = builder.input("x", ["N", 128]);
    const integers = Int8Array.from({ length: 128 * 32 }, (_, i) => (Math.imul(i, 7) % 16) - 8);
    const scale = builder.constant("scale", float32([4, 32], new Float32Array(128).fill(0.125)));
    const weights = builder.node(
      "DequantizeLinear",
      "w",
      [builder.constant("q", tensor("int4", [128, 32], integers)), scale],
      { name: "w", shape: [128, 32] },
      { axis: 0, block_size: 32 },
    );
    builder.output(builder.node("MatMul", "m", [x, weights], { name: "y", shape: ["N", 32] }));
    const session = await open(runtime, { bytes: bytesOf(builder) });
    const data = wave(128, 0.77);
    const { y } = await session.run({ x: float32([1, 128], data) });
    const worst = Math.max(
      ...Array.from({ length: 32 }, (_, k) => {
        let sum = 0;
        data.forEach((value, c) => {
          sum += value * 0.125 * (integers[c * 32 + k] as number);
        });
        return Math.abs(sum - Number((y as Tensor).data[k]));
      }),
    );
    expect(worst).toBeLessThan(1e-5);
  });

  test("names the feed that is wrong", async () => {
    const session = await open(runtime, { path });
    await expect(session.run({})).rejects.toThrow(/network\.onnx: no feed for input "x"/);
    await expect(session.run({ x: float32([1, 3, 8, 7], new Float32Array(168)) })).rejects.toThrow(
      /input "x": shape: got \[1, 3, 8, 7\], expected \[N, 3, 8, 8\]/,
    );
  });

  test("gives the runtime's own words when a run fails, wrapped once", async () => {
    const builder = new GraphBuilder("fails");
    const x = builder.input("x", ["N", 4]);
    const shape = builder.ints("shape", [4]);
    builder.output(builder.node("Reshape", "r", [x, shape], { name: "y", shape: [4] }));
    const session = await open(runtime, { bytes: bytesOf(builder) });
    await expect(session.run({ x: float32([2, 4], wave(8, 1)) })).rejects.toThrow(
      /^model: .*cannot be reshaped.*[^\]] \[runtime\]$/,
    );
    expect((await session.run({ x: float32([1, 4], wave(4, 1)) }))["y"]).toEqual(float32([4], wave(4, 1)));
  });

  test("is of no use after dispose, which may come twice", async () => {
    const session = await runtime.open({ path });
    await session.dispose();
    await session.dispose();
    await expect(session.run({ x: image(1) })).rejects.toThrow(/was disposed of; open the model again/);
  });

  test("keeps sessions apart", async () => {
    const first = await runtime.open({ path });
    const second = await open(runtime, { bytes: identity("float32") });
    await first.dispose();
    const x = float32([1, 3], [1, 2, 3]);
    expect(await second.run({ x })).toEqual({ y: x });
  });

  test("says that a file is not there", async () => {
    await expect(runtime.open({ path: join(folder, "none.onnx") })).rejects.toThrow(
      expect.objectContaining({ code: "not-found", where: join(folder, "none.onnx") }),
    );
  });

  test.each([
    ["text", new TextEncoder().encode("no ONNX file")],
    ["nothing", new Uint8Array(0)],
    ["a file cut short", network().subarray(0, 300)],
  ])("refuses %s as a model", async (_, bytes) => {
    await expect(runtime.open({ bytes })).rejects.toThrow(expect.objectContaining({ code: "runtime" }));
    await writeFile(join(folder, "bad.onnx"), bytes);
    await expect(runtime.open({ path: join(folder, "bad.onnx") })).rejects.toThrow(
      expect.objectContaining({ code: "runtime", where: join(folder, "bad.onnx") }),
    );
  });

  test("refuses a number of threads that is none", async () => {
    await expect(runtime.open({ path }, { threads: 0 })).rejects.toThrow(
      expect.objectContaining({ code: "usage" }),
    );
  });

  test("reads data beside the model, and none outside its folder", async () => {
    const data = new Uint8Array(16 + 256);
    data.set(new Uint8Array(wave(64, 1).buffer), 16);
    await writeFile(join(folder, "data.bin"), data);
    await writeFile(join(folder, "outside.onnx"), withDataOutside("data.bin"));
    const session = await open(runtime, { path: join(folder, "outside.onnx") });
    const { y } = await session.run({ x: float32([1, 64], new Float32Array(64)) });
    expect([...(y as Tensor).data]).toEqual([...wave(64, 1)]);

    const secret = `../${folder.split("/").at(-1)}-secret.bin`;
    await writeFile(join(folder, secret), data);
    try {
      await writeFile(join(folder, "escape.onnx"), withDataOutside(secret));
      await expect(runtime.open({ path: join(folder, "escape.onnx") })).rejects.toThrow(
        /\[(runtime|invalid-path)\]$/,
      );
    } finally {
      await rm(join(folder, secret));
    }
  });
});

describe("the two runtimes", () => {
  test("agree on a float network", async () => {
    const [cpu, wasm] = [await open(cpuRuntime, { path }), await open(wasmRuntime, { path })];
    const [a, b] = [await cpu.run({ x: image(4) }), await wasm.run({ x: image(4) })];
    const values = [...(a["y"] as Tensor).data].map(Number);
    // A network that gives the same whatever it is fed would agree too.
    expect(new Set(values).size).toBe(20);
    values.forEach((value, i) => expect(Number((b["y"] as Tensor).data[i])).toBeCloseTo(value, 5));
  });
});

/** Operators of the network as ONNX Runtime ran it. */
async function optimizedOps(optimization: "all" | "none"): Promise<string[]> {
  const target = join(folder, `${optimization}.onnx`);
  await open(cpuRuntime, { path }, { optimization, optimizedModelPath: target });
  return (decodeModel(await readFile(target)).graph?.node ?? []).map((node) => node.opType ?? "");
}

describe("cpu only", () => {
  test("writes the graph as it was optimized", async () => {
    expect(await optimizedOps("none")).toEqual(["Conv", "Relu", "GlobalAveragePool", "Flatten", "Gemm"]);
    const fused = await optimizedOps("all");
    expect(fused).toContain("Conv");
    expect(fused).not.toContain("Relu");
  });

  test("runs with several threads", async () => {
    const one = await open(cpuRuntime, { path });
    const two = await open(cpuRuntime, { path }, { threads: 2 });
    const [a, b] = [await one.run({ x: image(2) }), await two.run({ x: image(2) })];
    [...(a["y"] as Tensor).data].forEach((value, i) =>
      expect(Number((b["y"] as Tensor).data[i])).toBeCloseTo(Number(value), 5),
    );
  });
});

describe("wasm only", () => {
  test("says that its threads are those of the process", async () => {
    await open(wasmRuntime, { path });
    await expect(wasmRuntime.open({ path }, { threads: 2 })).rejects.toThrow(
      /threads: got 2, expected 1.*\[unavailable\]$/,
    );
  });

  test("does not take a path for the optimized graph", async () => {
    await expect(wasmRuntime.open({ path }, { optimizedModelPath: "x.onnx" })).rejects.toThrow(/use cpu/);
  });
});
