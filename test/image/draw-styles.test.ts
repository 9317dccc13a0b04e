// Table and golden tests. The golden hash was made by drawStyled itself, at the version that models were trained
// on: when it changes, results on shapes-dg are no longer comparable with earlier ones.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { DIGIT_LABELS } from "../../src/image/draw-digits.js";
import { SHAPE_LABELS } from "../../src/image/draw-shapes.js";
import { drawStyled, STYLES } from "../../src/image/draw-styles.js";
import { resample } from "../../src/image/resample.js";

const FIGURES = [...SHAPE_LABELS, ...DIGIT_LABELS];

const mean = (values: Uint8Array): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const square = (data: Uint8Array, size: number): Parameters<typeof resample>[0] => ({
  width: size,
  height: size,
  channels: 3,
  data,
});
/** Mean absolute difference, in steps of 255. */
const difference = (a: Uint8Array, b: Uint8Array): number =>
  a.reduce((sum, value, i) => sum + Math.abs(value - (b[i] as number)), 0) / a.length;

/** The mean level of the upper left pixel. */
const corner = (style: (typeof STYLES)[number]): number => {
  const images = Array.from({ length: 30 }, (_, i) => drawStyled(style, "cross", 32, 2, i).subarray(0, 3));
  return images.reduce((sum, image) => sum + mean(image), 0) / images.length;
};

/** How many of 20 circles are unlike the ground in their middle: an outline's middle is ground again. */
const filled = (style: (typeof STYLES)[number]): number => {
  let apart = 0;
  for (let index = 0; index < 20; index++) {
    const circle = drawStyled(style, "circle", 32, 3, index);
    // The disc covers a quarter of the image at least, so its center is within it.
    const at = (x: number, y: number): Uint8Array => circle.subarray((y * 32 + x) * 3, (y * 32 + x) * 3 + 3);
    const toGround = difference(at(16, 16), at(0, 0));
    if (toGround > 40) apart++;
  }
  return apart;
};

it("draws the same bytes as ever", () => {
  const hash = createHash("sha256");
  for (const style of STYLES)
    for (const label of SHAPE_LABELS) hash.update(drawStyled(style, label, 32, 7, 3));
  expect(hash.digest("hex")).toMatchInlineSnapshot(
    `"b6e075148c9e82bde566dac78f4ac73fae01cfedd4b7ab0efdb3462bc90bccdf"`,
  );
});

it.each(["draw-styles.ts", "drawn-sets.ts", "distance-field.ts"])(
  "%s uses only arithmetic that every engine shares",
  (file) => {
    const source = readFileSync(new URL(`../../src/image/${file}`, import.meta.url), "utf8");
    const same = new Set(["abs", "floor", "imul", "max", "min", "sqrt"]);
    expect(
      [...source.matchAll(/Math\.(\w+)/g)].map(([, name]) => name).filter((name) => !same.has(`${name}`)),
    ).toEqual([]);
    expect(source.replace(/\/\*\*/g, "")).not.toContain("**");
  },
);

it("depends on style, class, seed and index, and on nothing else", () => {
  const images = [
    drawStyled("flat", "star", 24, 1, 2),
    drawStyled("neon", "star", 24, 1, 2),
    drawStyled("flat", "heart", 24, 1, 2),
    drawStyled("flat", "star", 24, 2, 2),
    drawStyled("flat", "star", 24, 1, 3),
    drawStyled("flat", "star", 24, 2, 1),
  ];
  expect(new Set(images.map((image) => Buffer.from(image).toString("hex"))).size).toBe(images.length);
  expect(drawStyled("flat", "star", 24, 1, 2)).toEqual(images[0]);
});

describe.each(STYLES)("%s", (style) => {
  it("is the same picture at another size, but for noise", () => {
    for (const label of FIGURES) {
      const small = drawStyled(style, label, 32, 5, 0);
      const large = resample(square(drawStyled(style, label, 96, 5, 0), 96), 32, 32).data;
      const other = drawStyled(style, label, 32, 5, 1);
      expect(difference(small, large)).toBeLessThan(15);
      expect(difference(small, large)).toBeLessThan(difference(small, other));
    }
  });

  it.each(FIGURES)("shows the %s in every image", (label) => {
    for (let index = 0; index < 8; index++) {
      const image = drawStyled(style, label, 32, 9, index);
      const center = mean(image);
      const spread = Math.sqrt(image.reduce((sum, v) => sum + (v - center) ** 2, 0) / image.length);
      expect(spread).toBeGreaterThan(8);
    }
  });
});

it("has grounds as unlike as night and paper", () => {
  expect(corner("neon")).toBeLessThan(60);
  expect(corner("sketch")).toBeGreaterThan(210);
  expect(corner("flat")).toBeGreaterThan(90);
  expect(corner("flat")).toBeLessThan(165);
});

it("fills shapes in two styles and outlines them in the others", () => {
  expect(filled("flat")).toBeGreaterThan(15);
  expect(filled("textured")).toBeGreaterThan(12);
  expect(filled("neon")).toBeLessThan(8);
  expect(filled("sketch")).toBeLessThan(8);
});

it.each([
  [0, 0, 0],
  [2049, 0, 0],
  [31.5, 0, 0],
  [32, -1, 0],
  [32, 2 ** 32, 0],
  [32, 0, 0.5],
])("refuses size %s with seed %s and index %s", (size, seed, index) => {
  expect(() => drawStyled("flat", "ring", size, seed, index)).toThrow(
    /expected an integer from .* \[usage\]$/,
  );
});
