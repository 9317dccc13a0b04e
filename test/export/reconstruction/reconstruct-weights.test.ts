// The whole way: an exported file whose weights were fitted is nearer to the float network than one whose weights were
// rounded, keeps to its bits and pairs, and says what it did not fit.

import * as tf from "@tensorflow/tfjs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exportModel, type ExportResult } from "../../../src/export/export-model.js";
import type { ExportOptions } from "../../../src/export/options.js";
import { rangePreprocessing } from "../../../src/image/preprocessing.js";
import { randomizeWeights, saveLayersModel, saveToFolder, seeded } from "../../support/layers-models.js";
import {
  madeUpScales,
  newFolder,
  removeFolder,
  writeImages,
  writeResnet,
} from "../../support/small-models.js";

const L = tf.layers;
let folder = "";
let images = "";
let model = "";
beforeAll(async () => {
  folder = await newFolder();
  images = await writeImages(join(folder, "images"), 30);
  model = await writeResnet(join(folder, "model"), { width: 8 });
});
afterAll(() => removeFolder(folder));

function exported(options: Partial<ExportOptions>): Promise<ExportResult> {
  return exportModel({
    model,
    output: join(folder, "out.onnx"),
    force: true,
    calibration: [images],
    calibrationCount: 20,
    heldOutCount: 10,
    preprocessing: rangePreprocessing(-1, 1),
    ...options,
  });
}

describe.each([
  { bits: 3, gain: 2 },
  { bits: 4, gain: 2 },
  { bits: 6, gain: 2 },
])("at $bits bits", ({ bits, gain }) => {
  test(`fitted weights are ${gain} dB nearer to the float network than rounded ones`, async () => {
    const fitted = await exported({ bits });
    const nearest = await exported({ bits, ptq: "nearest" });
    expect(fitted.cost!.sqnrDb).toBeGreaterThan(nearest.cost!.sqnrDb + gain);
    expect(Math.abs(fitted.sizeBytes - nearest.sizeBytes)).toBeLessThan(600);
    expect(fitted.bits).toEqual(nearest.bits);
  });
});

test("8-bit weights, of which pairs are bound, lose less than 2 dB on twenty small images", async () => {
  const fitted = await exported({ bits: 8 });
  const nearest = await exported({ bits: 8, ptq: "nearest" });
  expect(fitted.cost!.sqnrDb).toBeGreaterThan(nearest.cost!.sqnrDb - 2);
});

test("two exports of one model are the same bytes", async () => {
  await exported({ bits: 4, output: join(folder, "a.onnx") });
  await exported({ bits: 4, output: join(folder, "b.onnx") });
  const [first, second] = await Promise.all(["a", "b"].map((name) => readFile(join(folder, `${name}.onnx`))));
  expect(second!.equals(first!)).toBe(true);
});

test("depthwise, grouped by separable, transposed, one-dimensional and dense layers are fitted", async () => {
  const network = tf.sequential({
    layers: [
      L.conv2d({ inputShape: [12, 12, 3], filters: 8, kernelSize: 3, activation: "relu" }),
      L.depthwiseConv2d({ kernelSize: 3, padding: "same", activation: "relu" }),
      L.separableConv2d({ filters: 8, kernelSize: 3, activation: "relu" }),
      L.conv2dTranspose({ filters: 6, kernelSize: 3, strides: 2, padding: "same", activation: "relu" }),
      L.reshape({ targetShape: [256, 6] }),
      L.conv1d({ filters: 6, kernelSize: 5, strides: 3, activation: "relu" }),
      L.flatten(),
      L.dense({ units: 12, activation: "relu" }),
      L.dense({ units: 4 }),
    ],
  });
  randomizeWeights(network, seeded(4));
  const saved = await saveToFolder(await saveLayersModel(network));
  try {
    const options = { model: saved.path, bits: 2, firstLastBits: 8, inputSize: [12, 12] as const };
    const fitted = await exported(options);
    const nearest = await exported({ ...options, ptq: "nearest" });
    expect(fitted.cost!.sqnrDb).toBeGreaterThan(nearest.cost!.sqnrDb);
    expect(fitted.warnings.filter((line) => line.includes("rounded to nearest"))).toEqual([]);
  } finally {
    await removeFolder(saved.folder);
  }
});

test("a layer that is called twice keeps rounded weights, and that is said", async () => {
  const input = tf.input({ shape: [16, 16, 3] });
  const first = L.conv2d({ filters: 3, kernelSize: 3, padding: "same", name: "first" }).apply(input);
  const shared = L.conv2d({ filters: 3, kernelSize: 3, padding: "same", name: "shared", activation: "relu" });
  const twice = shared.apply(shared.apply(first)) as tf.SymbolicTensor;
  const output = L.dense({ units: 3, name: "last" }).apply(L.flatten().apply(twice)) as tf.SymbolicTensor;
  const network = tf.model({ inputs: input, outputs: output });
  randomizeWeights(network, seeded(5));
  const saved = await saveToFolder(await saveLayersModel(network));
  try {
    const { warnings } = await exported({ model: saved.path, bits: 4 });
    expect(warnings).toContainEqual(
      "rounded to nearest, not fitted, for weights that several calls share: shared, shared",
    );
  } finally {
    await removeFolder(saved.folder);
  }
});

test("a layer whose inputs are too large to multiply in float32 keeps rounded weights, and that is said", async () => {
  const network = tf.sequential({
    layers: [
      L.conv2d({ inputShape: [16, 16, 3], filters: 4, kernelSize: 3, activation: "relu", name: "large" }),
      L.conv2d({ filters: 4, kernelSize: 3, name: "after", activation: "relu" }),
      L.flatten(),
      L.dense({ units: 3 }),
    ],
  });
  randomizeWeights(network, seeded(6));
  const large = network.getLayer("large");
  large.setWeights(large.getWeights().map((weight) => weight.mul(1e25)));
  const saved = await saveToFolder(await saveLayersModel(network));
  try {
    const { warnings } = await exported({ model: saved.path, bits: 4 });
    expect(
      warnings.some((line) => /not fitted, for values whose products leave float32: after/.test(line)),
    ).toBe(true);
  } finally {
    await removeFolder(saved.folder);
  }
});

test("calibration images that are all black give finite weights", async () => {
  const black = join(folder, "black.npy");
  const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 16, 16, 3), }";
  const padded = header.padEnd(117, " ") + "\n";
  const prefix = Buffer.from([0x93, ...Buffer.from("NUMPY"), 1, 0, padded.length & 255, padded.length >> 8]);
  await writeFile(black, Buffer.concat([prefix, Buffer.from(padded), Buffer.alloc(4 * 16 * 16 * 3 * 4)]));
  const { cost } = await exported({ bits: 4, calibration: [black] });
  expect(Number.isFinite(cost!.sqnrDb)).toBe(true);
});

test.each([
  {
    options: { ptq: "reconstruct", calibration: [] },
    says: /--ptq reconstruct: got no samples .* \[usage\]/,
  },
  { options: { ptq: "reconstruct", powerOfTwo: true }, says: /--ptq reconstruct: got --scales pow2/ },
] as const)("$says", async ({ options, says }) => {
  await expect(exported({ bits: 4, ...options })).rejects.toThrow(says);
});

test("learned integers are never fitted: asking for it is wrong usage", async () => {
  const path = await writeResnet(join(folder, "learned"), {});
  const learned = await madeUpScales(path, { weightBits: 4, activationBits: 8 });
  await writeResnet(join(folder, "learned"), {}, { userDefinedMetadata: { qdg: learned } });
  await expect(exported({ model: path, ptq: "nearest" })).rejects.toThrow(
    /--ptq: got nearest, but .* learned/,
  );
  const result = await exported({ model: path });
  expect(result.scales).toBe("learned");
});

test("a layer with a scale of its own, Rescaling, does not lend its name to a quantizer's", async () => {
  const rescaled = tf.sequential({
    layers: [
      L.rescaling({ inputShape: [16, 16, 3], scale: 0.5, offset: 0.1 }),
      L.conv2d({ filters: 4, kernelSize: 3 }),
      L.globalAveragePooling2d({}),
    ],
  });
  randomizeWeights(rescaled, seeded(3));
  const saved = await saveToFolder(await saveLayersModel(rescaled));
  const result = await exported({ model: saved.path, bits: 8 });
  expect(result.cost!.sqnrDb).toBeGreaterThan(20);
  await removeFolder(saved.folder);
});
