// Calibration on drawn images: which models it is for, what it says, and that nothing of it is left to chance.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { exportModel, type ExportResult } from "../../src/export/export-model.js";
import { withDefaults } from "../../src/export/options.js";
import { openSamples, type Samples } from "../../src/export/samples.js";
import { GraphBuilder } from "../../src/graph/builder.js";
import type { Dim } from "../../src/graph/graph.js";
import { rangePreprocessing } from "../../src/image/preprocessing.js";
import { editJson, madeUpScales, newFolder, removeFolder, writeResnet } from "../support/small-models.js";

const facts = { layout: "nhwc", preprocessing: rangePreprocessing(-1, 1) } as const;
const options = withDefaults({ model: "m", output: "o", calibrationCount: 3, heldOutCount: 2 });

let folder = "";
let model = "";
beforeAll(async () => {
  folder = await newFolder();
  model = await writeResnet(join(folder, "model"));
});
afterAll(() => removeFolder(folder));

function inputs(...shapes: readonly (readonly Dim[])[]): Parameters<typeof openSamples>[1] {
  const net = new GraphBuilder("images");
  return shapes.map((shape, i) => net.input(`x${i}`, shape));
}

async function all(samples: Samples): Promise<string[]> {
  const found: string[] = [];
  for await (const { x0 } of samples.read()) found.push(JSON.stringify([x0?.shape, ...(x0?.data ?? [])]));
  return found;
}

test("so many images are drawn as are asked for, of the input's shape and range, no two the same, the same each time", async () => {
  const { calibration, heldOut } = await openSamples(["synthetic"], inputs(["N", 8, 12, 1]), facts, options);
  expect([calibration.count, heldOut.count]).toEqual([3, 2]);
  const first = [...(await all(calibration)), ...(await all(heldOut))];
  expect(new Set(first).size).toBe(5);
  expect([...(await all(calibration)), ...(await all(heldOut))]).toEqual(first);
  const [shape, ...values] = JSON.parse(first[0] as string) as [number[], ...number[]];
  expect(shape).toEqual([1, 8, 12, 1]);
  expect([Math.min(...values) < -0.5, Math.max(...values) > 0.5]).toEqual([true, true]);
  expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(1);
  const other = await openSamples(["synthetic"], inputs(["N", 8, 12, 1]), facts, { ...options, seed: 1 });
  expect(await all(other.calibration)).not.toEqual(first.slice(0, 3));
});

test.each([
  [
    "a model with two inputs",
    ["synthetic"],
    [
      ["N", 8, 8, 3],
      ["N", 4],
    ],
    /synthetic: draws images for a model with one input, got 2; give .npy files instead .* \[usage\]/,
  ],
  [
    "a model whose input holds no images",
    ["synthetic"],
    [["N", 40]],
    /x0: got an input of shape \[N, 40\], expected .* give .npy files instead \[usage\]/,
  ],
  [
    "drawn images beside others",
    ["synthetic", "photos"],
    [["N", 8, 8, 3]],
    /--calibration: got synthetic, photos, expected synthetic \(drawn images\) alone; a folder of that name is .\/synthetic \[usage\]/,
  ],
] as const)("%s is an error", async (_, sources, shapes, says) => {
  await expect(openSamples(sources, inputs(...shapes), facts, options)).rejects.toThrow(says);
});

test("a folder of that name is named with its path", async () => {
  await expect(openSamples(["./synthetic"], inputs(["N", 8, 8, 3]), facts, options)).rejects.toThrow(
    /synthetic: cannot be read: there is no such file/,
  );
});

test("an export on drawn images warns, and so does the cost; a second one gives the same bytes", async () => {
  const run = (name: string): Promise<ExportResult> =>
    exportModel({
      model,
      output: join(folder, name),
      bits: 4,
      preprocessing: facts.preprocessing,
      calibration: ["synthetic"],
      calibrationCount: 4,
      heldOutCount: 2,
    });
  const { warnings, cost, scales } = await run("a.onnx");
  expect(scales).toBe("calibrated");
  expect(cost).toMatchObject({ samples: 2, drawn: true });
  expect(warnings[0]).toMatch(/^calibrated on drawn images.*real ones.*The cost is measured on drawn images/);
  await run("b.onnx");
  expect((await readFile(join(folder, "b.onnx"))).equals(await readFile(join(folder, "a.onnx")))).toBe(true);
});

test("with learned scales nothing is calibrated, and only the cost is said to be of drawn images", async () => {
  const learned = await writeResnet(join(folder, "learned"));
  const qdg = await madeUpScales(learned, { weightBits: 3, activationBits: 3 });
  await editJson(learned, (json: object) => ({ ...json, userDefinedMetadata: { qdg } }));
  const { warnings } = await exportModel({
    model: learned,
    output: join(folder, "learned.onnx"),
    preprocessing: facts.preprocessing,
    calibration: ["synthetic"],
    heldOutCount: 2,
  });
  expect(warnings).toContainEqual(expect.stringMatching(/^The cost is measured on drawn images; /));
});
