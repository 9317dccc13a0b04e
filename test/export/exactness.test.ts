// What is proven of hand-made layers, one reason a row; and the bounds of a real model against those of qdg inspect.

import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { float32, int64, tensor } from "../../src/base/tensor.js";
import { exportModel } from "../../src/export/export-model.js";
import { inspectFile } from "../../src/export/inspect.js";
import type { Value } from "../../src/graph/graph.js";
import { decodeModel } from "../../src/onnx/codec.js";
import { graphToModel } from "../../src/onnx/from-graph.js";
import { type LayerExactness, layerExactness } from "../../src/export/exactness/layers.js";
import { knownOfConstant, stepOf } from "../../src/export/exactness/known.js";
import { readFile } from "node:fs/promises";
import { Sketch } from "../runtime/sketch.js";
import { newFolder, removeFolder, writeImages, writeResnet } from "../support/small-models.js";
import { reread } from "../parity/tiny-models.js";

/** The entries of a sketch whose value is its output. `quantized`: names listed as floats that hold integers. */
function judged(sketch: Sketch, output: Value, quantized?: readonly string[]): readonly LayerExactness[] {
  sketch.builder.output(output);
  const metadata = quantized && {
    "qdg.quantized": JSON.stringify(quantized.map((name) => [name, -128, 127])),
  };
  const options = { opset: 21, irVersion: 10, producerVersion: "test", ...(metadata && { metadata }) };
  return layerExactness(reread(graphToModel(sketch.builder.graph, options)));
}

function bytes(sketch: Sketch, name: string, x: Value, scale: number, zeroPoint = 0): Value {
  const q = sketch.node(
    "QuantizeLinear",
    [x, sketch.real(`${name}/s`, scale), sketch.byte(`${name}/z`, zeroPoint)],
    {},
    "uint8",
    x.shape as readonly number[],
  );
  q.name = name;
  return q;
}

/** 1x1 convolution of C channels of bytes to bytes, its weights `weight` again and again. */
function integerConvolution(
  weight: number | readonly number[],
  dtype: "int8" | "uint8",
  C = 64,
): readonly LayerExactness[] {
  const sketch = new Sketch();
  const x = sketch.input("x", float32([1, C, 1, 1], new Float32Array(C)));
  const real = sketch.dequantize(bytes(sketch, "q", x, 0.3), 0.3, 0);
  const list = typeof weight === "number" ? [weight] : weight;
  const stored = Array.from(
    { length: C },
    (_, c) => (list[c % list.length] as number) + (dtype === "uint8" ? 128 : 0),
  );
  const data = dtype === "uint8" ? Uint8Array.from(stored) : Int8Array.from(stored);
  const w = sketch.constant("w", tensor(dtype, [1, C, 1, 1], data as never));
  const zero =
    dtype === "uint8" ? tensor("uint8", [1], Uint8Array.of(128)) : tensor("int8", [1], Int8Array.of(0));
  const kernel = sketch.node(
    "DequantizeLinear",
    [w, sketch.reals("s_w", [0.7]), sketch.constant("z_w", zero)],
    { axis: 0 },
  );
  const conv = sketch.node("Conv", [real, kernel], {}, "float32", [1, 1, 1, 1]);
  return judged(sketch, bytes(sketch, "y", conv, 0.9));
}

/** Integers in float32 through a 1x1 convolution of C channels, then `finish` to y. */
function floatConvolution(
  weight: number,
  C: number,
  finish: (sketch: Sketch, sum: Value) => Value,
): readonly LayerExactness[] {
  const sketch = new Sketch();
  const x = sketch.input("x", float32([1, C, 1, 1], new Float32Array(C)));
  const clipped = sketch.node("Clip", [x, sketch.real("low", 0), sketch.real("high", 255)], {}, "float32", [
    1,
    C,
    1,
    1,
  ]);
  const q = sketch.node("Round", [clipped], {}, "float32", [1, C, 1, 1]);
  q.name = "q";
  const w = sketch.constant("w", float32([1, C, 1, 1], new Float32Array(C).fill(weight)));
  const y = finish(sketch, sketch.node("Conv", [q, w], {}, "float32", [1, 1, 1, 1]));
  y.name = "y";
  return judged(sketch, y, y.producer?.op === "Mul" ? ["q"] : ["q", "y"]);
}

const rounded =
  (factor: number) =>
  (sketch: Sketch, sum: Value): Value => {
    const scaled = sketch.node("Mul", [sum, sketch.real("m", factor)]);
    const limits = [sketch.real("ylow", 0), sketch.real("yhigh", 7)];
    return sketch.node("Round", [sketch.node("Clip", [scaled, ...limits])]);
  };

const shifted =
  (clip: boolean) =>
  (sketch: Sketch, sum: Value): Value => {
    const scaled = sketch.node("Mul", [sum, sketch.real("m", 1e-4)]);
    const limits = [sketch.real("ylow", 0), sketch.real("yhigh", 7)];
    const value = clip ? sketch.node("Clip", [scaled, ...limits]) : scaled;
    const shift = sketch.real("shift", 12582912);
    return sketch.node("Sub", [sketch.node("Add", [value, shift]), shift]);
  };

describe("sums of integer kernels", () => {
  test("are proven with unsigned weights, bound and limit stated", () => {
    expect(integerConvolution(127, "uint8").at(-1)).toEqual({
      layer: "Conv3",
      tensor: "y",
      kernel: "integer",
      accumulatorBound: 64 * 127 * 255,
      limit: 2 ** 31,
      exactness: "proven",
      reason: "",
    });
  });

  test("are only measured where pairs of signed products may leave 16 bits", () => {
    const [last] = integerConvolution(127, "int8").slice(-1);
    expect(last).toMatchObject({ tensor: "y", exactness: "measured" });
    expect(last?.reason).toContain("int16");
    // 255 * (63 + 63) <= 32767 < 255 * (65 + 65).
    expect(integerConvolution(63, "int8").at(-1)).toMatchObject({ exactness: "proven" });
    expect(integerConvolution(65, "int8").at(-1)).toMatchObject({ exactness: "measured" });
    // Of 8 bits, and no two that meet are too large: 1 meets 127, and 127 does not meet 127.
    expect(integerConvolution([1, 127, 127, 1], "int8").at(-1)).toMatchObject({ exactness: "proven" });
    expect(integerConvolution([127, 127, 1, 1], "int8").at(-1)).toMatchObject({ exactness: "measured" });
    expect(integerConvolution([127, -128], "int8").at(-1)).toMatchObject({ exactness: "proven" });
  });

  test("are only measured where they may leave int32", () => {
    expect(integerConvolution(127, "uint8", 70_000).at(-1)).toMatchObject({
      accumulatorBound: 70_000 * 127 * 255,
      exactness: "measured",
      reason: expect.stringContaining("int32") as string,
    });
  });
});

describe("sums of integers in float32", () => {
  // 255 * 255 * C: below 2^24 up to C = 258.
  test.each([
    [258, "proven", ""],
    [259, "measured", "2^24"],
  ])("over %i products of bytes are %s", (C, exactness, reason) => {
    const last = floatConvolution(255, C, rounded(1e-4)).at(-1);
    expect(last).toMatchObject({
      kernel: "float",
      accumulatorBound: 255 * 255 * C,
      limit: 2 ** 24,
      exactness,
    });
    expect(last?.reason).toContain(reason);
  });

  test("with weights on a finer grid count in units of it", () => {
    // 3/8 is three units of 1/8.
    expect(floatConvolution(0.375, 10, rounded(1)).at(-1)).toMatchObject({
      accumulatorBound: 10 * 3 * 255,
      exactness: "proven",
    });
    // As fine as 2^-12, the same sum no longer fits.
    expect(floatConvolution(1 + 2 ** -12, 100, rounded(1)).at(-1)).toMatchObject({ exactness: "measured" });
  });

  test("of weights that are no integers are only measured", () => {
    expect(floatConvolution(0.1, 10, rounded(1)).at(-1)).toMatchObject({ exactness: "measured" });
  });

  test("rounded by adding 1.5 * 2^23 are proven after a clip, but not right after a product", () => {
    expect(floatConvolution(3, 10, shifted(true)).at(-1)).toMatchObject({ tensor: "y", exactness: "proven" });
    expect(floatConvolution(3, 10, shifted(false)).at(-1)).toMatchObject({
      exactness: "measured",
      reason: "Mul and Add may be fused",
    });
  });

  test.each([
    [0.25, "proven"],
    [0.3, "measured"],
  ])("that become real numbers times %f are %s", (scale, exactness) => {
    const logits = floatConvolution(3, 10, (sketch, sum) =>
      sketch.node("Mul", [sum, sketch.real("m", scale)]),
    );
    expect(logits.at(-1)).toMatchObject({ tensor: "y", exactness });
  });
});

test("two roundings in a row are only measured", () => {
  const twice = floatConvolution(3, 10, (sketch, sum) => {
    const once = sketch.node("Mul", [sum, sketch.real("m1", 0.3)]);
    return rounded(0.7)(sketch, once);
  });
  expect(twice.at(-1)).toMatchObject({
    exactness: "measured",
    reason: expect.stringContaining("rounded already") as string,
  });
});

test("a layer in real numbers is measured and named, and the layer after it is judged by itself", () => {
  const sketch = new Sketch();
  const x = sketch.input("x", float32([1, 4], new Float32Array(4)));
  const real = sketch.dequantize(bytes(sketch, "q", x, 0.3), 0.3, 0);
  const soft = sketch.node("Softmax", [real], {}, "float32", [1, 4]);
  const p = bytes(sketch, "p", soft, 1 / 256);
  const limits = [sketch.byte("low", 1), sketch.byte("high", 9)];
  const after = sketch.node("Clip", [p, ...limits], {}, "uint8", [1, 4]);
  after.name = "after";
  const again = sketch.node("Transpose", [after], { perm: [1, 0] }, "uint8", [4, 1]);
  const rows = judged(sketch, again);
  expect(rows.map(({ tensor: name, exactness }) => [name, exactness])).toEqual([
    ["q", "proven"],
    ["after", "measured"],
  ]);
  expect(rows[1]?.reason).toBe("Softmax is computed in real numbers");
});

test.each([
  [0, 1],
  [5, 1],
  [-0.75, 0.25],
  [2 ** -149, 2 ** -149],
  [Number.NaN, 0],
])("the grid of %d is %d", (x, step) => {
  expect(stepOf(x)).toBe(step);
});

test("a constant that cannot be judged is not proven", () => {
  expect(knownOfConstant(int64([1], [3])).unproven).not.toBeNull();
});

async function judge(path: string): Promise<LayerExactness[]> {
  return layerExactness(decodeModel(await readFile(path)));
}

describe("files of models", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await newFolder();
  });
  afterAll(() => removeFolder(folder));

  test("every integer of the shapes model is proven in all three forms, with the bounds that inspect gives", async () => {
    const output = join(folder, "model.onnx");
    const model = "models/shapes/model.json";
    await exportModel({ model, output, targets: ["cpu", "wasm", "webgpu"] });
    await exportModel({ model, output: join(folder, "float.onnx"), form: "float" });
    const bounds: (readonly (readonly [string, number | null])[])[] = [];
    for (const name of ["model.onnx", "float.onnx", "model.webgpu.onnx"]) {
      const rows = await judge(join(folder, name));
      const integers = rows.slice(0, -2);
      expect(integers.length).toBe(11);
      expect(integers.filter(({ exactness }) => exactness !== "proven")).toEqual([]);
      expect(rows.slice(-2).map(({ tensor: name_, exactness }) => [name_, exactness])).toEqual([
        ["classes before its softmax", "measured"],
        ["classes", "measured"],
      ]);
      const { layers, notes } = await inspectFile(join(folder, name), { runtime: false });
      expect(notes).toEqual([]);
      expect(layers.map(({ exactInFloat32 }) => exactInFloat32)).toEqual(layers.map(() => true));
      const inspected = layers.map(({ layer, accumulatorBound }) => [layer, accumulatorBound] as const);
      const certified = new Map(
        // The softmax bears the name of its layer, and has no sum of integers.
        rows.flatMap(({ layer, accumulatorBound: bound }) => (bound === null ? [] : [[layer, bound]])),
      );
      expect(inspected).toEqual(inspected.map(([layer]) => [layer, certified.get(layer)]));
      bounds.push(inspected);
    }
    const [integer, float, webgpu] = bounds;
    expect(integer).toHaveLength(9);
    // In float a channel whose bias is a coarse number counts in coarse steps.
    float?.forEach(([layer, bound], i) => {
      expect([layer, (bound ?? 0) <= (integer?.[i]?.[1] ?? 0)]).toEqual([integer?.[i]?.[0], true]);
    });
    // Sums of weights with a fraction in them count in a smaller unit, still below 2^24.
    webgpu?.forEach(([layer, bound], i) => {
      expect([layer, (bound ?? 0) >= (integer?.[i]?.[1] ?? 0)]).toEqual([integer?.[i]?.[0], true]);
    });
    expect(webgpu).not.toEqual(integer);
  });

  test("with scales that are powers of two all is proven to the logits", async () => {
    const model = await writeResnet(join(folder, "resnet"));
    const images = await writeImages(join(folder, "images"), 6);
    const output = join(folder, "resnet.onnx");
    const targets = ["cpu", "wasm", "webgpu"] as const;
    const common = {
      model,
      output,
      targets,
      bits: 4,
      activationBits: 4,
      calibration: [images],
      preprocessing: { range: [0, 1], mean: [0], std: [1], resize: "stretch" },
    } as const;
    await exportModel({ ...common, powerOfTwo: true, heldOutCount: 0 });
    for (const name of ["resnet.onnx", "resnet.webgpu.onnx"]) {
      const rows = await judge(join(folder, name));
      expect(rows.length).toBeGreaterThan(5);
      expect(rows.filter(({ exactness }) => exactness === "measured")).toEqual([]);
      const last = rows.at(-1);
      expect(last?.accumulatorBound).toBeGreaterThan(0);
      expect(last?.tensor).not.toBe(rows.at(-2)?.tensor);
    }
    await exportModel({ ...common, force: true, heldOutCount: 0 });
    expect((await judge(output)).at(-1)).toMatchObject({
      exactness: "measured",
      reason: expect.stringContaining("--scales pow2") as string,
    });
  });
});
