// Table and golden tests. The golden hash was made by drawSet itself, at the version that drew the images
// models/shapes was trained on: when it changes, the model has to be trained again.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { drawSet, drawShape, SHAPE_IMAGE_SIZE, SHAPE_LABELS } from "../../src/image/draw-shapes.js";

const IMAGE_BYTES = SHAPE_IMAGE_SIZE * SHAPE_IMAGE_SIZE * 3;

it("draws the very bytes that the model was trained on", () => {
  const { pixels } = drawSet(70, 7);
  expect(createHash("sha256").update(pixels).digest("hex")).toBe(
    "5755b5079e81f47ba46fcfb09bdd7708381fa278fe034d344a0baa3da0459b38",
  );
});

it("uses only arithmetic that is the same in every engine", () => {
  const source = readFileSync(new URL("../../src/image/draw-shapes.ts", import.meta.url), "utf8");
  const functions = new Set([...source.matchAll(/Math\.(\w+)/g)].map(([, name]) => name));
  expect(functions).toEqual(new Set(["abs", "floor", "imul", "max", "min", "sqrt"]));
  expect(source.replace(/\/\*\*/g, "")).not.toContain("**");
});

it("begins a longer set with the shorter one", () => {
  const short = drawSet(5, 11);
  const long = drawSet(9, 11);
  expect(long.pixels.subarray(0, 5 * IMAGE_BYTES)).toEqual(short.pixels);
  expect(long.labels.subarray(0, 5)).toEqual(short.labels);
});

it("draws each class equally often, in the order of the labels", () => {
  const { pixels, labels } = drawSet(16, 0);
  expect(pixels.length).toBe(16 * IMAGE_BYTES);
  expect([...labels]).toEqual([0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6, 0, 1]);
  expect(SHAPE_LABELS.length).toBe(7);
});

it("draws an image that depends on class, seed and index", () => {
  const images = [
    drawShape("circle", 1, 2),
    drawShape("square", 1, 2),
    drawShape("circle", 2, 1),
    drawShape("circle", 1, 3),
    drawShape("circle", 0, 0),
    drawShape("circle", 1, 0),
    drawShape("circle", 0xffffffff, 0xffffffff),
  ];
  expect(new Set(images.map((image) => Buffer.from(image).toString("hex"))).size).toBe(images.length);
  expect(drawShape("circle", 1, 2)).toEqual(images[0]);
});

it("uses the range of a pixel and leaves no image blank", () => {
  const { pixels } = drawSet(70, 3);
  expect(pixels.reduce((low, value) => Math.min(low, value), 255)).toBe(0);
  expect(pixels.reduce((high, value) => Math.max(high, value), 0)).toBe(255);
  for (let i = 0; i < 70; i++) {
    const image = pixels.subarray(i * IMAGE_BYTES, (i + 1) * IMAGE_BYTES);
    const mean = image.reduce((sum, value) => sum + value, 0) / IMAGE_BYTES;
    const variance = image.reduce((sum, value) => sum + (value - mean) ** 2, 0) / IMAGE_BYTES;
    expect(Math.sqrt(variance)).toBeGreaterThan(10);
  }
});

it("changes nothing but the shape when only the class changes", () => {
  for (let index = 0; index < 20; index++) {
    const circle = drawShape("circle", 4, index);
    const ring = drawShape("ring", 4, index);
    let hole = 0;
    for (let pixel = 0; pixel < circle.length; pixel += 3) {
      if ([0, 1, 2].some((c) => circle[pixel + c] !== ring[pixel + c])) hole++;
    }
    // A hole of 0.4 to 0.7 times a radius of 8.5 to 14.5 pixels, squeezed by up to 0.76, and its rim.
    expect(hole).toBeGreaterThan(15);
    expect(hole).toBeLessThan(Math.PI * (0.7 * 14.5 + 1) ** 2);
  }
});

it.each(SHAPE_LABELS)("keeps the corners of the image free of the %s", (label) => {
  for (let index = 0; index < 20; index++) {
    const other = drawShape(label === "circle" ? "cross" : "circle", 6, index);
    const image = drawShape(label, 6, index);
    for (const pixel of [0, SHAPE_IMAGE_SIZE - 1, SHAPE_IMAGE_SIZE ** 2 - 1]) {
      expect(image.subarray(3 * pixel, 3 * pixel + 3)).toEqual(other.subarray(3 * pixel, 3 * pixel + 3));
    }
  }
});

it.each([
  [-1, 0],
  [1.5, 0],
  [1_000_001, 0],
  [Number.NaN, 0],
  [1, -1],
  [1, 2 ** 32],
  [1, 0.5],
])("refuses count %s with seed %s", (count, seed) => {
  expect(() => drawSet(count, seed)).toThrow(/expected an integer from 0 to .* \[usage\]$/);
});
