import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cropCenter, type Image } from "../../src/image/image.js";
import { resample } from "../../src/image/resample.js";

function imageOf(width: number, height: number, channels: number, at: (i: number) => number): Image {
  return {
    width,
    height,
    channels,
    data: Uint8Array.from({ length: width * height * channels }, (_, i) => at(i)),
  };
}

const row = (...samples: number[]): Image => imageOf(samples.length, 1, 1, (i) => samples[i] as number);
const samples = (image: Image): number[] => [...image.data];

/** Noise that needs no generator: the same for the same seed. */
const noise =
  (seed: number) =>
  (i: number): number =>
    Math.imul((i + 1) ^ Math.imul(seed + 1, 0x9e3779b1), 0x85ebca6b) >>> 24;

function weight(n: number, m: number, i: number, j: number): number {
  const scale = n / m;
  return Math.max(0, 1 - Math.abs(j + 0.5 - (i + 0.5) * scale) / Math.max(1, scale));
}

/** The triangle filter in two dimensions at once, in float64, straight from its definition. */
function slow(image: Image, width: number, height: number): number[] {
  const { channels } = image;
  const result: number[] = [];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        let total = 0;
        for (let v = 0; v < image.height; v++) {
          const down = weight(image.height, height, y, v);
          if (down === 0) continue;
          for (let u = 0; u < image.width; u++) {
            const w = down * weight(image.width, width, x, u);
            sum += w * (image.data[(v * image.width + u) * channels + c] as number);
            total += w;
          }
        }
        result.push(sum / total);
      }
    }
  }
  return result;
}

function mirror(image: Image): Image {
  const { width, height, channels, data } = image;
  const at = (i: number): number => {
    const c = i % channels;
    const x = Math.floor(i / channels) % width;
    const y = Math.floor(i / channels / width);
    return data[(y * width + (width - 1 - x)) * channels + c] as number;
  };
  return imageOf(width, height, channels, at);
}

function transposed(image: Image): Image {
  const { width, height, channels, data } = image;
  const at = (i: number): number => {
    const c = i % channels;
    const x = Math.floor(i / channels) % height;
    const y = Math.floor(i / channels / height);
    return data[(x * width + y) * channels + c] as number;
  };
  return imageOf(height, width, channels, at);
}

/** Half a step for the last rounding and 1/512 for the one between the passes. */
const TWO_ROUNDINGS = 0.5 + 1 / 512 + 1e-9;

function worst(image: Image, expected: readonly number[]): number {
  return Math.max(...samples(image).map((value, i) => Math.abs(value - (expected[i] as number))));
}

const sizes = fc.record({
  width: fc.integer({ min: 1, max: 24 }),
  height: fc.integer({ min: 1, max: 24 }),
  channels: fc.integer({ min: 1, max: 4 }),
  toWidth: fc.integer({ min: 1, max: 40 }),
  toHeight: fc.integer({ min: 1, max: 40 }),
  seed: fc.nat(1_000_000),
});

describe("resample", () => {
  test.each([
    // Two to one: weights 1 3 3 1, cut to 3 3 1 and 1 3 3 at the edges.
    ["halving a ramp", row(0, 80, 160, 240), 2, [57, 183]],
    ["halving a step", row(0, 0, 255, 255), 2, [36, 219]],
    ["doubling two pixels", row(0, 100), 4, [0, 25, 75, 100]],
    ["three to two", row(0, 90, 180), 2, [34, 146]],
    ["one pixel to three", row(77), 3, [77, 77, 77]],
    // 5 9 5 of 19, exactly between two steps: half goes up.
    ["three to one", row(0, 19, 38), 1, [19]],
    ["a half goes up", row(10, 11), 1, [11]],
  ])("gives the values computed by hand for %s", (_, image, width, expected) => {
    expect(samples(resample(image, width, 1))).toEqual(expected);
    expect(samples(resample(transposed(image), 1, width))).toEqual(expected);
  });

  test("is within one step of the definition in float64, at random sizes", () => {
    fc.assert(
      fc.property(sizes, ({ width, height, channels, toWidth, toHeight, seed }) => {
        const image = imageOf(width, height, channels, noise(seed));
        const expected = slow(image, toWidth, toHeight);
        expect(worst(resample(image, toWidth, toHeight), expected)).toBeLessThanOrEqual(TWO_ROUNDINGS);
      }),
      { numRuns: 100 },
    );
  });

  test("keeps a constant image constant at any size", () => {
    fc.assert(
      fc.property(sizes, fc.nat(255), ({ width, height, channels, toWidth, toHeight }, level) => {
        const resized = resample(
          imageOf(width, height, channels, () => level),
          toWidth,
          toHeight,
        );
        expect(resized.data.every((value) => value === level)).toBe(true);
        expect(resized.data.length).toBe(toWidth * toHeight * channels);
      }),
    );
  });

  test("gives the image itself, in memory of its own, at its own size", () => {
    const image = imageOf(7, 5, 3, noise(1));
    const same = resample(image, 7, 5);
    expect(same).toEqual(image);
    expect(same.data).not.toBe(image.data);
  });

  test("gives the mirror image of a mirror image, to the last bit", () => {
    fc.assert(
      fc.property(sizes, ({ width, height, channels, toWidth, toHeight, seed }) => {
        const image = imageOf(width, height, channels, noise(seed));
        expect(resample(mirror(image), toWidth, toHeight)).toEqual(
          mirror(resample(image, toWidth, toHeight)),
        );
      }),
    );
  });

  test("treats each channel as if it were alone", () => {
    const image = imageOf(13, 9, 3, noise(3));
    const whole = resample(image, 5, 7);
    for (let c = 0; c < 3; c++) {
      const alone = imageOf(13, 9, 1, (i) => image.data[3 * i + c] as number);
      expect(samples(resample(alone, 5, 7))).toEqual(Array.from(whole.data.filter((__, i) => i % 3 === c)));
    }
  });

  test.each([
    [65535, 1],
    [1, 65535],
    [65535, 3],
    [2, 65535],
    [65535, 65534],
  ])("is exact from %i samples to %i", (from, to) => {
    const constant = resample(
      imageOf(from, 1, 1, () => 255),
      to,
      1,
    );
    expect(constant.data.every((value) => value === 255)).toBe(true);
    if (from * to > 1_000_000) return;
    const image = imageOf(from, 1, 1, noise(5));
    const expected = slow(image, to, 1);
    expect(worst(resample(image, to, 1), expected)).toBeLessThanOrEqual(TWO_ROUNDINGS);
  });

  test("gives the same bytes as ever", () => {
    // The bytes of a fixed picture, added up with their places: changes when any of them does.
    const { data } = resample(imageOf(227, 227, 3, noise(7)), 224, 160);
    let sum = 0;
    for (let i = 0; i < data.length; i++) sum = (Math.imul(sum, 31) + (data[i] as number)) >>> 0;
    expect(sum).toMatchInlineSnapshot(`633856462`);
  });

  test.each([
    [0, 1, "width: got 0"],
    [1, 65536, "height: got 65536"],
    [1.5, 1, "width: got 1.5"],
    [Number.NaN, 1, "width: got NaN"],
  ])("refuses the size %d x %d", (width, height, message) => {
    expect(() => resample(row(1, 2), width, height)).toThrow(message);
  });

  test("refuses data that does not fill the image", () => {
    expect(() => resample({ width: 2, height: 2, channels: 3, data: new Uint8Array(11) }, 1, 1)).toThrow(
      /got 11 samples, expected 12.*\[invalid-data\]/,
    );
  });
});

describe("cropCenter", () => {
  test.each([
    ["a wide image to a square", 10, 4, 1, 1, 4, 4, 3, 0],
    ["a tall image to a square", 3, 8, 224, 224, 3, 3, 0, 2],
    ["an odd remainder", 5, 2, 1, 1, 2, 2, 1, 0],
    ["its own ratio", 6, 4, 3, 2, 6, 4, 0, 0],
    ["a ratio beyond one pixel", 9, 1, 1, 200, 1, 1, 4, 0],
  ])("cuts %s", (_, width, height, w, h, cutWidth, cutHeight, left, top) => {
    const cut = cropCenter(
      imageOf(width, height, 1, (i) => i),
      w,
      h,
    );
    expect([cut.width, cut.height]).toEqual([cutWidth, cutHeight]);
    expect(samples(cut)).toEqual(
      Array.from(
        { length: cutWidth * cutHeight },
        (__, i) => (top + Math.floor(i / cutWidth)) * width + left + (i % cutWidth),
      ),
    );
  });
});
