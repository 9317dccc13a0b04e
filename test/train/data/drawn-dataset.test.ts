import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { STYLES } from "../../../src/image/draw-styles.js";
import { DRAWN_SET_NAMES, DRAWN_SETS } from "../../../src/image/drawn-sets.js";
import { writeDrawnDataset } from "../../../src/train/data/drawn-dataset.js";
import { domainNames, openDataset } from "../../../src/train/data/open-dataset.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "qdg-shapes-"));
});
afterEach(() => rm(folder, { recursive: true }));

describe.each(DRAWN_SET_NAMES)("%s", (name) => {
  const { labels: classes } = DRAWN_SETS[name];

  test("has a style a domain and its classes, class by class, at any size and count", async () => {
    const reports: [number, number][] = [];
    const progress = { report: (_: string, done: number, total: number) => reports.push([done, total]) };
    const set = await openDataset(name, { imageSize: 16, shapes: { perClass: 3 } }, progress);
    expect(set.classes).toEqual([...classes]);
    expect(set.domains.map((domain) => domain.name)).toEqual([...STYLES].sort());
    expect(await domainNames(name)).toEqual(STYLES);
    const count = 3 * classes.length;
    for (const { count: images, labels, pixels } of set.domains) {
      expect([images, pixels.length]).toEqual([count, count * 16 * 16 * 3]);
      expect([...labels]).toEqual(classes.flatMap((_, label) => [label, label, label]));
      expect(pixels.buffer).toBeInstanceOf(SharedArrayBuffer);
    }
    const images = set.domains.flatMap((domain) => domain.files.map((_, i) => domain.image(i).join()));
    expect(new Set(images).size).toBe(4 * count);
    expect(set.domains[0]?.files[4]).toBe(`flat/${classes[1]}/00001.png`);
    expect(reports.at(-1)).toEqual([4 * count, 4 * count]);
  });

  test("begins with the smaller set, class by class, and is another for another seed", async () => {
    const few = await openDataset(name, { imageSize: 12, shapes: { perClass: 2 } });
    const more = await openDataset(name, { imageSize: 12, shapes: { perClass: 3 } });
    const other = await openDataset(name, { imageSize: 12, shapes: { perClass: 2, seed: 1 } });
    for (const [d, domain] of few.domains.entries()) {
      for (let i = 0; i < domain.count; i++) {
        const [label, index] = [Math.floor(i / 2), i % 2];
        expect(more.domains[d]?.image(label * 3 + index)).toEqual(domain.image(i));
        expect(other.domains[d]?.image(i)).not.toEqual(domain.image(i));
      }
    }
  });

  test("written as files opens as the same set", async () => {
    const made = join(folder, "set");
    const shapes = { perClass: 2, seed: 5 };
    expect(await writeDrawnDataset(name, made, 10, shapes)).toBe(8 * classes.length);
    const drawn = await openDataset(name, { imageSize: 10, shapes });
    const read = await openDataset(made, { imageSize: 10, cacheFolder: null });
    expect(read.classes).toEqual(drawn.classes);
    read.domains.forEach((domain, d) => {
      const { name: style, files, labels, pixels } = drawn.domains[d] as (typeof drawn.domains)[number];
      expect([domain.name, domain.files, domain.labels]).toEqual([style, files, labels]);
      expect(Buffer.compare(domain.pixels, pixels)).toBe(0);
    });
  });

  test("is not written among other files", async () => {
    await writeFile(join(folder, "thesis.txt"), "mine");
    await expect(writeDrawnDataset(name, folder, 10)).rejects.toThrow(/is not empty.*\[exists\]$/);
    await expect(writeDrawnDataset(name, join(folder, "thesis.txt"), 10)).rejects.toThrow(
      expect.objectContaining({ code: "io" }),
    );
  });

  test.each([
    [{ perClass: 0 }, /^images a class: got 0/],
    [{ perClass: 1.5 }, /^images a class: got 1.5/],
    [{ seed: -1 }, /^seed: got -1/],
  ])("refuses %j", async (shapes, message) => {
    await expect(openDataset(name, { imageSize: 16, shapes })).rejects.toThrow(message);
    await expect(writeDrawnDataset(name, folder, 16, shapes)).rejects.toThrow(message);
  });
});
