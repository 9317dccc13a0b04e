// Windows over volumes and over several images of one sample, against the reference.

import { expect, test } from "vitest";
import { sizeOf, tensor } from "../../src/base/tensor.js";
import { encodeModel } from "../../src/onnx/codec.js";
import { graphToModel } from "../../src/onnx/from-graph.js";
import { engineRuntime } from "../../src/runtime/engine.js";
import { referenceRuntime } from "../../src/runtime/reference.js";
import { type Model, Random, Sketch } from "../runtime/sketch.js";

const TRIALS = 16;

const OPS = [
  "Conv",
  "depthwise Conv",
  "MaxPool",
  "AveragePool",
  "GlobalMaxPool",
  "GlobalAveragePool",
] as const;
type Op = (typeof OPS)[number];

function model(random: Random, op: Op, axes: number, images: number): Model {
  const sketch = new Sketch();
  const list = (low: number, high: number): number[] =>
    Array.from({ length: axes }, () => random.integer(low, high));
  const [sizes, kernel, strides] = [list(3, 7), list(1, 3), list(1, 2)];
  const dilations = op.endsWith("Conv") ? list(1, 1 + random.integer(0, 1)) : list(1, 1);
  const pads = [...kernel, ...kernel].map((k) => random.integer(0, k - 1));
  const output = sizes.map((size, axis) => {
    const extent = (dilations[axis] as number) * ((kernel[axis] as number) - 1) + 1;
    const room = size + (pads[axis] as number) + (pads[axis + axes] as number) - extent;
    return Math.floor(room / (strides[axis] as number)) + 1;
  });
  // A kernel that is larger than its image is another trial.
  if (output.some((size) => size < 1)) return model(random, op, axes, images);
  const group = op === "depthwise Conv" ? random.integer(2, 20) : 1;
  const C = group > 1 ? group : random.integer(1, 20);
  const K = group > 1 ? group : random.integer(1, 10);
  const scale = random.scale();
  const x = sketch.input("x", random.bytes([images, C, ...sizes]));
  const window = { kernel_shape: kernel, strides, pads };
  if (op === "MaxPool") {
    const shape = [images, C, ...output];
    const y = sketch.node("MaxPool", [x], window, "uint8", shape);
    return sketch.model(y, shape, null);
  }
  const ones = [images, C, ...sizes.map(() => 1)];
  if (op === "GlobalMaxPool") {
    return sketch.model(sketch.node("GlobalMaxPool", [x], {}, "uint8", ones), ones, null);
  }
  const real = sketch.dequantize(x, scale, random.integer(0, 255));
  if (op === "GlobalAveragePool") {
    return sketch.model(sketch.node("GlobalAveragePool", [real]), ones, { scale: scale / 3, zeroPoint: 9 });
  }
  if (op === "AveragePool") {
    const include = random.integer(0, 1);
    const y = sketch.node("AveragePool", [real], { ...window, count_include_pad: include });
    return sketch.model(y, [images, C, ...output], { scale: scale * 0.9, zeroPoint: 3 });
  }
  const shape = [K, C / group, ...kernel];
  const weights = Int8Array.from({ length: sizeOf(shape) }, () => random.integer(-64, 63));
  const w = [
    sketch.constant("w", tensor("int8", shape, weights)),
    sketch.real("s", 0.01),
    sketch.constant("z", tensor("int8", [], new Int8Array(1))),
  ];
  const attributes = { ...window, dilations, group };
  const y = sketch.node("Conv", [real, sketch.node("DequantizeLinear", w)], attributes);
  const spread = scale * 0.01 * 40 * Math.sqrt(weights.length / K);
  return sketch.model(y, [images, K, ...output], { scale: spread, zeroPoint: 120 });
}

test.each(
  OPS.flatMap((op) => [[op, 3, 1] as const, [op, 2, 3] as const, [op, 1, 2] as const, [op, 3, 2] as const]),
)("%s along %i axes of %i images is computed exactly", async (op, axes, images) => {
  for (let trial = 0; trial < TRIALS; trial++) {
    const { graph, feeds } = model(new Random(trial), op, axes, images);
    const bytes = encodeModel(graphToModel(graph, { opset: 21, irVersion: 10, producerVersion: "test" }));
    const got = await (await engineRuntime.open({ bytes })).run(feeds);
    const expected = await (await referenceRuntime.open({ bytes })).run(feeds);
    expect(got).toEqual(expected);
  }
});
