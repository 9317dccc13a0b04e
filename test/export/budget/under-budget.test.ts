// The whole way under a budget: sizes hold, the bits go where they help, nothing is worse than the same bits everywhere,
// and what cannot be had is said.

import * as tf from "@tensorflow/tfjs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { better } from "../../../src/export/budget/compare-files.js";
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
    calibrationCount: 12,
    heldOutCount: 10,
    verify: false,
    preprocessing: rangePreprocessing(-1, 1),
    ...options,
  });
}

test.each([2, 4])(
  "--average-bits %i is no larger than --bits, and no worse on held-out samples",
  async (bits) => {
    const uniform = await exported({ bits });
    const mixed = await exported({ averageBits: bits });
    expect(mixed.sizeBytes).toBeLessThanOrEqual(uniform.sizeBytes);
    const { chosen } = mixed;
    expect(chosen?.uniform).toMatchObject({ bits, sizeBytes: uniform.sizeBytes });
    const writtenDb = chosen!.written === "mixed" ? chosen!.mixedSqnrDb! : chosen!.uniform!.sqnrDb;
    expect(writtenDb).toBe(Math.max(chosen!.mixedSqnrDb!, chosen!.uniform!.sqnrDb));
    for (const [layer, b] of Object.entries(chosen!.bits)) expect(mixed.bits[layer]?.[0]).toBe(b);
  },
);

test("bits by layer are written unless the same bits everywhere have less error", () => {
  expect(better(0.1, 0.2)).toBe("mixed");
  expect(better(0.1, 0.1)).toBe("mixed");
  expect(better(0.1, null)).toBe("mixed");
  expect(better(0.2, 0.1)).toBe("uniform");
});

test("without held-out samples the two are compared on those of calibration", async () => {
  const { chosen, cost } = await exported({ averageBits: 4, heldOutCount: 0 });
  expect(cost).toBeNull();
  expect(chosen?.comparedOn).toBe("calibration");
  expect((await exported({ averageBits: 4 })).chosen?.comparedOn).toBe("held-out");
});

test("a mean between two bits lies between their sizes, and all of a budget is used but for a step of a layer", async () => {
  const [low, high] = [await exported({ bits: 3 }), await exported({ bits: 4 })];
  const { sizeBytes, chosen } = await exported({ averageBits: 3.5 });
  expect(chosen?.budgetBytes).toBeGreaterThan(low.sizeBytes - 200);
  expect(chosen?.budgetBytes).toBeLessThan(high.sizeBytes + 200);
  expect(sizeBytes).toBeLessThanOrEqual(chosen!.budgetBytes!);
  expect(chosen?.uniform?.bits).toBe(3);
});

test("the file of a budget is no larger, whatever the budget", async () => {
  const { sizeBytes: most } = await exported({ bits: 8 });
  const { sizeBytes: least } = await exported({ bits: 2, firstLastBits: 2 });
  for (const share of [0.1, 0.6]) {
    const budget = Math.round(least + share * (most - least));
    const { sizeBytes, recipe, chosen } = await exported({ budget });
    expect(sizeBytes).toBeLessThanOrEqual(budget);
    expect(sizeBytes).toBeGreaterThan(0.9 * budget);
    expect(chosen?.option).toBe("--budget");
    expect(recipe?.rules.length).toBeGreaterThan(1);
  }
});

test("bits that somebody gives to a layer stay, and the rest is shared out around them", async () => {
  const { bits, chosen } = await exported({
    averageBits: 4,
    firstLastBits: 8,
    layers: { "*conv1*": { weightBits: 6 } },
  });
  const named = Object.entries(bits).filter(([layer]) => layer.includes("conv1"));
  expect(named.length).toBeGreaterThan(0);
  for (const [layer, [weightBits]] of named) {
    expect(weightBits).toBe(6);
    expect(chosen!.bits).not.toHaveProperty(layer);
  }
});

test("errors of layers fall with their bits, and are measured for every layer that is free", async () => {
  const { chosen, bits } = await exported({ averageBits: 4 });
  expect(Object.keys(chosen!.sensitivities).sort()).toEqual(Object.keys(bits).sort());
  for (const errors of Object.values(chosen!.sensitivities)) {
    expect(Object.keys(errors)).toEqual(["2", "3", "4", "5", "6", "8"]);
    expect(errors["8"]!).toBeLessThan(errors["2"]!);
    expect(errors["2"]!).toBeGreaterThan(0);
  }
});

test("a search is never worse on its samples than what it starts from, and keeps to the size", async () => {
  const { chosen, sizeBytes } = await exported({ averageBits: 3, searchTime: 2 });
  expect(sizeBytes).toBeLessThanOrEqual(chosen!.budgetBytes!);
  expect(chosen!.search!.trials).toBeGreaterThan(0);
  expect(chosen!.search!.gainDb).toBeGreaterThanOrEqual(0);
});

test("the smallest file that agrees as often as asked does, and a lower wish gives no larger one", async () => {
  const modest = await exported({ minAgreement: 60 });
  expect(modest.cost!.agreement!).toBeGreaterThanOrEqual(0.6);
  const strict = await exported({ minAgreement: 90 });
  expect(strict.cost!.agreement!).toBeGreaterThanOrEqual(0.9);
  expect(modest.sizeBytes).toBeLessThanOrEqual(strict.sizeBytes);
});

test("layers in a row of depthwise, separable, shared, transposed and table get bits each", async () => {
  const input = tf.input({ shape: [16, 16, 3] });
  const first = L.conv2d({ filters: 8, kernelSize: 3, strides: 2, activation: "relu", name: "first" }).apply(
    input,
  );
  const depthwise = L.depthwiseConv2d({ kernelSize: 3, activation: "relu", name: "depthwise" }).apply(first);
  const separable = L.separableConv2d({
    filters: 8,
    kernelSize: 3,
    padding: "same",
    name: "separable",
  }).apply(depthwise);
  const shared = L.conv2d({ filters: 8, kernelSize: 3, padding: "same", name: "shared", activation: "relu" });
  const twice = shared.apply(shared.apply(separable));
  const up = L.conv2dTranspose({ filters: 4, kernelSize: 3, strides: 2, name: "up" }).apply(twice);
  const output = L.dense({ units: 5, activation: "softmax", name: "last" }).apply(L.flatten().apply(up));
  const network = tf.model({ inputs: input, outputs: output as tf.SymbolicTensor });
  randomizeWeights(network, seeded(6));
  const saved = await saveToFolder(await saveLayersModel(network));
  try {
    const options = { model: saved.path, inputSize: [16, 16] as const };
    const { chosen, sizeBytes } = await exported({ ...options, averageBits: 4 });
    expect(Object.keys(chosen!.bits)).toEqual(["first", "depthwise", "separable", "shared", "up", "last"]);
    expect(sizeBytes).toBeLessThanOrEqual((await exported({ ...options, bits: 4 })).sizeBytes);
  } finally {
    await removeFolder(saved.folder);
  }
});

test.each<[string, Partial<ExportOptions>, RegExp]>([
  [
    "a budget below what 2 bits take",
    { budget: 2000 },
    /--budget: got 2 kB, but with 2 bits in every layer that is free the file takes [\d.]+ kB/,
  ],
  [
    "an agreement that 8 bits do not reach",
    { minAgreement: 100, activationBits: 2, firstLastBits: 2 },
    /--min-agreement: got 100 %, but the best of \d+ sizes .* reaches [\d.]+ % on 10 held-out samples/,
  ],
  [
    "an agreement of nothing held out",
    { minAgreement: 90, heldOutCount: 0 },
    /--min-agreement: got --held-out 0/,
  ],
  [
    "no samples",
    { budget: 50_000, calibration: [] },
    /--budget: got no samples to measure layers on; give --calibration/,
  ],
  ["two goals", { budget: 50_000, averageBits: 4 }, /--average-bits: got 4, and --budget too/],
  ["bits beside a budget", { budget: 50_000, bits: 4 }, /--bits: got 4, and --budget/],
  ["a float file", { averageBits: 4, float: true }, /--average-bits: got --float too/],
  ["weights in bytes", { averageBits: 4, weights: "int8" }, /--average-bits: got --weights int8/],
  ["more bits than there are", { averageBits: 9 }, /--average-bits: got 9, expected a number from 2 to 8/],
  ["a search for nothing", { bits: 4, searchTime: 3 }, /--search-time: betters the bits/],
  [
    "no layer left",
    { averageBits: 4, layers: { "*": { weightBits: 4 } } },
    /--average-bits: got no layer to choose bits for/,
  ],
])("%s is an error that says what to do", async (_, options, says) => {
  await expect(exported(options)).rejects.toThrow(says);
});

test("learned scales have their bits: every option of a budget is refused by name", async () => {
  const path = await writeResnet(join(folder, "learned"), {});
  const scales = await madeUpScales(path, { weightBits: 4, activationBits: 8 });
  const learned = await writeResnet(join(folder, "learned"), {}, { userDefinedMetadata: { qdg: scales } });
  for (const [name, options] of [
    ["--budget", { budget: 50_000 }],
    ["--average-bits", { averageBits: 4 }],
    ["--min-agreement", { minAgreement: 90 }],
    ["--average-bits", { averageBits: 4, calibration: [] }],
  ] as const) {
    await expect(exported({ model: learned, ...options })).rejects.toThrow(
      new RegExp(`${name}: the model's bits and scales were learned`),
    );
  }
});
