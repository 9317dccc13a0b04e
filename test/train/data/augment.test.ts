// Oracles written from the definitions, in float64 and without tables: bilinear sampling of a crop, and colors by
// way of HSV.

import { describe, expect, test } from "vitest";
import {
  Augmenter,
  brighten,
  changeContrast,
  randomCrop,
  saturate,
  turnHue,
} from "../../../src/train/data/augment.js";
import { Random } from "../../../src/train/data/random.js";

const at = (index: number): Random => new Random(1, "augmentation", 0, index);
const noise = (count: number): Uint8Array =>
  Uint8Array.from({ length: count }, (_, i) => Math.imul(i + 1, 0x9e3779b1) >>> 24);
/** Of a pixel: no mirror image of itself, and not linear. */
const level = (x: number, y: number): number => 60 + 4 * x + 2 * ((x * y) % 7) + 1.5 * y;
const floats = (...values: number[]): Float32Array => Float32Array.from(values);

function augmented(
  image: Uint8Array,
  size: number,
  kind: "domainbed" | "no-flip" | "none",
  index: number,
): Uint8Array {
  const out = new Uint8Array(image.length);
  new Augmenter(size, kind).apply(image, at(index), out);
  return out;
}

/** Hue in turns, saturation and value 0..1, of red, green, blue 0..255, as textbooks have it; and back. */
function toHsv([r, g, b]: readonly [number, number, number]): [number, number, number] {
  const most = Math.max(r, g, b);
  const chroma = most - Math.min(r, g, b);
  if (chroma === 0) return [0, 0, most / 255];
  let sixths = 0;
  if (most === r) sixths = ((g - b) / chroma + 6) % 6;
  else if (most === g) sixths = (b - r) / chroma + 2;
  else sixths = (r - g) / chroma + 4;
  return [sixths / 6, chroma / most, most / 255];
}

function toRgb([hue, saturation, value]: readonly [number, number, number]): number[] {
  const sector = Math.floor(hue * 6) % 6;
  const part = hue * 6 - Math.floor(hue * 6);
  const p = value * (1 - saturation);
  const q = value * (1 - part * saturation);
  const t = value * (1 - (1 - part) * saturation);
  const table = [
    [value, t, p],
    [q, value, p],
    [p, value, t],
    [p, q, value],
    [t, p, value],
    [value, p, q],
  ];
  return (table[sector] as number[]).map((channel) => 255 * channel);
}

describe("color changes", () => {
  test("brightness multiplies, and clamps", () => {
    const values = floats(10, 100, 250, 0, 200, 255);
    brighten(values, 1.25);
    expect([...values]).toEqual([12.5, 125, 255, 0, 250, 255]);
  });

  test("contrast moves away from the mean gray", () => {
    // Gray 100 and 200: the mean is 150.
    const values = floats(100, 100, 100, 200, 200, 200);
    changeContrast(values, 1.2);
    values.forEach((value, i) => expect(value).toBeCloseTo(i < 3 ? 90 : 210, 3));
    changeContrast(values, 0);
    values.forEach((value) => expect(value).toBeCloseTo(150, 3));
  });

  test("saturation moves away from the pixel's own gray, and 0 leaves gray", () => {
    // 0.299 * 100 + 0.587 * 50 + 0.114 * 200 = 82.05
    const values = floats(100, 50, 200);
    saturate(values, 0.5);
    [91.025, 66.025, 141.025].forEach((expected, c) => expect(values[c]).toBeCloseTo(expected, 3));
    const gray = floats(100, 50, 200);
    saturate(gray, 0);
    gray.forEach((value) => expect(value).toBeCloseTo(82.05, 3));
  });

  test.each([-0.3, -0.1, 0, 0.15, 0.3, 0.5])("a turn of hue by %d is the one by way of HSV", (turns) => {
    const image = noise(600);
    // Primaries, grays and ties between channels.
    image.set([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9, 80, 80, 10, 10, 80, 80, 80, 10, 80, 0, 0, 0]);
    const values = Float32Array.from(image);
    turnHue(values, turns);
    for (let i = 0; i < image.length; i += 3) {
      const [hue, saturation, value] = toHsv([image[i], image[i + 1], image[i + 2]] as [
        number,
        number,
        number,
      ]);
      const expected = toRgb([(hue + turns + 1) % 1, saturation, value]);
      expected.forEach((channel, c) => expect(values[i + c]).toBeCloseTo(channel, 3));
    }
  });
});

describe("randomCrop", () => {
  test("keeps 0.7 to 1 of the area at 3/4 to 4/3, anywhere in the image", () => {
    const size = 200;
    const crops = Array.from({ length: 2000 }, (_, i) => randomCrop(size, at(i)));
    for (const { left, top, width, height } of crops) {
      expect(Math.min(left, top)).toBeGreaterThanOrEqual(0);
      expect(Math.max(left + width, top + height)).toBeLessThanOrEqual(size);
      expect((width * height) / size ** 2).toBeGreaterThan(0.69);
      expect(width / height).toBeGreaterThan(0.74);
      expect(width / height).toBeLessThan(1.35);
    }
    const areas = crops.map(({ width, height }) => (width * height) / size ** 2);
    expect(Math.min(...areas)).toBeLessThan(0.71);
    expect(Math.max(...areas)).toBeGreaterThan(0.97);
    expect(crops.some(({ left }) => left === 0)).toBe(true);
    expect(crops.some(({ left, width }) => left > 0 && left + width === size)).toBe(true);
    const wide = crops.filter(({ width, height }) => width > height).length;
    expect(Math.abs(wide - 1000)).toBeLessThan(150);
  });
});

describe("Augmenter", () => {
  test("leaves an image as it is for none", () => {
    const image = noise(16 * 16 * 3);
    expect(augmented(image, 16, "none", 0)).toEqual(image);
  });

  test("is a function of image and place in the row: no memory of the images before", () => {
    const image = noise(12 * 12 * 3);
    const augmenter = new Augmenter(12, "domainbed");
    const out = new Uint8Array(image.length);
    for (let i = 0; i < 5; i++) augmenter.apply(image, at(i), out);
    augmenter.apply(image, at(2), out);
    expect(out).toEqual(augmented(image, 12, "domainbed", 2));
    const seen = Array.from({ length: 5 }, (_, i) => augmented(image, 12, "domainbed", i).join());
    expect(new Set(seen).size).toBe(5);
  });

  test("brings the crop to full size by bilinear interpolation, mirrored half of the time", () => {
    // A gray image keeps its color but for brightness and contrast; those are undone by fitting a line.
    const size = 24;
    const image = new Uint8Array(size * size * 3);
    for (let i = 0; i < size * size; i++) image.fill(level(i % size, Math.floor(i / size)), 3 * i, 3 * i + 3);
    const sample = (
      x: number,
      y: number,
      left: number,
      top: number,
      right: number,
      bottom: number,
    ): number => {
      const u = Math.min(Math.max(x, left), right);
      const v = Math.min(Math.max(y, top), bottom);
      let sum = 0;
      for (let j = top; j <= bottom; j++) {
        for (let i = left; i <= right; i++) {
          const weight = Math.max(0, 1 - Math.abs(u - i)) * Math.max(0, 1 - Math.abs(v - j));
          if (weight > 0) sum += weight * (image[3 * (j * size + i)] as number);
        }
      }
      return sum;
    };
    let mirrored = 0;
    for (let index = 0; index < 40; index++) {
      const out = augmented(image, size, "domainbed", index);
      const crop = randomCrop(size, at(index));
      const right = crop.left + crop.width - 1;
      const bottom = crop.top + crop.height - 1;
      const expected = (flip: boolean): number[] =>
        Array.from({ length: size * size }, (_, i) => {
          const x = flip ? size - 1 - (i % size) : i % size;
          const y = Math.floor(i / size);
          const u = crop.left + ((x + 0.5) * crop.width) / size - 0.5;
          const v = crop.top + ((y + 0.5) * crop.height) / size - 0.5;
          return sample(u, v, crop.left, crop.top, right, bottom);
        });
      const found = Array.from({ length: size * size }, (_, i) => out[3 * i] as number);
      const [straight, flipped] = [worstOfLine(expected(false), found), worstOfLine(expected(true), found)];
      expect(Math.min(straight, flipped)).toBeLessThan(1);
      expect(Math.max(straight, flipped)).toBeGreaterThan(10);
      if (flipped < straight) mirrored++;
    }
    expect(mirrored).toBeGreaterThan(8);
    expect(mirrored).toBeLessThan(32);
  });

  test("never mirrors without the flip, and is the same in all else", () => {
    const image = noise(8 * 8 * 3);
    let same = 0;
    for (let index = 0; index < 40; index++) {
      const plain = augmented(image, 8, "no-flip", index);
      const other = augmented(image, 8, "domainbed", index);
      const unflipped = plain.join() === other.join();
      if (unflipped) same++;
      expect(unflipped ? plain : mirror(plain, 8)).toEqual(other);
    }
    expect(same).toBeGreaterThan(8);
    expect(same).toBeLessThan(32);
  });

  test("takes the color away from one image in ten", () => {
    const image = Uint8Array.from({ length: 4 * 4 * 3 }, (_, i) => [200, 40, 90][i % 3] as number);
    let gray = 0;
    for (let index = 0; index < 2000; index++) {
      const [red, green, blue] = augmented(image, 4, "domainbed", index);
      if (red === green && green === blue) gray++;
    }
    // sqrt(2000 * 0.1 * 0.9) = 13
    expect(Math.abs(gray - 200)).toBeLessThan(5 * 13);
  });

  test("gives the same bytes as ever", () => {
    const image = noise(20 * 20 * 3);
    let sum = 0;
    for (let index = 0; index < 50; index++) {
      for (const value of augmented(image, 20, "domainbed", index)) sum = (Math.imul(sum, 31) + value) >>> 0;
    }
    expect(sum).toMatchInlineSnapshot(`420043769`);
  });
});

function mirror(image: Uint8Array, size: number): Uint8Array {
  return image.map((_, i) => {
    const row = Math.floor(i / 3 / size);
    const x = Math.floor(i / 3) % size;
    return image[3 * (row * size + size - 1 - x) + (i % 3)] as number;
  });
}

/** How far `y` is from the best `a x + b`, where y is not clamped. */
function worstOfLine(x: readonly number[], y: readonly number[]): number {
  const kept = x.map((_, i) => i).filter((i) => (y[i] as number) > 0 && (y[i] as number) < 255);
  const mean = (list: readonly number[]): number =>
    kept.reduce((sum, i) => sum + (list[i] as number), 0) / kept.length;
  const [mx, my] = [mean(x), mean(y)];
  let [xy, xx] = [0, 0];
  for (const i of kept) {
    xy += ((x[i] as number) - mx) * ((y[i] as number) - my);
    xx += ((x[i] as number) - mx) ** 2;
  }
  return Math.max(...kept.map((i) => Math.abs(((x[i] as number) - mx) * (xy / xx) + my - (y[i] as number))));
}
