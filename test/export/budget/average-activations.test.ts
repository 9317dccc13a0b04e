// Bits of activations for a mean: it holds, bits that somebody gave stay, nothing is worse than the same bits in all of them,
// and what cannot be had is said.

import * as tf from "@tensorflow/tfjs";
import * as fc from "fast-check";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type FreeActivations, withActivationBits } from "../../../src/export/budget/activations.js";
import { exportModel, type ExportResult } from "../../../src/export/export-model.js";
import type { ExportOptions } from "../../../src/export/options.js";
import { rangePreprocessing } from "../../../src/image/preprocessing.js";
import { randomizeWeights, saveLayersModel, saveToFolder, seeded } from "../../support/layers-models.js";
import {
  copyFolder,
  editJson,
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
    preprocessing: rangePreprocessing(-1, 1),
    ...options,
  });
}

test.each([2, 3.5, 4, 8])(
  "the mean over elements is at most %d, and the file is no worse on held-out samples than the same bits in all",
  async (averageActivationBits) => {
    const { chosenActivations, cost } = await exported({ bits: 6, averageActivationBits });
    const { averageBits, written, uniform, mixedSqnrDb, comparedOn, bits } = chosenActivations!;
    expect(averageBits).toBeLessThanOrEqual(averageActivationBits);
    expect(Object.keys(bits).length).toBeGreaterThan(5);
    for (const b of Object.values(bits)) expect([2, 3, 4, 5, 6, 7, 8]).toContain(b);
    expect(uniform.bits).toBe(Math.floor(averageActivationBits));
    expect(comparedOn).toBe("held-out");
    // Of the outputs themselves, while a cost may look at more.
    expect(Math.max(mixedSqnrDb, uniform.sqnrDb)).toBe(written === "mixed" ? mixedSqnrDb : uniform.sqnrDb);
    expect(cost!.samples).toBe(10);
  },
);

test("the trained model of the package, without its scales, is verified and no worse than with the same bits", async () => {
  const shapes = join(folder, "shapes");
  await copyFolder(new URL("../../../models/shapes", import.meta.url).pathname, shapes);
  const path = join(shapes, "model.json");
  await editJson(path, (json: { userDefinedMetadata: { qdg: object } }) => {
    json.userDefinedMetadata.qdg = { ...json.userDefinedMetadata.qdg, quantizers: {} };
    return json;
  });
  const { chosenActivations, verification, bits } = await exported({
    model: path,
    bits: 4,
    averageActivationBits: 4,
  });
  expect(verification).toMatchObject({ integers: expect.any(Number) as number });
  expect(chosenActivations!.averageBits).toBeLessThanOrEqual(4);
  const stored = Object.entries(chosenActivations!.bits).filter(([layer]) => bits[layer]?.[1]);
  expect(stored.length).toBeGreaterThan(1);
  for (const [layer, b] of stored) expect(bits[layer]?.[1]).toBe(b);
});

test("errors of activations fall with their bits, and each of 2 to 8 is measured", async () => {
  const { chosenActivations } = await exported({ bits: 8, averageActivationBits: 4 });
  for (const errors of Object.values(chosenActivations!.sensitivities)) {
    expect(Object.keys(errors)).toEqual(["2", "3", "4", "5", "6", "7", "8"]);
    expect(errors["8"]!).toBeLessThan(errors["2"]!);
  }
});

test("bits that somebody gives to a layer's activations stay, and bits of its weights are no matter", async () => {
  const { chosenActivations, recipe } = await exported({
    bits: 4,
    averageActivationBits: 4,
    layers: { "*relu*": { activationBits: 7 }, "*conv*": { weightBits: 5 } },
  });
  const layers = Object.keys(chosenActivations!.bits);
  expect(layers.length).toBeGreaterThan(0);
  expect(layers.filter((layer) => layer.includes("relu"))).toEqual([]);
  expect(recipe!.rules).toContainEqual({ match: { layer: "*relu*" }, activationBits: 7 });
  expect(recipe!.rules).toContainEqual({ match: { layer: "*conv*" }, weightBits: 5 });
});

test("with a budget of weights both hold, and the search has half of its time for each", async () => {
  const both = await exported({ averageBits: 4, averageActivationBits: 5, searchTime: 1 });
  expect(both.sizeBytes).toBeLessThanOrEqual(both.chosen!.budgetBytes!);
  expect(both.chosenActivations!.averageBits).toBeLessThanOrEqual(5);
  for (const { search } of [both.chosen!, both.chosenActivations!]) {
    expect(search!.gainDb).toBeGreaterThanOrEqual(0);
  }
  const budget = both.sizeBytes;
  const bytes = await exported({ budget, averageActivationBits: 3 });
  expect(bytes.sizeBytes).toBeLessThanOrEqual(budget);
  expect(bytes.chosenActivations!.averageBits).toBeLessThanOrEqual(3);
});

test("functions that are tables, branches, pools and sizes that the model leaves open get bits each", async () => {
  const input = tf.input({ shape: [null, null, 3] });
  const conv = (filters: number, name: string): ReturnType<typeof L.conv2d> =>
    L.conv2d({ filters, kernelSize: 3, padding: "same", name });
  const swish = L.activation({ activation: "swish", name: "swish" }).apply(conv(8, "first").apply(input));
  const left = conv(8, "left").apply(swish);
  const right = L.maxPooling2d({ poolSize: 3, strides: 1, padding: "same", name: "pool" }).apply(swish);
  const sum = L.add({ name: "sum" }).apply([left, right] as tf.SymbolicTensor[]);
  const joined = L.concatenate({ name: "joined" }).apply([sum, swish] as tf.SymbolicTensor[]);
  const mean = L.globalAveragePooling2d({ name: "mean" }).apply(conv(8, "inner").apply(joined));
  const output = L.dense({ units: 5, activation: "softmax", name: "last" }).apply(mean);
  const network = tf.model({ inputs: input, outputs: output as tf.SymbolicTensor });
  randomizeWeights(network, seeded(6));
  const saved = await saveToFolder(await saveLayersModel(network));
  try {
    const { chosenActivations } = await exported({
      model: saved.path,
      inputSize: [16, 16],
      bits: 6,
      averageActivationBits: 4,
    });
    expect(Object.keys(chosenActivations!.bits).sort()).toEqual([
      "first",
      "inner",
      "joined",
      "left",
      "mean",
      "sum",
      "swish",
    ]);
    expect(chosenActivations!.averageBits).toBeLessThanOrEqual(4);
  } finally {
    await removeFolder(saved.folder);
  }
});

const group = (layer: string): FreeActivations => ({ values: [{ layer, name: layer }], from: 0 });

test("chosen bits keep what options say of weights, and plain names stand behind those that are patterns", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.constantFrom("a", "b", "a*", "c*d", "e"), { minLength: 1 }),
      fc.array(fc.integer({ min: 2, max: 8 }), { minLength: 5, maxLength: 5 }),
      (names, bits) => {
        const all = withActivationBits({ a: { weightBits: 3 } }, names.map(group), bits);
        expect(all["a"]?.weightBits).toBe(3);
        names.forEach((name, i) => expect(all[name]?.activationBits).toBe(bits[i]));
        const added = Object.keys(all).filter((name) => name !== "a");
        const patterns = added.map((name) => name.includes("*"));
        expect(patterns).toEqual([...patterns].sort((x, y) => Number(y) - Number(x)));
      },
    ),
  );
});

test.each<[string, Partial<ExportOptions>, RegExp]>([
  [
    "less than 2 bits",
    { averageActivationBits: 1.5 },
    /--average-activation-bits: got 1.5, expected a number from 2 to 8/,
  ],
  [
    "more than 8 bits",
    { averageActivationBits: 9 },
    /--average-activation-bits: got 9, expected a number from 2 to 8/,
  ],
  [
    "no number",
    { averageActivationBits: Number.NaN },
    /--average-activation-bits: got NaN, expected a number from 2 to 8/,
  ],
  [
    "bits of activations beside it",
    { averageActivationBits: 4, activationBits: 4 },
    /--activation-bits: got 4, and --average-activation-bits/,
  ],
  [
    "an agreement",
    { averageActivationBits: 4, minAgreement: 90 },
    /--average-activation-bits: got --min-agreement too/,
  ],
  ["a float file", { averageActivationBits: 4, float: true }, /--average-activation-bits: got --float too/],
  [
    "no samples",
    { averageActivationBits: 4, calibration: [] },
    /--average-activation-bits: got no samples to measure layers on; give --calibration, or --activation-bits/,
  ],
  [
    "no activation left",
    { averageActivationBits: 4, layers: { "*": { activationBits: 4 } } },
    /--average-activation-bits: got 4, but no activation to choose bits for/,
  ],
])("%s is an error that says what to do", async (_, options, says) => {
  await expect(exported({ bits: 4, ...options })).rejects.toThrow(says);
});

test("learned scales have their bits: the option is refused by name", async () => {
  const path = await writeResnet(join(folder, "learned"), {});
  const scales = await madeUpScales(path, { weightBits: 4, activationBits: 8 });
  const learned = await writeResnet(join(folder, "learned"), {}, { userDefinedMetadata: { qdg: scales } });
  await expect(exported({ model: learned, averageActivationBits: 4 })).rejects.toThrow(
    /--average-activation-bits: the model's bits and scales were learned/,
  );
});
