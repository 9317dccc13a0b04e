import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import sharp from "sharp";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type ImageBatch, listImages, loadImages } from "../../src/image/folder.js";
import type { ImageInput } from "../../src/image/to-tensor.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "qdg-folder-"));
});
afterEach(() => rm(folder, { recursive: true }));

async function put(path: string, content: Uint8Array | string = "x"): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), content);
}

/** A 2 x 2 image, all one gray. */
const gray = (level: number): Promise<Buffer> =>
  sharp(new Uint8Array(12).fill(level), { raw: { width: 2, height: 2, channels: 3 } })
    .png()
    .toBuffer();

describe("listImages", () => {
  test("finds images at any depth, in code-unit order, with label and group", async () => {
    const paths = ["b/2.PNG", "b/10.jpg", "a/x/1.jpeg", "Z/1.webp", "top.gif", "b.tiff/1.tif", "é/1.jpg"];
    for (const path of paths) await put(path);
    const entries = await listImages(folder);
    expect(entries.map(({ relativePath, label, group }) => [relativePath, label, group])).toEqual([
      ["Z/1.webp", "Z", ""],
      ["a/x/1.jpeg", "x", "a"],
      ["b.tiff/1.tif", "b.tiff", ""],
      ["b/10.jpg", "b", ""],
      ["b/2.PNG", "b", ""],
      ["top.gif", null, ""],
      ["é/1.jpg", "é", ""],
    ]);
    expect(entries[3]?.path).toBe(join(folder, "b", "10.jpg"));
  });

  test("leaves out hidden files and folders, and files that are no images", async () => {
    for (const path of ["a/1.jpg", "a/.2.jpg", ".cache/3.jpg", "a/readme.txt", "a/jpg", "a/4.svg"]) {
      await put(path);
    }
    expect((await listImages(folder)).map((entry) => entry.relativePath)).toEqual(["a/1.jpg"]);
  });

  test("refuses a folder without an image, naming the endings", async () => {
    await put("notes.txt");
    await expect(listImages(folder)).rejects.toThrow(/no image in it or below.*\.jpg.*\[invalid-data\]$/);
  });

  test("tells a missing folder and a file from a folder", async () => {
    await expect(listImages(join(folder, "none"))).rejects.toThrow(
      expect.objectContaining({ code: "not-found" }),
    );
    await put("file.jpg");
    await expect(listImages(join(folder, "file.jpg"))).rejects.toThrow(/got a file, expected a folder/);
  });

  test("follows a link to an image inside the folder, and a folder that is itself a link", async () => {
    await put("real/a/1.jpg");
    await symlink("1.jpg", join(folder, "real/a/2.jpg"));
    await symlink(join(folder, "real"), join(folder, "link"));
    const entries = await listImages(join(folder, "link"));
    expect(entries.map((entry) => entry.relativePath)).toEqual(["a/1.jpg", "a/2.jpg"]);
  });

  test.each([
    ["a link out of the folder", "1.jpg", "../outside.jpg", /is a link out of the folder/],
    ["a link to nothing", "1.jpg", "gone.jpg", /is a link to nothing/],
    ["a link to a folder, which could be a circle", "again", ".", /is a link to a folder/],
  ])("refuses %s", async (_, name, target, message) => {
    await put("outside.jpg");
    await put("in/0.jpg");
    await symlink(target, join(folder, "in", name));
    await expect(listImages(join(folder, "in"))).rejects.toThrow(message);
    await expect(listImages(join(folder, "in"))).rejects.toThrow(
      expect.objectContaining({ code: "invalid-path", where: join(folder, "in", name) }),
    );
  });
});

describe("loadImages", () => {
  const input: ImageInput = {
    preprocessing: { range: [0, 255], mean: [0], std: [1], resize: "stretch" },
    height: 1,
    width: 2,
    channels: 3,
    layout: "nhwc",
  };

  async function read(
    options: Parameters<typeof loadImages>[2],
    seen: ImageBatch[] = [],
  ): Promise<{ batches: ImageBatch[]; skipped: readonly string[] }> {
    const loading = loadImages(await listImages(folder), input, options);
    for (;;) {
      const next = await loading.next();
      if (next.done) {
        return { batches: seen, skipped: next.value.map((broken) => broken.entry.relativePath) };
      }
      seen.push(next.value);
    }
  }

  test.each([1, 3, 16])("gives all images in order, in batches, with %i at a time", async (concurrency) => {
    for (let i = 0; i < 7; i++) await put(`a/${i}.png`, await gray(10 * i));
    const reports: number[] = [];
    const { batches, skipped } = await read({
      batchSize: 3,
      concurrency,
      progress: { report: (_, done) => reports.push(done) },
    });
    expect(batches.map(({ tensor }) => tensor.shape)).toEqual([
      [3, 1, 2, 3],
      [3, 1, 2, 3],
      [1, 1, 2, 3],
    ]);
    expect(batches.flatMap(({ tensor }) => [...tensor.data])).toEqual(
      [0, 1, 2, 3, 4, 5, 6].flatMap((i) => Array<number>(6).fill(10 * i)),
    );
    expect(batches.flatMap(({ entries }) => entries.map((entry) => entry.relativePath))).toEqual(
      [0, 1, 2, 3, 4, 5, 6].map((i) => `a/${i}.png`),
    );
    expect(skipped).toEqual([]);
    expect(reports).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  test("fails at broken images, naming the first and counting all", async () => {
    for (let i = 0; i < 8; i++) await put(`${i}.png`, i % 2 ? "broken" : await gray(i));
    const seen: ImageBatch[] = [];
    await expect(read({ concurrency: 2 }, seen)).rejects.toThrow(
      /^4 of 8 images: broken: 1\.png: .*; 3\.png: .*; 5\.png: .*; and 1 more; .*--skip-broken \[invalid-data\]$/,
    );
    expect(seen.length).toBe(1);
  });

  test("leaves broken images out when asked to, and says which", async () => {
    for (let i = 0; i < 6; i++) await put(`${i}.png`, i === 1 || i === 4 ? "broken" : await gray(i));
    const told: string[] = [];
    const { batches, skipped } = await read({
      batchSize: 3,
      skipBroken: true,
      onSkipped: ({ entry, reason }) => told.push(`${entry.relativePath} ${reason.includes("decoded")}`),
    });
    expect(skipped).toEqual(["1.png", "4.png"]);
    expect(told).toEqual(["1.png true", "4.png true"]);
    expect(batches.map(({ entries }) => entries.map((entry) => entry.relativePath))).toEqual([
      ["0.png", "2.png", "3.png"],
      ["5.png"],
    ]);
  });

  test("fails when every image is broken, even when they may be left out", async () => {
    await put("0.png", "broken");
    await expect(read({ skipBroken: true })).rejects.toThrow(/1 of 1 images/);
  });

  test("decodes no further when the reader stops", async () => {
    for (let i = 0; i < 5; i++) await put(`${i}.png`, i === 4 ? "broken" : await gray(i));
    for await (const batch of loadImages(await listImages(folder), input, { concurrency: 1 })) {
      expect(batch.entries[0]?.relativePath).toBe("0.png");
      break;
    }
  });

  test.each([
    ["batchSize", { batchSize: 0 }],
    ["concurrency", { concurrency: 1.5 }],
  ])("refuses a %s that is no count", async (name, options) => {
    await put("0.png", await gray(0));
    await expect(read(options)).rejects.toThrow(new RegExp(`^${name}: got .*\\[usage\\]$`));
  });
});
