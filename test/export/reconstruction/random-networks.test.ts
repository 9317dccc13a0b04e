// Networks that nobody would draw, dead and huge weights among them, are fitted like any other: what comes out is a
// graph that can be written, whose integers are those of the reference on cpu.

import { expect, test } from "vitest";
import { float32, sizeOf, type Tensor } from "../../../src/base/tensor.js";
import { integerFile } from "../../../src/export/integer-file.js";
import { quantizedTensors } from "../../../src/export/quantized-tensors.js";
import { reconstructWeights } from "../../../src/export/reconstruction/reconstruct-weights.js";
import type { Samples } from "../../../src/export/samples.js";
import type { Value } from "../../../src/graph/graph.js";
import { verifyGraph } from "../../../src/graph/verify.js";
import { decodeModel, encodeModel } from "../../../src/onnx/codec.js";
import { withOutputs } from "../../../src/onnx/with-outputs.js";
import { readLayersModel } from "../../../src/read/layers-model.js";
import { cpuRuntime } from "../../../src/runtime/cpu.js";
import { referenceRuntime } from "../../../src/runtime/reference.js";
import { parseSaved, seeded } from "../../support/layers-models.js";
import { quantizeWith } from "../../support/quantize-with.js";
import { randomNetwork } from "../../support/random-networks.js";

const SEEDS = Array.from({ length: 12 }, (_, i) => i + 100);

function feedsOf(inputs: readonly Value[], seed: number, count: number): Record<string, Tensor>[] {
  const random = seeded(seed);
  return Array.from({ length: count }, () =>
    Object.fromEntries(
      inputs.map(({ name, shape }) => {
        const sizes = shape.map((dim) => (typeof dim === "number" ? dim : 1));
        return [
          name,
          float32(
            sizes,
            Float32Array.from({ length: sizeOf(sizes) }, () => 4 * random() - 2),
          ),
        ];
      }),
    ),
  );
}

test.each(SEEDS)("a random network is fitted (seed %i)", async (seed) => {
  const { saved } = await randomNetwork(seed, 10);
  const { json, weights } = parseSaved(saved);
  const source = readLayersModel(json, weights);
  const feeds = feedsOf(source.inputs, seed, 5);
  const samples: Samples = {
    count: 4,
    async *read() {
      yield* feeds.slice(0, 4);
    },
  };
  const quantized = await quantizeWith(source, { bits: seed % 2 ? 3 : 8, biasCorrection: false }, samples);
  await reconstructWeights(quantized, samples);
  verifyGraph(quantized.graph);
  const { bytes } = integerFile(quantized.graph, 21, { form: "integer", weights: "packed" }, () => ({}));
  const model = decodeModel(bytes, "test");
  const tensors = quantizedTensors(model);
  expect(tensors.length).toBeGreaterThan(1);
  const inner = encodeModel(withOutputs(model, tensors));
  const [cpu, reference] = await Promise.all([
    cpuRuntime.open({ bytes: inner }),
    referenceRuntime.open({ bytes: inner }),
  ]);
  const [got, expected] = [await cpu.run(feeds[4]!), await reference.run(feeds[4]!)];
  await cpu.dispose();
  await reference.dispose();
  // Layers in float between quantizers may move a value by a step; sums of integers may not.
  for (const { name } of tensors) {
    const [a, b] = [got[name]!.data, expected[name]!.data];
    const steps = Array.from(a as Uint8Array, (x, i) => Math.abs(x - Number(b[i])));
    expect(Math.max(...steps), name).toBeLessThanOrEqual(1);
  }
});
