// Float files that qdg writes, read back as any ONNX file is: the same numbers, in float and at 8 bits.

import { expect, test } from "vitest";
import { floatFile } from "../../../src/export/float-file.js";
import { FLOAT_PASSES, runPasses } from "../../../src/graph/passes/pipelines.js";
import { decodeModel } from "../../../src/onnx/codec.js";
import { integerFile } from "../../../src/export/integer-file.js";
import { quantizedMetadata } from "../../../src/export/metadata.js";
import { readOnnx } from "../../../src/read/onnx/read-onnx.js";
import { referenceRuntime } from "../../../src/runtime/reference.js";
import { OPERATOR_NETWORKS } from "../../support/operator-networks.js";
import { quantizeWith } from "../../support/quantize-with.js";
import { randomSamples } from "../../support/quantized-models.js";
import { largestDifference } from "../../support/same-outputs.js";

const FACTS = { source: "test", layout: "nhwc", preprocessing: null, labels: null } as const;

test.each(OPERATOR_NETWORKS)("$title", async ({ graph, options = {} }) => {
  const source = await graph();
  const bytes = floatFile(runPasses(source, FLOAT_PASSES), 21);
  const back = readOnnx(decodeModel(bytes), "float.onnx");
  expect(back.inputs.map(({ name, shape }) => [name, shape])).toEqual(
    source.inputs.map(({ name, shape }) => [name, shape]),
  );
  expect(back.outputs.map(({ name }) => name)).toEqual(source.outputs.map(({ name }) => name));
  expect(
    await largestDifference(bytes, floatFile(runPasses(back, FLOAT_PASSES), 21), back, options),
  ).toBeLessThan(1e-5);

  const { graph: quantized, scales } = await quantizeWith(
    back,
    { bits: 8 },
    randomSamples(back.inputs, options),
  );
  const { bytes: integers } = integerFile(quantized, 21, { form: "integer", weights: "packed" }, (lowered) =>
    quantizedMetadata(FACTS, quantized, scales, "integer", lowered),
  );
  expect(
    await largestDifference(integers, integers, back, { ...options, secondRuntime: referenceRuntime }),
  ).toBeLessThan(1e-5);
});
