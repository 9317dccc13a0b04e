// The engine as a runtime: samples, files whose functions are another's, what it refuses, and what it does not trust.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { float32, type Tensor, tensor } from "../../src/base/tensor.js";
import { instantiate } from "../../src/engine/module.js";
import { webAssembly } from "../../src/engine/web-assembly.js";
import { withUnpackedWeights } from "../../src/engine/unpacked-weights.js";
import { decodeModel, encodeModel } from "../../src/onnx/codec.js";
import { graphToModel } from "../../src/onnx/from-graph.js";
import { engineRuntime } from "../../src/runtime/engine.js";
import { referenceRuntime } from "../../src/runtime/reference.js";
import { exportShapes } from "../support/certified-models.js";
import { Random, Sketch } from "../runtime/sketch.js";

let folder: string;
let shapes: Uint8Array;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "qdg-engine-"));
  shapes = readFileSync(join(await exportShapes(folder), "model.onnx"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function images(count: number): Tensor {
  const random = new Random(count);
  return float32(
    [count, 32, 32, 3],
    Float32Array.from({ length: count * 3072 }, () => random.next()),
  );
}

test("takes any number of samples, and gives each what it gets alone", async () => {
  const session = await engineRuntime.open({ bytes: shapes });
  const { classes: together } = await session.run({ input: images(3) });
  const { classes: expected } = await (
    await referenceRuntime.open({ bytes: shapes })
  ).run({ input: images(3) });
  expect(together?.shape).toEqual([3, 7]);
  expect(together?.data).toEqual(expected?.data);
  const alone = images(3).data.slice(3072, 6144) as Float32Array;
  const { classes: second } = await session.run({ input: float32([1, 32, 32, 3], alone) });
  expect(second?.data).toEqual(together?.data.slice(7, 14));
});

test("a loaded network holds neither the bytes of its file nor its weights outside of WebAssembly's memory", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const held = async (): Promise<number> => {
    for (let i = 0; i < 3; i++) {
      collect();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return process.memoryUsage().arrayBuffers;
  };
  const before = await held();
  const session = await engineRuntime.open({ bytes: shapes.slice() });
  // Weights are 20 kB and more, one array of the floating-point end 3 kB.
  expect((await held()) - before).toBeLessThan(10_000);
  await session.dispose();
});

test("a function that bears the name of qdg's but has another body is computed as its body says", async () => {
  const model = decodeModel(shapes);
  const unpacked = (file: typeof model): number =>
    (withUnpackedWeights(file).graph?.initializer?.length ?? 0) - (file.graph?.initializer?.length ?? 0);
  expect(unpacked(model)).toBeGreaterThan(5);
  // The last Cast before it leaves: ReLU of weights, say.
  const functions = (model.functions ?? []).map((each) => {
    if (!each.name?.startsWith("Unpack")) return each;
    const nodes = each.node ?? [];
    const output = each.output?.[0] ?? "";
    const renamed = nodes.map((node) =>
      node.output?.[0] === output ? { ...node, output: ["before"] } : node,
    );
    return { ...each, node: [...renamed, { opType: "Abs", input: ["before"], output: [output] }] };
  });
  const changed = { ...model, functions };
  expect(unpacked(changed)).toBe(0);
  const bytes = encodeModel(changed);
  const feeds = { input: images(1) };
  const { classes: got } = await (await engineRuntime.open({ bytes })).run(feeds);
  const { classes: expected } = await (await referenceRuntime.open({ bytes })).run(feeds);
  expect(got?.data).toEqual(expected?.data);
  const { classes: original } = await (await engineRuntime.open({ bytes: shapes })).run(feeds);
  expect(got?.data).not.toEqual(original?.data);
});

/** `Conv` of bytes with weights of 127 over 70,000 channels: sums of up to 2.27e9. */
function wide(): Uint8Array {
  const sketch = new Sketch();
  const C = 70_000;
  const x = sketch.dequantize(sketch.input("x", tensor("uint8", [1, C, 1, 1], new Uint8Array(C))), 0.1, 0);
  const inputs = [
    sketch.constant("w", tensor("int8", [1, C, 1, 1], new Int8Array(C).fill(127))),
    sketch.reals("s", [0.1]),
    sketch.constant("z", tensor("int8", [1], new Int8Array(1))),
  ];
  const y = sketch.node("Conv", [x, sketch.node("DequantizeLinear", inputs, { axis: 0 })], {
    kernel_shape: [1, 1],
  });
  const { graph } = sketch.model(y, [1, 1, 1, 1], { scale: 1, zeroPoint: 0 });
  return encodeModel(graphToModel(graph, { opset: 21, irVersion: 10, producerVersion: "test" }));
}

test("refuses sums that may leave int32, naming the layer", async () => {
  await expect(engineRuntime.open({ bytes: wide() })).rejects.toMatchObject({
    code: "unsupported-op",
    message: expect.stringMatching(
      /Conv.*sums of channel 0 may reach 2266950000, expected at most 2147483647/,
    ),
  });
});

test("says that a session is disposed of, and what a feed lacks", async () => {
  const session = await engineRuntime.open({ bytes: shapes });
  await expect(session.run({ input: float32([1, 32, 32], new Float32Array(1024)) })).rejects.toThrow("rank");
  await session.dispose();
  await expect(session.run({ input: images(1) })).rejects.toThrow("was disposed of");
});

const products = (count: number) => (w: number, x: number) => count * w * x;
// Bytes taken for signed (ARM), and sums of four cut off at 16 bits twice (x86-64 without VNNI).
const signed = (count: number) => (w: number, x: number) => count * w * ((x << 24) >> 24);
const cut = (w: number, x: number): number => 2 * Math.max(-32768, Math.min(32767, 2 * w * x));
// ARM without instructions for dot products: two products at a time wrap at 16 bits.
const inPairs = (w: number, x: number): number => 2 * (Int16Array.of(2 * w * ((x << 24) >> 24))[0] as number);
// A product and a sum rounded each, and both at once: in float64 the product is exact.
const apart = (a: number, b: number, c: number): number => Math.fround(Math.fround(a * b) + c);
const together = (a: number, b: number, c: number): number => Math.fround(a * b + c);
const maddAdd = (): void => {};

test("kernels of relaxed SIMD that compute anything else than they should are not used", async () => {
  const simd = await webAssembly.compile(readFileSync("dist/engine/simd.wasm"));
  const memory = new webAssembly.Memory({ initial: 1 });
  const found = async (
    two: object,
    four: object,
    multiplyAdd: object = apart,
  ): Promise<readonly [pairs: boolean, centre: number | null, fused: boolean]> => {
    const relaxed = { twoProducts: two, fourProducts: four, multiplyAdd, maddAdd };
    const real = webAssembly.instantiate.bind(webAssembly);
    const spy = vi.spyOn(webAssembly, "instantiate");
    spy.mockImplementation(async (module, imports) =>
      module === relaxed ? { exports: relaxed } : real(module, imports),
    );
    const { pairs, quads, fusedAdd } = await instantiate({ simd, relaxed }, memory);
    spy.mockRestore();
    return [pairs !== null, quads && quads.centre, fusedAdd === maddAdd];
  };
  expect(await found(products(2), products(4))).toEqual([true, 0, false]);
  expect(await found(products(2), cut, together)).toEqual([true, null, true]);
  expect(await found(signed(2), signed(4))).toEqual([false, 128, false]);
  expect(await found(signed(2), inPairs)).toEqual([false, 128, false]);
  expect(await found(signed(2), cut)).toEqual([false, null, false]);
});
