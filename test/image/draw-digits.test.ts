// Table, property and golden tests. The golden hash was made by drawStyled itself, at the version that the model in
// models/digits was trained on: when it changes, results on digits-drawn are no longer comparable with earlier ones.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { DIGIT_LABELS, type DigitLabel, digitOf } from "../../src/image/draw-digits.js";
import { generator } from "../../src/image/draw-shapes.js";
import { drawStyled, STYLES } from "../../src/image/draw-styles.js";
import { DRAWN_SET_NAMES, DRAWN_SETS, findFigure } from "../../src/image/drawn-sets.js";

const SIDE = 41;
/** Coordinates of a grid over the square around the unit disc, upper row first. */
const at = (i: number): number => (2 * i) / (SIDE - 1) - 1;

/** A digit on that grid, 1 inside. */
function mask(label: DigitLabel, seed: number): Uint8Array {
  const inside = digitOf(label, generator(seed));
  return Uint8Array.from({ length: SIDE * SIDE }, (_, i) =>
    inside(at(i % SIDE), -at(Math.floor(i / SIDE))) ? 1 : 0,
  );
}

/** Connected areas of `value`, by their sides; a notch between two strokes ends in single points, which are none. */
function areas(image: Uint8Array, value: number): number {
  const seen = new Set<number>();
  let count = 0;
  image.forEach((each, start) => {
    if (each !== value || seen.has(start)) return;
    const open = [start];
    seen.add(start);
    for (const i of open) {
      const [x, y] = [i % SIDE, Math.floor(i / SIDE)];
      const sides = [
        ...(x > 0 ? [i - 1] : []),
        ...(x < SIDE - 1 ? [i + 1] : []),
        ...(y > 0 ? [i - SIDE] : []),
        ...(y < SIDE - 1 ? [i + SIDE] : []),
      ];
      for (const next of sides) {
        if (image[next] !== value || seen.has(next)) continue;
        seen.add(next);
        open.push(next);
      }
    }
    if (open.length > 3) count++;
  });
  return count;
}

/** Points inside above the middle, less those below it. */
const topHeavy = (image: Uint8Array): number =>
  image.reduce((sum, value, i) => sum + value * Math.sign((SIDE - 1) / 2 - Math.floor(i / SIDE)), 0);

const SEEDS = Array.from({ length: 40 }, (_, i) => 101 + 7919 * i);

it("draws the same bytes as ever", () => {
  const hash = createHash("sha256");
  for (const style of STYLES)
    for (const label of DIGIT_LABELS) hash.update(drawStyled(style, label, 32, 7, 3));
  expect(hash.digest("hex")).toMatchInlineSnapshot(
    `"a36b61683486bb186b64040f51cbc3fad1cabf11cc8b197bdabc5329c7a6c20a"`,
  );
});

it("uses only arithmetic that every engine shares", () => {
  const source = readFileSync(new URL("../../src/image/draw-digits.ts", import.meta.url), "utf8");
  const functions = new Set([...source.matchAll(/Math\.(\w+)/g)].map(([, name]) => name));
  expect(functions).toEqual(new Set(["max", "min", "sqrt"]));
  expect(source.replace(/\/\*\*/g, "")).not.toContain("**");
});

describe.each(DIGIT_LABELS)("the digit %s", (label) => {
  it("is one piece within the unit disc, as large as fits and never the same twice", () => {
    const images = SEEDS.map((seed) => mask(label, seed));
    for (const image of images) {
      expect(areas(image, 1)).toBe(1);
      const radii = [...image].flatMap((value, i) =>
        value === 1 ? [at(i % SIDE) ** 2 + at(Math.floor(i / SIDE)) ** 2] : [],
      );
      const farthest = Math.sqrt(Math.max(...radii));
      expect(farthest).toBeLessThanOrEqual(1);
      // The rim is met between points of the grid.
      expect(farthest).toBeGreaterThan(0.88);
    }
    expect(new Set(images.map((image) => image.join(""))).size).toBe(SEEDS.length);
  });

  it("has the holes that tell it from others, however heavy its pen", () => {
    const holes = new Set(SEEDS.map((seed) => areas(mask(label, seed), 0) - 1));
    const expected: Record<DigitLabel, number[]> = {
      "0": [1],
      "1": [0],
      "2": [0],
      "3": [0],
      // Open or closed.
      "4": [0, 1],
      "5": [0],
      "6": [1],
      "7": [0],
      "8": [2],
      "9": [1],
    };
    expect([...holes].sort((a, b) => a - b)).toEqual(expected[label]);
  });

  it("is no other digit in the same hand", () => {
    for (const seed of SEEDS.slice(0, 10)) {
      const image = mask(label, seed);
      for (const other of DIGIT_LABELS) {
        if (other === label) continue;
        const apart = mask(other, seed).reduce(
          (sum, value, i) => sum + Math.abs(value - (image[i] as number)),
          0,
        );
        // A twelfth of what either covers, at the least.
        expect(apart).toBeGreaterThan(30);
      }
    }
  });
});

it("keeps a 6 on its belly and a 9 on its stem", () => {
  for (const seed of SEEDS) {
    expect(topHeavy(mask("6", seed))).toBeLessThan(0);
    expect(topHeavy(mask("9", seed))).toBeGreaterThan(0);
  }
  // With the tilt of their set, which is far from a half turn.
  expect(DRAWN_SETS["digits-drawn"].tilt).toBeLessThan(0.2);
});

describe("the table of drawn sets", () => {
  it("has labels that are sorted as folders are, and that no two sets share", () => {
    const all = DRAWN_SET_NAMES.flatMap((name) => [...DRAWN_SETS[name].labels]);
    expect(new Set(all).size).toBe(all.length);
    for (const name of DRAWN_SET_NAMES) {
      const { labels } = DRAWN_SETS[name];
      expect([...labels].sort()).toEqual(labels);
    }
  });

  it("finds each figure, after those of the sets above it", () => {
    expect(findFigure("circle")).toEqual({ set: DRAWN_SETS["shapes-dg"], label: 0, before: 0 });
    expect(findFigure("3")).toEqual({ set: DRAWN_SETS["digits-drawn"], label: 3, before: 7 });
    expect(() => findFigure("x" as "3")).toThrow(/\[internal\]$/);
  });
});
