import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import type { Tensor } from "../../src/base/tensor.js";
import { float32, tensor } from "../../src/base/tensor.js";
import { rangePreprocessing } from "../../src/image/preprocessing.js";
import type { InputOptions, ParityInput } from "../../src/parity/inputs.js";
import { openInputs } from "../../src/parity/inputs.js";
import type { TensorInfo } from "../../src/runtime/runtime.js";
import { inTemporaryFolder, npyOf } from "./tiny-models.js";

const options: InputOptions = {
  count: null,
  seed: 0,
  skipBroken: false,
  layout: "nhwc",
  preprocessing: rangePreprocessing(0, 1),
};
const image: TensorInfo = { name: "image", dtype: "float32", shape: ["N", 4, 6, 3] };

async function all(
  sources: readonly string[],
  inputs: readonly TensorInfo[],
  more: Partial<InputOptions> = {},
): Promise<ParityInput[]> {
  const source = await openInputs(sources, inputs, { ...options, ...more });
  const list: ParityInput[] = [];
  for await (const input of source.read()) list.push(input);
  return list;
}

async function writeImage(folder: string, red: number): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const background = { r: red, g: 0, b: 255 };
  const png = await sharp({ create: { width: 9, height: 7, channels: 3, background } })
    .png()
    .toBuffer();
  writeFileSync(join(folder, `${red}.png`), png);
}

describe("images of a folder", () => {
  it("come one at a time, preprocessed, with their label and group", async () => {
    await inTemporaryFolder(async (folder) => {
      await writeImage(join(folder, "photo", "dog"), 51);
      await writeImage(join(folder, "photo", "cat"), 255);
      const inputs = await all([folder], [image]);
      expect(inputs.map(({ name, label, group }) => [name, label, group])).toEqual([
        ["photo/cat/255.png", "cat", "photo"],
        ["photo/dog/51.png", "dog", "photo"],
      ]);
      const [cat, dog] = inputs.map(({ feeds }) => feeds["image"] as Tensor<"float32">);
      expect(cat?.shape).toEqual([1, 4, 6, 3]);
      expect(Array.from(cat?.data.slice(0, 3) ?? [])).toEqual([1, 0, 1]);
      expect(dog?.data[0]).toBeCloseTo(0.2, 6);
    });
  });

  it("are picked by count, as many of each label as can be", async () => {
    await inTemporaryFolder(async (folder) => {
      for (let i = 0; i < 5; i++) await writeImage(join(folder, "dog"), i);
      for (let i = 0; i < 2; i++) await writeImage(join(folder, "cat"), i);
      const inputs = await all([folder], [image], { count: 4 });
      expect(inputs.map(({ label }) => label)).toEqual(["cat", "cat", "dog", "dog"]);
      const source = await openInputs([folder], [image], { ...options, count: 4 });
      expect(source.description).toBe(`4 of 7 images in ${folder}`);
    });
  });

  it("need a preprocessing, and a model with one image input", async () => {
    await inTemporaryFolder(async (folder) => {
      await writeImage(folder, 1);
      await expect(all([folder], [image], { preprocessing: null })).rejects.toThrow(
        /--preprocess.*\[usage\]/,
      );
      await expect(all([folder], [image, image])).rejects.toThrow(/has 2 inputs.*\[usage\]/);
      await expect(all([folder], [{ ...image, shape: ["N", 7] }])).rejects.toThrow(/\[usage\]/);
    });
  });

  it("that are broken are named, and skipped only when asked", async () => {
    await inTemporaryFolder(async (folder) => {
      await writeImage(folder, 1);
      writeFileSync(join(folder, "broken.png"), "no image");
      await expect(all([folder], [image])).rejects.toThrow(/broken\.png/);
      const skipped: string[] = [];
      const inputs = await all([folder], [image], {
        skipBroken: true,
        onSkipped: ({ entry }) => skipped.push(entry.relativePath),
      });
      expect(inputs.map(({ name }) => name)).toEqual(["1.png"]);
      expect(skipped).toEqual(["broken.png"]);
    });
  });
});

describe("arrays", () => {
  const x: TensorInfo = { name: "x", dtype: "float32", shape: ["N", 2] };
  const index: TensorInfo = { name: "index", dtype: "int64", shape: ["N", 1] };

  it("give one sample a row, by input name", async () => {
    await inTemporaryFolder(async (folder) => {
      const a = join(folder, "a.npy");
      const b = join(folder, "b.npy");
      writeFileSync(a, npyOf(float32([3, 2], [1, 2, 3, 4, 5, 6])));
      writeFileSync(b, npyOf(tensor("int64", [3, 1], BigInt64Array.of(7n, 8n, 9n))));
      const inputs = await all([`x=${a}`, `index=${b}`], [x, index], { count: 2 });
      expect(inputs.map(({ name }) => name)).toEqual(["sample 0", "sample 1"]);
      expect(inputs[1]?.feeds["x"]).toEqual(float32([1, 2], [3, 4]));
      expect(inputs[1]?.feeds["index"]?.data).toEqual(BigInt64Array.of(8n));
      await expect(all([a], [x, index])).rejects.toThrow(/expected name=file\.npy/);
      await expect(all([`x=${a}`], [x, index])).rejects.toThrow(/index: no array for this input/);
      await expect(all([`x=${a}`, `x=${a}`], [x, index])).rejects.toThrow(/once for each input/);
    });
  });

  it("are refused where length, shape or type do not fit", async () => {
    await inTemporaryFolder(async (folder) => {
      const short = join(folder, "short.npy");
      const long = join(folder, "long.npy");
      writeFileSync(short, npyOf(float32([1, 2], [1, 2])));
      writeFileSync(long, npyOf(float32([2, 2], [1, 2, 3, 4])));
      const other: TensorInfo = { ...x, name: "other" };
      await expect(all([`x=${short}`, `other=${long}`], [x, other])).rejects.toThrow(/got 1 and 2 samples/);
      await expect(all([short], [{ ...x, shape: ["N", 3] }])).rejects.toThrow(/got shape \[1, 2\]/);
      await expect(all([short], [{ ...x, dtype: "uint8" }])).rejects.toThrow(/got float32, expected uint8/);
      await expect(all([join(folder, "none.npy")], [x])).rejects.toThrow(/\[not-found\]/);
    });
  });
});

describe("random numbers", () => {
  it("are given only when asked for by name, the same ones for the same seed", async () => {
    const first = await all(["random:3"], [image]);
    const again = await all(["random:3"], [image]);
    const other = await all(["random:3"], [image], { seed: 1 });
    expect(first).toEqual(again);
    expect(first).not.toEqual(other);
    expect(first.map(({ feeds }) => feeds["image"]?.shape)).toEqual([
      [1, 4, 6, 3],
      [1, 4, 6, 3],
      [1, 4, 6, 3],
    ]);
    const data = first.flatMap(({ feeds }) => Array.from(feeds["image"]?.data as Float32Array));
    expect(Math.min(...data)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...data)).toBeLessThanOrEqual(1);
    expect(new Set(data).size).toBeGreaterThan(200);
    await expect(all([], [image])).rejects.toThrow(/--data: got none/);
  });

  it("do not guess a size or an integer input", async () => {
    const open: TensorInfo = { ...image, shape: ["N", "H", "W", 3] };
    await expect(all(["random:1"], [open])).rejects.toThrow(/--input-size/);
    const [sample] = await all(["random:1"], [open], { inputSize: [5, 8] });
    expect(sample?.feeds["image"]?.shape).toEqual([1, 5, 8, 3]);
    await expect(all(["random:1"], [{ ...image, dtype: "int64" }])).rejects.toThrow(/\[usage\]/);
  });

  it("are not drawn for inputs of more elements than the reference computes, alone or together", async () => {
    for (const size of [2 ** 31, 2 ** 50]) {
      await expect(all(["random:1"], [{ ...image, shape: [1, size] }])).rejects.toThrow(
        /^image: its shape \[1, \d+\] has \d+ elements, expected at most 268435456 \[usage\]$/,
      );
    }
    const half = { ...image, shape: [1, 2 ** 27 + 1] };
    await expect(all(["random:1"], [half, { ...half, name: "other" }])).rejects.toThrow(
      /^inputs: .* has 268435458 elements/,
    );
  });
});
