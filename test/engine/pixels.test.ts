// A run on pixels against the run on the float32 image that is made of them.

import { describe, expect, test } from "vitest";
import { readFileSync } from "node:fs";
import type { Tensor } from "../../src/base/tensor.js";
import { tensor } from "../../src/base/tensor.js";
import { ALL_OPERATORS } from "../../src/compute/operators.js";
import { type EngineNetwork, loadEngine } from "../../src/engine/engine.js";
import { compileModules } from "../../src/engine/module.js";
import type { Graph } from "../../src/graph/graph.js";
import { parsePreprocessing, type Preprocessing } from "../../src/image/preprocessing.js";
import { type ImageInput, imageToTensor, type Layout } from "../../src/image/to-tensor.js";
import { encodeModel, decodeModel } from "../../src/onnx/codec.js";
import { graphToModel } from "../../src/onnx/from-graph.js";
import { modelToGraph } from "../../src/onnx/to-graph.js";
import { overWhite } from "../../src/web/decode-image.js";
import { Random, Sketch } from "../runtime/sketch.js";

const SIDE = 16;

/** An image, quantized, and its first column and row left out, so that memory begins within an image. */
function network(channels: 1 | 3, layout: Layout, scale: number, zeroPoint: number): Graph {
  const sketch = new Sketch();
  const shape = layout === "nhwc" ? [1, SIDE, SIDE, channels] : [1, channels, SIDE, SIDE];
  const x = sketch.builder.input("x", shape, "float32");
  const to = [sketch.real("s", scale), sketch.byte("z", zeroPoint)];
  const q = sketch.node("QuantizeLinear", [x, ...to], {}, "uint8", shape);
  const planes = [1, channels, SIDE, SIDE];
  const image =
    layout === "nhwc" ? sketch.node("Transpose", [q], { perm: [0, 3, 1, 2] }, "uint8", planes) : q;
  const bounds = ["1", "16", "2"].map((name, i) =>
    sketch.constant(
      name,
      tensor(
        "int64",
        [2],
        BigInt64Array.from(
          [
            [1n, 1n],
            [16n, 16n],
            [2n, 3n],
          ][i] as bigint[],
        ),
      ),
    ),
  );
  const y = sketch.node("Slice", [image, ...bounds], {}, "uint8", [1, channels, SIDE - 1, SIDE - 1]);
  sketch.builder.output(y);
  const model = graphToModel(sketch.builder.graph, { opset: 21, irVersion: 10, producerVersion: "test" });
  return modelToGraph(decodeModel(encodeModel(model)));
}

async function loaded(graph: Graph): Promise<EngineNetwork> {
  return loadEngine(graph, await compileModules(readFileSync("dist/engine/simd.wasm"), null), ALL_OPERATORS);
}

function onlyOf(results: ReadonlyMap<unknown, Tensor>): Tensor {
  const [result] = results.values();
  return result as Tensor;
}

const PREPROCESSINGS: Readonly<Record<string, Preprocessing>> = {
  "0,1": parsePreprocessing("0,1"),
  "-1,1": parsePreprocessing("-1,1"),
  "0,255": parsePreprocessing("0,255"),
  "mean and std": parsePreprocessing('{ "range": [0, 255], "mean": [127], "std": [128] }'),
  "the crop": parsePreprocessing('{ "range": [0, 1], "resize": "center-crop" }'),
};
const BY_CHANNEL = parsePreprocessing(
  '{ "range": [0, 1], "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225] }',
);

describe.each(["nhwc", "nchw"] as const)(
  "pixels of a network whose input is %s give what its float32 image gives",
  (layout) => {
    test.each([
      ...Object.entries(PREPROCESSINGS).flatMap(([title, each]) => [
        [title, 3, each] as const,
        [title, 1, each] as const,
      ]),
      ["a mean and std a channel", 3, BY_CHANNEL] as const,
    ])("%s, %i channels", async (_, channels, preprocessing) => {
      const random = new Random(channels);
      for (const [scale, zeroPoint] of [
        [0.0078, 128],
        [1 / 64, 3],
        [1, 0],
      ] as const) {
        const graph = network(channels, layout, scale, zeroPoint);
        const engine = await loaded(graph);
        const input: ImageInput = { preprocessing, height: SIDE, width: SIDE, channels, layout };
        const run = engine.pixelRun(input);
        // All levels in each channel.
        const data = Uint8Array.from(
          { length: SIDE * SIDE * 3 },
          (__, i) => (Math.floor(i / 3) + 85 * (i % 3)) & 255,
        );
        const image = { width: SIDE, height: SIDE, channels: 3, data };
        const expected = engine.run(new Map([[graph.inputs[0], imageToTensor(image, input)]] as never));
        expect(onlyOf(run?.(image) as never)).toEqual(onlyOf(expected));
        const rgba = Uint8ClampedArray.from({ length: SIDE * SIDE * 4 }, () => random.integer(0, 255));
        const white = imageToTensor(overWhite(rgba, SIDE, SIDE), input);
        const expectedWhite = engine.run(new Map([[graph.inputs[0], white]] as never));
        expect(onlyOf(run?.({ data: rgba }) as never)).toEqual(onlyOf(expectedWhite));
      }
    });
  },
);

const input: ImageInput = {
  preprocessing: parsePreprocessing("0,1"),
  height: SIDE,
  width: SIDE,
  channels: 3,
  layout: "nhwc",
};

test("pixels of another size are refused, with what is expected", async () => {
  const run = (await loaded(network(3, "nhwc", 1, 0))).pixelRun(input);
  expect(() => run?.({ data: new Uint8Array(100) })).toThrow(
    "pixels: got 100 bytes, expected 16 x 16 pixels of 3 or 4; resize the image [invalid-data]",
  );
});

test("a network of another shape, or whose input has other readers, takes no pixels", async () => {
  const engine = await loaded(network(3, "nhwc", 1, 0));
  expect(engine.pixelRun({ ...input, height: 8 })).toBeNull();
  expect(engine.pixelRun({ ...input, layout: "nchw" })).toBeNull();
  const graph = network(3, "nhwc", 1, 0);
  expect(
    (await loaded({ ...graph, outputs: [...graph.outputs, ...graph.inputs] })).pixelRun(input),
  ).toBeNull();
});
