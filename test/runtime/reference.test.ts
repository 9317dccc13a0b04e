// The semantics of the reference interpreter that runtimes do not show, worked out by hand, and what it refuses.

import { describe, expect, it } from "vitest";
import type { Tensor } from "../../src/base/tensor.js";
import { float32, int64, tensor } from "../../src/base/tensor.js";
import type { Attribute, Value } from "../../src/graph/graph.js";
import { encodeModel } from "../../src/onnx/codec.js";
import { graphToModel } from "../../src/onnx/from-graph.js";
import { openGraph, referenceRuntime } from "../../src/runtime/reference.js";
import { erf } from "../../src/compute/activations.js";
import { fromFloat16, toFloat16 } from "../../src/compute/cast.js";
import type { Model } from "./sketch.js";
import { Sketch } from "./sketch.js";

function bytesTensor(shape: readonly number[], data: readonly number[]): Tensor {
  return tensor("uint8", shape, Uint8Array.from(data));
}

const long = (count: number): Tensor => float32([1, 1, count], new Float32Array(count));
const ints = (...list: number[]): Tensor => int64([list.length], list);

async function run({ graph, feeds }: Model): Promise<number[]> {
  const [result] = Object.values(await (await openGraph(graph, "test")).run(feeds));
  return Array.from((result as Tensor).data as ArrayLike<number>);
}

/** A 1x1 Conv of one channel: weights `w` at scale 1/2, x at scale 1. */
function pointwise(
  sketch: Sketch,
  x: readonly number[],
  w: readonly number[],
  zeroX: number,
  bias: { readonly data: readonly number[]; readonly scale: number } | null = null,
): Value {
  const real = sketch.dequantize(sketch.input("x", bytesTensor([1, 1, 1, x.length], x)), 1, zeroX);
  const weights = sketch.constant("w", tensor("int8", [w.length, 1, 1, 1], Int8Array.from(w)));
  const inputs = [real, sketch.node("DequantizeLinear", [weights, sketch.real("s_w", 0.5)])];
  if (bias) {
    const data = sketch.constant("b", tensor("int32", [w.length], Int32Array.from(bias.data)));
    inputs.push(sketch.node("DequantizeLinear", [data, sketch.real("s_b", bias.scale)]));
  }
  return sketch.node("Conv", inputs);
}

/** Add of 1, 3, 5 and 0 at scale 1/2, to scale 1. */
function halves(zeroPoint: number): Model {
  const sketch = new Sketch();
  const a = sketch.dequantize(sketch.input("a", bytesTensor([3], [1, 3, 5])), 0.5, 0);
  const b = sketch.dequantize(sketch.input("b", bytesTensor([3], [0, 0, 0])), 0.5, 0);
  return sketch.model(sketch.node("Add", [a, b]), [3], { scale: 1, zeroPoint });
}

describe("integer patterns", () => {
  it("round a convolution half to even, add the zero point after rounding, and saturate", async () => {
    const sketch = new Sketch();
    const y = pointwise(sketch, [2, 3, 4, 5, 6, 0, 255], [1], 1);
    // Sums 1 2 3 4 5 -1 254, halved: 0.5 1 1.5 2 2.5 -0.5 127, then + 3.
    const model = sketch.model(y, [1, 1, 1, 7], { scale: 1, zeroPoint: 3 });
    expect(await run(model)).toEqual([3, 4, 5, 5, 5, 3, 130]);
    const narrow = new Sketch();
    const z = pointwise(narrow, [0, 255], [-127], 0);
    expect(await run(narrow.model(z, [1, 1, 1, 2], { scale: 1, zeroPoint: 9 }))).toEqual([9, 0]);
  });

  it("raise a Relu to the zero point where that is not the lowest integer", async () => {
    const sketch = new Sketch();
    const y = sketch.node("Relu", [pointwise(sketch, [0, 1, 4, 8], [1], 4)]);
    expect(await run(sketch.model(y, [1, 1, 1, 4], { scale: 1, zeroPoint: 5 }))).toEqual([5, 5, 5, 7]);
  });

  it("add a bias as the integers that it is stored as", async () => {
    const sketch = new Sketch();
    const y = pointwise(sketch, [10, 20], [1, 2], 0, { data: [6, -8], scale: 0.5 });
    expect(await run(sketch.model(y, [1, 2, 1, 2], { scale: 0.5, zeroPoint: 0 }))).toEqual([16, 26, 12, 32]);
  });

  it("compute a bias of another scale as it is written, not as integers of the sum", async () => {
    const sketch = new Sketch();
    const y = pointwise(sketch, [10, 20], [1, 2], 0, { data: [6, -8], scale: 1 });
    // 10 * 0.5 + 6, in steps of 0.5.
    expect(await run(sketch.model(y, [1, 2, 1, 2], { scale: 0.5, zeroPoint: 0 }))).toEqual([22, 32, 4, 24]);
  });

  it("add the zero point before rounding in an Add, so that a tie at an odd zero point goes up", async () => {
    // 0.5 1.5 2.5
    expect(await run(halves(0))).toEqual([0, 2, 2]);
    expect(await run(halves(1))).toEqual([2, 2, 4]);
  });

  it("are left alone where something else reads what stands between", async () => {
    const sketch = new Sketch();
    const a = sketch.dequantize(sketch.input("a", bytesTensor([2], [1, 3])), 0.5, 0);
    const b = sketch.dequantize(sketch.input("b", bytesTensor([2], [0, 0])), 0.5, 0);
    const sum = sketch.node("Add", [a, b], {}, "float32", [2]);
    const model = sketch.model(sum, [2], { scale: 1, zeroPoint: 1 });
    sketch.builder.output(sum);
    const results = await (await openGraph(model.graph, "test")).run(model.feeds);
    // As written: 0.5 rounds to 0, then + 1.
    expect(Object.values(results).map((result) => Array.from(result.data as ArrayLike<number>))).toEqual([
      [1, 3],
      [0.5, 1.5],
    ]);
  });

  it("refuse a sum that leaves int32, where runtimes wrap without a word", async () => {
    const sketch = new Sketch();
    const big = 2 ** 31 - 100;
    const y = pointwise(sketch, [200], [1], 0, { data: [big], scale: 0.5 });
    await expect(run(sketch.model(y, [1, 1, 1, 1], { scale: 1, zeroPoint: 0 }))).rejects.toThrow(
      /Conv.*leaves int32.*\[runtime\]/,
    );
  });
});

describe("the reference interpreter", () => {
  it("folds weights that are unpacked from constants, at opening", async () => {
    const sketch = new Sketch();
    const packed = sketch.constant("packed", bytesTensor([2], [0b1010_0101, 0b0000_1111]));
    const shifts = sketch.constant("shifts", bytesTensor([2], [4, 4]));
    const high = sketch.node("BitShift", [packed, shifts], { direction: "RIGHT" }, "uint8", [2]);
    const x = sketch.input("x", bytesTensor([2], [1, 2]));
    const y = sketch.node("BitwiseOr", [high, x], {}, "uint8", [2]);
    expect(await run(sketch.model(y, [2], null))).toEqual([0b1011, 0b0010]);
  });

  it("names the node that it cannot compute, at opening", async () => {
    const sketch = new Sketch();
    const y = sketch.node("Hardmax", [sketch.input("x", float32([2], [1, 2]))]);
    const { graph } = sketch.model(y, [2], null);
    const bytes = encodeModel(graphToModel(graph, { opset: 21, irVersion: 10, producerVersion: "test" }));
    await expect(referenceRuntime.open({ bytes })).rejects.toThrow(
      /Hardmax0 \(Hardmax\).*\[unsupported-op\]/,
    );
  });

  it("refuses an attribute that it would compute wrongly", async () => {
    const sketch = new Sketch();
    const x = sketch.input("x", float32([1, 1, 2, 2], [1, 2, 3, 4]));
    const inputs = [x, null, sketch.reals("scales", [1, 1, 2, 2])];
    const y = sketch.node("Resize", inputs, { mode: "cubic" });
    await expect(run(sketch.model(y, [1, 1, 4, 4], null))).rejects.toThrow(/cubic.*\[unsupported-op\]/);
  });

  it.each([
    [300, 2],
    [-1, 2],
    [Number.NaN, 6],
    [2 ** 31, 6],
  ])("refuses to cast %d to type %d, which ONNX leaves open", async (value, to) => {
    const sketch = new Sketch();
    const x = sketch.input("x", float32([1], [value]));
    const y = sketch.node("Cast", [x], { to }, to === 2 ? "uint8" : "int32");
    await expect(run(sketch.model(y, [1], null))).rejects.toThrow(/clip it first \[runtime\]/);
  });

  it.each<[op: string, inputs: readonly Tensor[], attributes: Readonly<Record<string, Attribute>>]>([
    ["Expand", [long(4), ints(2 ** 20, 2 ** 20, 1)], {}],
    ["Tile", [long(4), ints(1, 2 ** 20, 2 ** 20)], {}],
    ["Pad", [long(4), ints(0, 0, 0, 0, 2 ** 20, 2 ** 20)], {}],
    ["ConstantOfShape", [ints(2 ** 40)], {}],
    ["Resize", [long(4), float32([0], []), float32([3], [1, 1, 2 ** 30])], {}],
    ["Add", [float32([70_000, 1], new Float32Array(70_000)), long(70_000)], {}],
    ["Equal", [float32([70_000, 1], new Float32Array(70_000)), long(70_000)], {}],
    ["MatMul", [float32([70_000, 1], new Float32Array(70_000)), long(70_000)], {}],
    [
      "MatMul",
      [
        float32([70_000, 1, 1, 1], new Float32Array(70_000)),
        float32([70_000, 1, 1], new Float32Array(70_000)),
      ],
      {},
    ],
    [
      "Gemm",
      [float32([70_000, 1], new Float32Array(70_000)), float32([1, 70_000], new Float32Array(70_000))],
      {},
    ],
    ["Conv", [long(4), float32([1, 1, 1], [1])], { pads: [2 ** 30, 2 ** 30] }],
    ["ConvTranspose", [long(4), float32([1, 1, 1], [1])], { strides: [2 ** 30] }],
    ["MaxPool", [long(4)], { kernel_shape: [2], pads: [2 ** 30, 2 ** 30] }],
    [
      "Gather",
      [float32([2, 2 ** 20], new Float32Array(2 ** 21)), ints(...Array.from({ length: 300 }, () => 1))],
      {},
    ],
  ])(
    "refuses %s to make a tensor of more elements than it holds, before it takes memory (%#)",
    async (op, inputs, attributes) => {
      const sketch = new Sketch();
      const values = inputs.map((input, i) =>
        i === 0 ? sketch.input("x", input) : sketch.constant(`c${i}`, input),
      );
      const y = sketch.node(op, values, attributes, op === "Equal" ? "bool" : "float32");
      await expect(run(sketch.model(y, [], null))).rejects.toThrow(
        /\[[\d, ]+\] has \d+ elements, expected at most 268435456 \[invalid-graph\]/,
      );
    },
  );

  it("refuses an index outside, a shape that is no shape, and one too large to hold", async () => {
    const gather = new Sketch();
    const table = gather.constant("table", bytesTensor([3], [1, 2, 3]));
    const index = gather.input("i", tensor("int32", [1], Int32Array.of(3)));
    const picked = gather.node("Gather", [table, index], {}, "uint8");
    await expect(run(gather.model(picked, [1], null))).rejects.toThrow(/got 3, expected -3\.\.2/);

    const expand = new Sketch();
    const huge = tensor("int64", [2], BigInt64Array.of(2n ** 20n, 2n ** 20n));
    const wide = expand.node(
      "Expand",
      [expand.input("x", bytesTensor([1], [1])), expand.constant("to", huge)],
      {},
      "uint8",
    );
    await expect(run(expand.model(wide, [1], null))).rejects.toThrow(/at most.*\[invalid-graph\]/);

    const reshape = new Sketch();
    const six = reshape.input("x", bytesTensor([6], [1, 2, 3, 4, 5, 6]));
    const shape = reshape.constant("to", tensor("int64", [2], BigInt64Array.of(4n, -1n)));
    await expect(
      run(reshape.model(reshape.node("Reshape", [six, shape], {}, "uint8"), [6], null)),
    ).rejects.toThrow(/\[invalid-graph\]/);
  });

  it("checks feeds as every runtime does, and does not run after it was disposed of", async () => {
    const sketch = new Sketch();
    const y = sketch.node("Relu", [sketch.input("x", float32([2], [-1, 2]))], {}, "float32", [2]);
    const { graph, feeds } = sketch.model(y, [2], null);
    const session = await openGraph(graph, "test");
    await expect(session.run({ x: float32([3], [1, 2, 3]) })).rejects.toThrow(/got \[3\], expected \[2\]/);
    await expect(session.run({})).rejects.toThrow(/no feed for input "x"/);
    expect(Object.values(await session.run(feeds))[0]?.data).toEqual(Float32Array.of(0, 2));
    await session.dispose();
    await expect(session.run(feeds)).rejects.toThrow(/disposed/);
  });

  it("converts every float16 to the same bits and back", () => {
    const numbers = Array.from({ length: 65536 }, (_, bits) => bits).filter(
      (bits) => !Number.isNaN(fromFloat16(bits)),
    );
    expect(numbers).toHaveLength(65536 - 2 * 1023);
    expect(numbers.map((bits) => toFloat16(fromFloat16(bits)))).toEqual(numbers);
    // Between 1 and its neighbour 1 + 2^-10: to even at the middle.
    expect(fromFloat16(toFloat16(1 + 2 ** -11))).toBe(1);
    expect(fromFloat16(toFloat16(1 + 3 * 2 ** -11))).toBe(1 + 2 ** -9);
    expect(toFloat16(65519)).toBe(0x7bff);
    expect(toFloat16(65520)).toBe(0x7c00);
  });

  it("computes the error function on both sides of its two series", () => {
    // Abramowitz and Stegun, table 7.1.
    expect(erf(0.5)).toBeCloseTo(0.5204998778, 10);
    expect(erf(-1)).toBeCloseTo(-0.8427007929, 10);
    expect(erf(2)).toBeCloseTo(0.995322265, 9);
    expect(Math.abs(erf(2.4999999999) - erf(2.5000000001))).toBeLessThan(1e-10);
  });
});
