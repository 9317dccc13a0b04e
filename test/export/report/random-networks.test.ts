// The report of networks that nobody would draw, whatever their layers are.

import { expect, test } from "vitest";
import { integerFile } from "../../../src/export/integer-file.js";
import { exportReport } from "../../../src/export/report/export-report.js";
import type { Samples } from "../../../src/export/samples.js";
import { float32, sizeOf } from "../../../src/base/tensor.js";
import type { Value } from "../../../src/graph/graph.js";
import { readLayersModel } from "../../../src/read/layers-model.js";
import { parseSaved, seeded } from "../../support/layers-models.js";
import { quantizeWith } from "../../support/quantize-with.js";
import { randomNetwork } from "../../support/random-networks.js";

/** Of 3 samples. */
function samplesFor(inputs: readonly Value[]): Samples {
  return {
    count: 3,
    async *read() {
      const random = seeded(7);
      for (let i = 0; i < 3; i++) {
        yield Object.fromEntries(
          inputs.map(({ name, shape }) => {
            const sizes = shape.map((dim) => (typeof dim === "number" ? dim : 1));
            const data = Float32Array.from({ length: sizeOf(sizes) }, () => 4 * random() - 2);
            return [name, float32(sizes, data)];
          }),
        );
      }
    },
  };
}

test.each([1, 2, 3, 4, 5, 6])("measures every layer with a quantized weight (seed %i)", async (seed) => {
  const { model, saved } = await randomNetwork(seed, 8);
  model.dispose();
  const { json, weights } = parseSaved(saved);
  const source = readLayersModel(json, weights);
  const samples = samplesFor(source.inputs);
  const quantized = await quantizeWith(source, { bits: 3, activationBits: 5 }, samples);
  const { bytes } = integerFile(quantized.graph, 21, { form: "integer", weights: "packed" }, () => ({}));
  const report = await exportReport({
    path: "r.html",
    floatBytes: bytes.length,
    quantized,
    nearest: quantized.graph,
    samples,
    files: [{ path: "m.onnx", targets: ["cpu"], bytes, form: "integer" }],
    frontier: null,
  });
  const weighted = report.layers.filter(({ weightBits }) => weightBits !== null);
  expect(weighted.length).toBeGreaterThan(0);
  for (const { sqnrDb, nearestSqnrDb } of weighted) {
    expect(sqnrDb).not.toBeNull();
    // The same network twice.
    expect(nearestSqnrDb).toBe(sqnrDb);
  }
  expect(report.parts.reduce((sum, part) => sum + part.bytes, 0)).toBe(bytes.length);
  expect(report.parts.every((part) => part.bytes >= 0)).toBe(true);
  expect(JSON.stringify(report)).not.toMatch(/NaN|Infinity/);
});
