// The browser runtimes in the real browser of this machine; skipped only where there is none.

import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { allocate, type DType, float32, type Tensor, tensor } from "../../src/base/tensor.js";
import { exportModel } from "../../src/export/export-model.js";
import { GraphBuilder } from "../../src/graph/builder.js";
import { drawSet, SHAPE_IMAGE_SIZE } from "../../src/image/draw-shapes.js";
import { decodeModel, encodeModel } from "../../src/onnx/codec.js";
import { graphToModel } from "../../src/onnx/from-graph.js";
import { quantizedTensors } from "../../src/export/quantized-tensors.js";
import { withOutputs } from "../../src/onnx/with-outputs.js";
import {
  adapterText,
  browserWasmRuntime,
  browserWebgpuRuntime,
  isTooOld,
} from "../../src/runtime/browser.js";
import { findBrowser } from "../../src/runtime/browser/find-browser.js";
import { browserInUse } from "../../src/runtime/browser/shared-browser.js";
import { cpuRuntime } from "../../src/runtime/cpu.js";
import type { Session } from "../../src/runtime/runtime.js";
import { BROWSER, SHELL } from "../support/needs.js";

/** A software adapter on a busy machine compiles the shaders of a network for a minute or more. */
const SHADER_LIMIT_MS = 400_000;

const program = findBrowser(undefined)?.path ?? "";
const OPTIONS = { opset: 21, irVersion: 10, producerVersion: "test" };
const bytesOf = (builder: GraphBuilder): Uint8Array => encodeModel(graphToModel(builder.graph, OPTIONS));

const VALUES: readonly (readonly [DType, readonly (number | bigint)[]])[] = [
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
];

function identity(): Uint8Array {
  const builder = new GraphBuilder("identity");
  const x = builder.input("x", ["N", 3]);
  builder.output(builder.node("Identity", "i", [x], { name: "y", shape: ["N", 3] }));
  return bytesOf(builder);
}

/** y = relu(conv(x) + x) */
function floatNetwork(): Uint8Array {
  const builder = new GraphBuilder("float");
  const shape = ["N", 2, 8, 8];
  const x = builder.input("x", shape);
  const kernel = float32(
    [2, 2, 3, 3],
    Float32Array.from({ length: 36 }, (_, i) => Math.sin(i)),
  );
  const conv = builder.node(
    "Conv",
    "conv",
    [x, builder.constant("kernel", kernel)],
    { name: "conv", shape },
    { pads: [1, 1, 1, 1] },
  );
  const sum = builder.node("Add", "add", [conv, x], { name: "sum", shape });
  builder.output(builder.node("Relu", "relu", [sum], { name: "y", shape }));
  return bytesOf(builder);
}

/** x squared 400 times, as a matrix: minutes of work from little data. */
function slowNetwork(): Uint8Array {
  const builder = new GraphBuilder("slow");
  const shape = [SLOW_SIDE, SLOW_SIDE];
  let value = builder.input("x", shape);
  for (let i = 0; i < 400; i++) {
    value = builder.node("MatMul", `m${i}`, [value, value], { name: `v${i}`, shape });
  }
  builder.output(builder.node("Identity", "i", [value], { name: "y", shape }));
  return bytesOf(builder);
}
const SLOW_SIDE = 1024;
const slowFeed = (): Tensor => float32([SLOW_SIDE, SLOW_SIDE], new Float32Array(SLOW_SIDE ** 2));

const image = (batch: number): Tensor =>
  float32(
    [batch, 2, 8, 8],
    Float32Array.from({ length: batch * 128 }, (_, i) => Math.sin(0.37 * i)),
  );

/** Elements that differ; all of them where type or shape does. */
function mismatches(got: Tensor | undefined, expected: Tensor | undefined): number {
  if (expected === undefined) throw new Error("nothing to compare with");
  if (got?.dtype !== expected.dtype || got.shape.join() !== expected.shape.join())
    return expected.data.length;
  let count = 0;
  expected.data.forEach((value, i) => {
    if (!Object.is(value, got.data[i])) count++;
  });
  return count;
}

/** What `work` is rejected with, and after how long. */
async function rejection(work: Promise<unknown>): Promise<{ error: Error; durationMs: number }> {
  const from = performance.now();
  try {
    await work;
  } catch (thrown) {
    return { error: thrown as Error, durationMs: performance.now() - from };
  }
  throw new Error("was not rejected");
}

const workerCount = async (): Promise<number> => (await browserInUse(program))?.workers ?? -1;

const pause = (durationMs: number): Promise<void> =>
  new Promise((resolve) => void setTimeout(resolve, durationMs));

function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch {
    return false;
  }
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "qdg-browser-"));
});
afterAll(() => rm(folder, { recursive: true }));

describe("in a browser", BROWSER, () => {
  /** Keeps the browser running, so that each test does not start it anew. */
  let keeper: Session;
  beforeAll(async () => {
    keeper = await browserWasmRuntime.open({ bytes: identity() });
  });
  afterAll(() => keeper.dispose());

  test("browser-wasm says the versions of runtime and browser", async () => {
    expect(await browserWasmRuntime.probe()).toEqual({
      available: true,
      version: expect.stringMatching(
        /^onnxruntime-web 1\.\d+\.\d+, (Chromium|Google Chrome|Microsoft Edge) \d+\./,
      ),
    });
  });

  test("browser-webgpu says the adapter too, and whether it is software", async () => {
    expect(await browserWebgpuRuntime.probe()).toEqual({
      available: true,
      version: expect.stringMatching(/^onnxruntime-web .*, (software|hardware) adapter \w+/),
    });
  });

  test("passes every type in and out, bit for bit", async () => {
    const builder = new GraphBuilder("types");
    const feeds: Record<string, Tensor> = {};
    for (const [dtype, values] of VALUES) {
      const x = builder.input(dtype, ["N", 3], dtype);
      builder.output(
        builder.node("Identity", `i/${dtype}`, [x], { name: `y/${dtype}`, shape: ["N", 3], dtype }),
      );
      const data = allocate(dtype, 3);
      values.forEach((value, i) => {
        data[i] = value as never;
      });
      feeds[dtype] = tensor(dtype, [1, 3], data);
    }
    const session = await browserWasmRuntime.open({ bytes: bytesOf(builder) });
    const expected = Object.entries(feeds).map(([dtype, x]) => [`y/${dtype}`, x]);
    expect(await session.run(feeds)).toEqual(Object.fromEntries(expected));
    await session.dispose();
  });

  test.each([browserWasmRuntime, browserWebgpuRuntime])(
    "$name tells inputs and outputs, and computes a float network as the CPU does",
    async (runtime) => {
      const path = join(folder, "float.onnx");
      await writeFile(path, floatNetwork());
      const session = await runtime.open({ path });
      const cpu = await cpuRuntime.open({ path });
      expect(session.inputs).toEqual(cpu.inputs);
      expect(session.outputs).toEqual(cpu.outputs);
      for (const batch of [1, 3]) {
        const expected = (await cpu.run({ x: image(batch) }))["y"] as Tensor;
        const got = (await session.run({ x: image(batch) }))["y"] as Tensor;
        expect(got.shape).toEqual([batch, 2, 8, 8]);
        expect(new Set(expected.data as Float32Array).size).toBeGreaterThan(50);
        got.data.forEach((value, i) => expect(Number(value)).toBeCloseTo(expected.data[i] as number, 5));
      }
      await session.dispose();
      await cpu.dispose();
    },
  );

  test(
    "both compute every quantized tensor of the shapes network as the CPU does",
    async () => {
      const output = join(folder, "shapes.onnx");
      await exportModel({
        model: "models/shapes/model.json",
        output,
        targets: ["cpu", "wasm", "webgpu"],
      });
      const { pixels } = drawSet(7, 3);
      const shape = [7, SHAPE_IMAGE_SIZE, SHAPE_IMAGE_SIZE, 3];
      const x = float32(
        shape,
        Float32Array.from(pixels, (value) => value / 255),
      );
      for (const [runtime, file, threads] of [
        [browserWasmRuntime, "shapes.onnx", 1],
        [browserWasmRuntime, "shapes.onnx", 2],
        [browserWebgpuRuntime, "shapes.webgpu.onnx", 1],
      ] as const) {
        const model = decodeModel(await readFile(join(folder, file)));
        const tensors = quantizedTensors(model);
        const bytes = encodeModel(withOutputs(model, tensors));
        const session = await runtime.open({ bytes }, { threads });
        const cpu = await cpuRuntime.open({ bytes });
        const feeds = { [session.inputs[0]?.name ?? ""]: x };
        const [got, expected] = [await session.run(feeds), await cpu.run(feeds)];
        expect(tensors.length).toBeGreaterThan(5);
        for (const { name } of tensors) {
          // A dead network would be equal everywhere.
          expect(new Set<unknown>(expected[name]?.data).size, name).toBeGreaterThan(1);
          expect(mismatches(got[name], expected[name]), `${runtime.name}, ${threads}, ${name}`).toBe(0);
        }
        await session.dispose();
        await cpu.dispose();
      }
    },
    SHADER_LIMIT_MS,
  );

  test("browser-wasm starts the threads that are asked for", async () => {
    const one = await browserWasmRuntime.open({ bytes: identity() });
    expect(await workerCount()).toBe(0);
    const two = await browserWasmRuntime.open({ bytes: identity() }, { threads: 2 });
    expect(await workerCount()).toBe(1);
    await two.dispose();
    expect(await workerCount()).toBe(0);
    await one.dispose();
  });

  test("browser-webgpu refuses a node that the GPU cannot run", async () => {
    const builder = new GraphBuilder("cpu-only");
    const x = builder.input("x", ["N", 3]);
    builder.output(builder.node("Round", "round", [x], { name: "y", shape: ["N", 3] }));
    await expect(browserWebgpuRuntime.open({ bytes: bytesOf(builder) })).rejects.toThrow(
      /^model \(browser-webgpu\): has nodes that ONNX Runtime has no WebGPU kernel for; .*\[runtime\]$/,
    );
  });

  test.each([
    ["text", new TextEncoder().encode("no ONNX file")],
    ["nothing", new Uint8Array(0)],
  ])("refuses %s as a model, in the runtime's words and with the file's name", async (_, bytes) => {
    const path = join(folder, "bad.onnx");
    await writeFile(path, bytes);
    await expect(browserWasmRuntime.open({ path })).rejects.toThrow(
      /^.*bad\.onnx \(browser-wasm\): Can't create a session.*\[runtime\]$/,
    );
  });

  test("says that a file is not there", async () => {
    await expect(browserWasmRuntime.open({ path: join(folder, "none.onnx") })).rejects.toThrow(
      expect.objectContaining({ code: "not-found", where: join(folder, "none.onnx") }) as Error,
    );
  });

  test("gives the runtime's own words when a run fails, and runs on", async () => {
    const builder = new GraphBuilder("fails");
    const x = builder.input("x", ["N", 4]);
    builder.output(builder.node("Reshape", "r", [x, builder.ints("shape", [4])], { name: "y", shape: [4] }));
    const session = await browserWasmRuntime.open({ bytes: bytesOf(builder) });
    await expect(session.run({ x: float32([2, 4], new Float32Array(8)) })).rejects.toThrow(
      /^model \(browser-wasm\): .*cannot be reshaped.*\[runtime\]$/,
    );
    const y = await session.run({ x: float32([1, 4], [1, 2, 3, 4]) });
    expect(y).toEqual({ y: float32([4], [1, 2, 3, 4]) });
    await session.dispose();
  });

  test.each([
    ["threads", { threads: 0 }],
    ["a limit", { timeoutMs: 0 }],
    ["a limit that is no number", { timeoutMs: Number.NaN }],
    ["a file to write", { optimizedModelPath: "x.onnx" }],
  ])("refuses %s that it cannot take", async (_, options) => {
    await expect(browserWasmRuntime.open({ bytes: identity() }, options)).rejects.toThrow(
      expect.objectContaining({ code: "usage" }) as Error,
    );
  });

  test("leaves no page behind after 20 sessions, four at a time", async () => {
    const before = await browserInUse(program);
    const x = float32([1, 3], [1, 2, 3]);
    for (let i = 0; i < 5; i++) {
      const sessions = await Promise.all(
        Array.from({ length: 4 }, () => browserWasmRuntime.open({ bytes: identity() })),
      );
      expect((await browserInUse(program))?.pages).toBe((before?.pages as number) + 4);
      for (const session of sessions) expect(await session.run({ x })).toEqual({ y: x });
      await Promise.all(sessions.map((session) => session.dispose()));
    }
    expect(await browserInUse(program)).toEqual(before);
  });

  test("is of no use after dispose, which may come twice", async () => {
    const session = await browserWasmRuntime.open({ bytes: identity() });
    await session.dispose();
    await session.dispose();
    await expect(session.run({ x: float32([1, 3], [1, 2, 3]) })).rejects.toThrow(/was disposed of/);
  });

  test("ends a run at its limit, closes the page, and lets other sessions live", async () => {
    const pages = (await browserInUse(program))?.pages;
    const session = await browserWasmRuntime.open({ bytes: slowNetwork() }, { timeoutMs: 10_000 });
    const { error, durationMs } = await rejection(session.run({ x: slowFeed() }));
    expect(error.message).toMatch(
      /^model \(browser-wasm\): running the model: no answer within 10 s.*\[runtime\]$/,
    );
    expect(durationMs).toBeLessThan(15_000);
    await expect(session.run({ x: slowFeed() })).rejects.toThrow(/no answer within 10 s/);
    await session.dispose();
    expect((await browserInUse(program))?.pages).toBe(pages);
    const x = float32([1, 3], [1, 2, 3]);
    expect(await keeper.run({ x })).toEqual({ y: x });
  });

  test("ends a run whose session is disposed of meanwhile", async () => {
    const session = await browserWasmRuntime.open({ bytes: slowNetwork() });
    const run = rejection(session.run({ x: slowFeed() }));
    await pause(300);
    await session.dispose();
    expect((await run).error.message).toMatch(/the page was closed.*\[runtime\]$/);
  });
});

describe("the browser's process", BROWSER, () => {
  test("ends with the last session", async () => {
    const [first, second] = await Promise.all([
      browserWasmRuntime.open({ bytes: identity() }),
      browserWasmRuntime.open({ bytes: identity() }),
    ]);
    const processId = (await browserInUse(program))?.processId as number;
    expect(isAlive(processId)).toBe(true);
    await first?.dispose();
    expect(isAlive(processId)).toBe(true);
    await second?.dispose();
    expect(await browserInUse(program)).toBeNull();
    expect(isAlive(processId)).toBe(false);
  });

  test("when it is killed amid a run, is reported at once, and the next session gets a new one", async () => {
    const session = await browserWasmRuntime.open({ bytes: slowNetwork() });
    const processId = (await browserInUse(program))?.processId as number;
    const run = rejection(session.run({ x: slowFeed() }));
    await pause(500);
    const from = performance.now();
    process.kill(processId, "SIGKILL");
    const { error } = await run;
    expect(performance.now() - from).toBeLessThan(5000);
    expect(error.message).toMatch(
      /^model \(browser-wasm\): the browser ended; open the model again.*\[runtime\]$/,
    );
    await expect(session.run({ x: slowFeed() })).rejects.toThrow(/the browser ended/);

    const next = await browserWasmRuntime.open({ bytes: identity() });
    const x = float32([1, 3], [1, 2, 3]);
    expect(await next.run({ x })).toEqual({ y: x });
    expect((await browserInUse(program))?.processId).not.toBe(processId);
    await session.dispose();
    expect(await next.run({ x })).toEqual({ y: x });
    await next.dispose();
    expect(await browserInUse(program)).toBeNull();
  });
});

/** A program that stands in for a browser. */
async function script(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, `#!/bin/sh\n${text}\n`);
  await chmod(path, 0o755);
  return path;
}

describe("a browser that is not there or of no use", () => {
  test("is never replaced by another one, and probe says what to do", async () => {
    const browser = join(folder, "no-browser");
    expect(await browserWasmRuntime.probe({ browser })).toEqual({
      available: false,
      reason: expect.stringContaining(browser),
      remedy: expect.stringContaining("name one that is there"),
    });
    await expect(browserWasmRuntime.open({ bytes: identity() }, { browser })).rejects.toThrow(
      expect.objectContaining({ code: "not-found", where: "--browser" }) as Error,
    );
  });

  test("is reported with what it wrote when it ends at once", SHELL, async () => {
    const browser = await script("broken", "echo 'No usable sandbox!' >&2; exit 1");
    expect(await browserWebgpuRuntime.probe({ browser })).toEqual({
      available: false,
      reason: expect.stringMatching(/broken: the browser does not start: .*No usable sandbox!/),
      remedy: expect.stringContaining("--browser"),
    });
    await expect(browserWebgpuRuntime.open({ bytes: identity() }, { browser })).rejects.toThrow(
      expect.objectContaining({ code: "unavailable" }) as Error,
    );
  });

  test("is given up after the limit when it says nothing", SHELL, async () => {
    const browser = await script("silent", "exec sleep 100");
    const { error, durationMs } = await rejection(
      browserWasmRuntime.open({ bytes: identity() }, { browser, timeoutMs: 1000 }),
    );
    expect(error.message).toMatch(
      /silent: the browser does not start: it gave no answer within 1 s.*\[unavailable\]$/,
    );
    expect(durationMs).toBeLessThan(10_000);
    expect(await browserInUse(browser)).toBeNull();
  });

  test("is too old below version 128", () => {
    expect(["127.0.6533.119", "95.0", "", "unknown"].map(isTooOld)).toEqual([true, true, true, true]);
    expect(["128.0.6613.84", "156.0.8078.79"].map(isTooOld)).toEqual([false, false]);
  });
});

test.each([
  [
    "SwiftShader, by the browser's word",
    ["google", "swiftshader", "", ""],
    true,
    "software adapter google swiftshader",
  ],
  [
    "lavapipe, by its name",
    ["mesa", "", "", "llvmpipe (LLVM 15)"],
    false,
    "software adapter mesa llvmpipe (LLVM 15)",
  ],
  ["a GPU", ["nvidia", "lovelace", "", ""], false, "hardware adapter nvidia lovelace"],
  ["one that keeps silent", ["", "", "", ""], false, "hardware adapter without a name"],
] as const)("calls %s what it is", (_, [vendor, architecture, device, description], isFallback, text) => {
  expect(adapterText({ vendor, architecture, device, description, isFallback })).toBe(text);
});
