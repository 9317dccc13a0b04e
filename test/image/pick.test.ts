import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ImageEntry } from "../../src/image/folder.js";
import { pickImages, splitImages } from "../../src/image/pick.js";

/** `sizes[k]` images of label k, in the order of a listing. */
function entriesOf(sizes: readonly number[], group = ""): ImageEntry[] {
  return sizes.flatMap((size, k) =>
    Array.from({ length: size }, (_, i) => {
      const relativePath = `${group}/${k}/${String(i).padStart(4, "0")}.png`;
      return { path: relativePath, relativePath, label: String(k), group };
    }),
  );
}

function countByLabel(entries: readonly ImageEntry[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { group, label } of entries) {
    counts[`${group}/${label}`] = (counts[`${group}/${label}`] ?? 0) + 1;
  }
  return counts;
}

const pickedNames = (seed: number): string[] =>
  pickImages(entriesOf([20, 20]), 6, seed).map((entry) => entry.relativePath);

const folders = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 8 });

describe("pickImages", () => {
  test("is even over labels as far as their numbers allow", () => {
    expect(countByLabel(pickImages(entriesOf([100, 50, 3, 80]), 63, 1))).toEqual({
      "/0": 20,
      "/1": 20,
      "/2": 3,
      "/3": 20,
    });
    const groups = [...entriesOf([50, 50], "photo"), ...entriesOf([50, 50], "sketch")];
    expect(Object.values(countByLabel(pickImages(groups, 40, 1)))).toEqual([10, 10, 10, 10]);
  });

  test("never gives labels that have enough images numbers that differ by more than one", () => {
    fc.assert(
      fc.property(folders, fc.nat(250), fc.nat(1000), (sizes, count, seed) => {
        const entries = entriesOf(sizes);
        const picked = pickImages(entries, count, seed);
        expect(picked.length).toBe(Math.min(count, entries.length));
        expect(new Set(picked).size).toBe(picked.length);
        const counts = countByLabel(picked);
        const open = sizes.flatMap((size, k) =>
          (counts[`/${k}`] ?? 0) < size ? [counts[`/${k}`] ?? 0] : [],
        );
        const most = Math.max(0, ...Object.values(counts));
        expect(open.every((n) => n >= most - 1)).toBe(true);
      }),
    );
  });

  test("keeps the order of the listing", () => {
    const entries = entriesOf([9, 9]);
    const picked = pickImages(entries, 11, 5);
    expect(picked).toEqual(entries.filter((entry) => picked.includes(entry)));
  });

  test("is the same for a seed, on every machine, and another for another seed", () => {
    expect(pickedNames(7)).toEqual(pickedNames(7));
    expect(pickedNames(7)).not.toEqual(pickedNames(8));
    expect(pickedNames(7)).toMatchInlineSnapshot(`
      [
        "/0/0000.png",
        "/0/0004.png",
        "/0/0014.png",
        "/1/0003.png",
        "/1/0007.png",
        "/1/0009.png",
      ]
    `);
  });

  test("draws each image about as often as any other", () => {
    const entries = entriesOf([10]);
    const counts = new Map(entries.map((entry) => [entry, 0]));
    for (let seed = 0; seed < 2000; seed++) {
      for (const entry of pickImages(entries, 3, seed)) counts.set(entry, (counts.get(entry) ?? 0) + 1);
    }
    // 600 expected, standard deviation 20.
    for (const count of counts.values()) expect(Math.abs(count - 600)).toBeLessThan(100);
  });

  test.each([
    [-1, 0],
    [1.5, 0],
    [1, -1],
    [1, 2 ** 32],
    [1, 0.5],
  ])("refuses count %d with seed %d", (count, seed) => {
    expect(() => pickImages(entriesOf([3]), count, seed)).toThrow(expect.objectContaining({ code: "usage" }));
  });
});

describe("splitImages", () => {
  test("gives two sets without a common image, of the sizes wanted where there are enough", () => {
    fc.assert(
      fc.property(folders, fc.nat(100), fc.nat(100), fc.nat(1000), (sizes, a, b, seed) => {
        const entries = entriesOf(sizes);
        const { calibration, heldOut } = splitImages(entries, a, b, seed);
        expect(calibration.some((entry) => heldOut.includes(entry))).toBe(false);
        const enough = a + b <= entries.length;
        expect(calibration.length).toBe(enough ? a : calibration.length);
        expect(heldOut.length).toBe(enough ? b : entries.length - calibration.length);
      }),
    );
  });

  test("shares too few images in proportion", () => {
    const { calibration, heldOut } = splitImages(entriesOf([15, 15]), 100, 200, 3);
    expect([calibration.length, heldOut.length]).toEqual([10, 20]);
    expect(countByLabel(calibration)).toEqual({ "/0": 5, "/1": 5 });
    const one = splitImages(entriesOf([1]), 1, 200, 3);
    expect([one.calibration.length, one.heldOut.length]).toEqual([1, 0]);
  });
});
