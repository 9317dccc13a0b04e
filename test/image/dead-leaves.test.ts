import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { drawDeadLeaves } from "../../src/image/dead-leaves.js";
import type { Image } from "../../src/image/image.js";

const hash = ({ data }: Image): string => createHash("sha256").update(data).digest("hex").slice(0, 16);

/** Mean over rows of the squared difference of pixels that lie `distance` apart. */
function structure({ data, width, height }: Image, distance: number): number {
  let sum = 0;
  let count = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x + distance < width; x++) {
      const at = (y * width + x) * 3;
      const difference = (data[at] as number) - (data[at + 3 * distance] as number);
      sum += difference * difference;
      count++;
    }
  }
  return sum / count;
}

test("an image follows from its size, seed and index alone, to the byte", () => {
  expect(hash(drawDeadLeaves(48, 32, 0, 0))).toBe(hash(drawDeadLeaves(48, 32, 0, 0)));
  const some = [
    [48, 32, 0, 0],
    [48, 32, 0, 1],
    [48, 32, 1, 0],
    [32, 48, 0, 0],
  ] as const;
  expect(new Set(some.map(([w, h, seed, index]) => hash(drawDeadLeaves(w, h, seed, index)))).size).toBe(
    some.length,
  );
  // Golden: made by this code; arithmetic that IEEE 754 fixes gives it on every machine.
  expect(hash(drawDeadLeaves(48, 32, 0, 0))).toMatchInlineSnapshot(`"68812f121d099cb1"`);
});

test.each([
  [1, 1],
  [1, 40],
  [224, 224],
])("%i x %i pixels are filled, in three channels", (width, height) => {
  const image = drawDeadLeaves(width, height, 3, 5);
  expect(image).toMatchObject({ width, height, channels: 3 });
  expect(image.data.length).toBe(width * height * 3);
});

test("pixels near each other are alike, and less so the farther apart they are: no noise, and no plain colour", () => {
  for (let index = 0; index < 4; index++) {
    const image = drawDeadLeaves(96, 96, 0, index);
    const [near, middle, far] = [1, 4, 24].map((distance) => structure(image, distance));
    expect(near).toBeLessThan((middle as number) * 0.8);
    expect(middle).toBeLessThan((far as number) * 0.9);
    expect(far).toBeGreaterThan(1000);
  }
});

test("the whole range of each channel is used", () => {
  for (const channel of [0, 1, 2]) {
    const levels = new Set(drawDeadLeaves(96, 96, 0, 0).data.filter((_, i) => i % 3 === channel));
    expect(levels.size).toBeGreaterThan(200);
  }
});

test("a side that no image has is an error", () => {
  expect(() => drawDeadLeaves(0, 8, 0, 0)).toThrow(/width: got 0, expected an integer from 1 to 65535/);
});
