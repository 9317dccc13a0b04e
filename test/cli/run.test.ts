// `qdg run`: JSON lines of images, the same results as parity feeds and ONNX Runtime give, and images that are broken.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SHAPE_LABELS } from "../../src/image/draw-shapes.js";
import { listImages } from "../../src/image/folder.js";
import { GraphBuilder } from "../../src/graph/builder.js";
import { encodeModel } from "../../src/onnx/codec.js";
import { graphToModel } from "../../src/onnx/from-graph.js";
import { openInputs } from "../../src/parity/inputs.js";
import type { ClassifiedImage } from "../../src/parity/classify-images.js";
import { cpuRuntime } from "../../src/runtime/cpu.js";
import { exportShapes, writeDomains } from "../support/certified-models.js";
import { BROWSER } from "../support/needs.js";
import { type CliResult, runCli } from "../support/run-cli.js";
import { newFolder, removeFolder } from "../support/small-models.js";

let folder = "";
let model = "";
let images = "";
let twoInputs = "";

beforeAll(async () => {
  folder = await newFolder();
  model = join(await exportShapes(join(folder, "out")), "model.onnx");
  images = await writeDomains(join(folder, "images"), 6);
  twoInputs = join(folder, "two.onnx");
  const builder = new GraphBuilder("two");
  const inputs = ["a", "b"].map((name) => builder.input(name, ["N", 8, 8, 3]));
  builder.output(builder.node("Add", "sum", inputs, { name: "y", shape: ["N", 8, 8, 3] }));
  await writeFile(
    twoInputs,
    encodeModel(graphToModel(builder.graph, { opset: 21, irVersion: 10, producerVersion: "test" })),
  );
}, 120_000);
afterAll(() => removeFolder(folder));

const lines = ({ stdout }: CliResult): ClassifiedImage[] =>
  stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as ClassifiedImage);

/** Probabilities of every image of the folder, fed as parity does. */
async function expected(): Promise<number[][]> {
  const session = await cpuRuntime.open({ path: model });
  const preprocessing = { range: [0, 1], mean: [0], std: [1], resize: "stretch" } as const;
  const options = { count: null, seed: 0, skipBroken: false, layout: "nhwc", preprocessing } as const;
  const inputs = await openInputs([images], session.inputs, options);
  const rows: number[][] = [];
  for await (const { feeds } of inputs.read()) {
    const output = (await session.run(feeds))["classes"]?.data as Float32Array;
    rows.push(Array.from(output));
  }
  await session.dispose();
  return rows;
}

describe("qdg run", () => {
  test("gives each image of a folder a line with the probabilities that parity's own feeds give", async () => {
    const result = await runCli("run", model, images);
    expect([result.code, result.stderr]).toEqual([0, ""]);
    const found = lines(result);
    expect(found.map(({ file }) => file)).toEqual((await listImages(images)).map(({ path }) => path));
    const rows = await expected();
    expect(found.map(({ probabilities }) => probabilities)).toEqual(rows);
    for (const { label, index, probabilities, top, latencyMs } of found) {
      expect(label).toBe(SHAPE_LABELS[index]);
      expect(top[0]).toEqual([label, Math.max(...probabilities)]);
      expect(top).toHaveLength(5);
      expect(latencyMs).toBeGreaterThan(0);
    }
  });

  test("gives the k most probable classes, on another target, of several files averaged", async () => {
    const [file = ""] = (await listImages(images)).map(({ path }) => path);
    const [one] = lines(await runCli("run", model, file, "--top", "2", "--target", "wasm"));
    expect(one?.top).toHaveLength(2);
    const gpu = join(folder, "out", "model.webgpu.onnx");
    const [two] = lines(await runCli("run", model, gpu, file, "--top", "2"));
    expect(two?.label).toBe(one?.label);
    one?.probabilities.forEach((p, k) => expect(two?.probabilities[k]).toBeCloseTo(p, 5));
  });

  test("says which images are broken, goes on, and exits with 1 unless told to skip them", async () => {
    const broken = join(folder, "broken.png");
    await writeFile(broken, "no image");
    const [file = ""] = (await listImages(images)).map(({ path }) => path);
    const args = ["run", model, broken, join(folder, "none.jpg"), file];
    const result = await runCli(...args);
    expect(lines(result).map((each) => each.file)).toEqual([file]);
    expect(result.stderr.split("\n")).toEqual([
      expect.stringMatching(/^error: .*broken\.png: cannot be decoded as an image/),
      expect.stringMatching(/^error: .*none\.jpg: cannot be read/),
      "",
    ]);
    expect(result.code).toBe(1);
    expect((await runCli(...args, "--skip-broken")).code).toBe(0);
    expect((await runCli("run", model, broken, "--skip-broken")).code).toBe(1);
  });

  test.each<[what: string, args: () => readonly string[], code: number, says: RegExp]>([
    ["no model", () => ["a.png"], 2, /got no \.onnx file/],
    ["no images", () => [model], 2, /got no images/],
    [
      "a model with two inputs",
      () => [twoInputs, images],
      2,
      /two\.onnx: has 2 inputs, expected one that takes images/,
    ],
    [
      "an unknown target",
      () => [model, "a.png", "--target", "gpu"],
      2,
      /--target: got "gpu", expected cpu or wasm/,
    ],
    [
      "no such model",
      () => [join(folder, "none.onnx"), "a.png"],
      1,
      /none\.onnx: cannot be read.*\[not-found\]/,
    ],
    [
      "other labels",
      () => [model, images, "--labels", "a,b"],
      2,
      /one output with a number for each of 2 labels/,
    ],
    ["a label twice", () => [model, images, "--labels", "a,a,b,c,d,e,f"], 2, /two classes of one name/],
  ])("refuses %s", async (_, args, code, says) => {
    const result = await runCli("run", ...args());
    expect(result.stderr).toMatch(says);
    expect([result.code, result.stdout]).toEqual([code, ""]);
  });

  test("refuses the file for hosts on a browser's GPU", BROWSER, async () => {
    const { code, stdout, stderr } = await runCli("run", model, images, "--target", "browser-webgpu");
    expect(stderr).toMatch(
      /model\.onnx \(browser-webgpu\): has nodes .* no WebGPU kernel for; export it with --target webgpu/,
    );
    expect([code, stdout]).toEqual([1, ""]);
  });
});
