// The random changes that training images go through: DomainBed's. Pure arithmetic on bytes with numbers from
// random.ts, so that every machine and thread makes the same ones; evaluation never comes here.

import { CHANNELS } from "./dataset.js";
import type { Random } from "./random.js";

/**
 * "domainbed": crop, flip, color, gray. "no-flip": without the flip, for digits and letters, which a mirror
 * makes into something else. "none": the image as it is.
 */
export const AUGMENTATIONS = ["domainbed", "no-flip", "none"] as const;
export type Augmentation = (typeof AUGMENTATIONS)[number];

/** The part of the image's area that a crop keeps, least and most. */
const CROP_AREA = [0.7, 1] as const;
/** Width over height of a crop: 3/4 to 4/3, its logarithm uniform. */
const LOG_ASPECT = 0.28768207245178096;
const FLIP_PROBABILITY = 0.5;
/** Factors of brightness, contrast and saturation are in 1 - JITTER..1 + JITTER, turns of hue in -JITTER..JITTER. */
const JITTER = 0.3;
const GRAY_PROBABILITY = 0.1;

/** Weights of red, green and blue in gray: ITU-R BT.601. */
const RED = 0.299;
const GREEN = 0.587;
const BLUE = 0.114;

/** A part of an image, in pixels. */
export interface Crop {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/**
 * As torchvision's RandomResizedCrop: area uniform in 0.7..1 of the image, aspect log-uniform in 3/4..4/3,
 * sides rounded to whole pixels; of ten trials the first that fits, at a uniform place; else all of the
 * (square) image.
 */
export function randomCrop(size: number, random: Random): Crop {
  for (let trial = 0; trial < 10; trial++) {
    const area = size * size * random.between(...CROP_AREA);
    const aspect = exponential(random.between(-LOG_ASPECT, LOG_ASPECT));
    const width = Math.floor(Math.sqrt(area * aspect) + 0.5);
    const height = Math.floor(Math.sqrt(area / aspect) + 0.5);
    if (width < 1 || height < 1 || width > size || height > size) continue;
    const left = random.integer(size - width + 1);
    const top = random.integer(size - height + 1);
    return { left, top, width, height };
  }
  return { left: 0, top: 0, width: size, height: size };
}

/** e^x for |x| < 0.3 by its series, to the last bits; Math.exp may differ between engines. */
function exponential(x: number): number {
  let sum = 1;
  for (let n = 14; n >= 1; n--) sum = 1 + (sum * x) / n;
  return sum;
}

/**
 * Augments images of one size, with memory that it keeps.
 *
 * In order: random crop, brought back to the image's size by bilinear interpolation (half-pixel centers, edge
 * pixels repeated); mirrored with probability 1/2; brightness, contrast, saturation (factors in 0.7..1.3) and
 * hue (-0.3..0.3 of a turn) in random order; gray with probability 1/10. Each color change is torchvision's,
 * clamped to 0..255 and kept in float32; bytes are rounded once at the end, half up.
 *
 * Differs from DomainBed in one thing: the crop is cut from the image at the network's size, not from the
 * file, because only that size is kept.
 */
export class Augmenter {
  private readonly size: number;
  private readonly kind: Augmentation;
  private readonly values: Float32Array;
  private readonly rows: Float32Array;
  /** Of each output place along an axis: where two samples begin, and the second's weight. */
  private readonly first: Int32Array;
  private readonly second: Int32Array;
  private readonly weight: Float32Array;

  constructor(size: number, kind: Augmentation) {
    this.size = size;
    this.kind = kind;
    this.values = new Float32Array(size * size * CHANNELS);
    this.rows = new Float32Array(size * size * CHANNELS);
    this.first = new Int32Array(size);
    this.second = new Int32Array(size);
    this.weight = new Float32Array(size);
  }

  /** Writes an augmented `image` to `out`: both [H, W, 3], H = W = size, and not the same memory. */
  apply(image: Uint8Array, random: Random, out: Uint8Array): void {
    if (this.kind === "none") {
      out.set(image);
      return;
    }
    const crop = randomCrop(this.size, random);
    const flip = random.uniform() < FLIP_PROBABILITY && this.kind === "domainbed";
    this.resize(image, crop, flip);
    const { values } = this;
    const changes = [
      (): void => brighten(values, random.between(1 - JITTER, 1 + JITTER)),
      (): void => changeContrast(values, random.between(1 - JITTER, 1 + JITTER)),
      (): void => saturate(values, random.between(1 - JITTER, 1 + JITTER)),
      (): void => turnHue(values, random.between(-JITTER, JITTER)),
    ];
    for (const change of random.permutation(changes.length)) changes[change]?.();
    if (random.uniform() < GRAY_PROBABILITY) saturate(values, 0);
    for (let i = 0; i < values.length; i++) out[i] = (values[i] as number) + 0.5;
  }

  /** The crop at full size into `values`: rows first, so that each sample costs two products a pass. */
  private resize(image: Uint8Array, crop: Crop, flip: boolean): void {
    const { size, rows, values, first, second, weight } = this;
    const stride = size * CHANNELS;
    this.place(crop.left, crop.width, CHANNELS);
    for (let y = crop.top; y < crop.top + crop.height; y++) {
      const row = y * stride;
      for (let x = 0; x < size; x++) {
        const at = flip ? size - 1 - x : x;
        const from = row + (first[at] as number);
        const next = row + (second[at] as number);
        const part = weight[at] as number;
        const to = row + x * CHANNELS;
        const red = image[from] as number;
        const green = image[from + 1] as number;
        const blue = image[from + 2] as number;
        rows[to] = red + part * ((image[next] as number) - red);
        rows[to + 1] = green + part * ((image[next + 1] as number) - green);
        rows[to + 2] = blue + part * ((image[next + 2] as number) - blue);
      }
    }
    this.place(crop.top, crop.height, stride);
    for (let y = 0; y < size; y++) {
      const from = first[y] as number;
      const next = second[y] as number;
      const part = weight[y] as number;
      const to = y * stride;
      for (let i = 0; i < stride; i++) {
        const start = rows[from + i] as number;
        values[to + i] = start + part * ((rows[next + i] as number) - start);
      }
    }
  }

  /** Samples of an axis whose neighbours are `step` bytes apart. */
  private place(start: number, length: number, step: number): void {
    const { size, first, second, weight } = this;
    for (let i = 0; i < size; i++) {
      const at = Math.min(Math.max(((i + 0.5) * length) / size - 0.5, 0), length - 1);
      const below = Math.floor(at);
      first[i] = (start + below) * step;
      second[i] = (start + Math.min(below + 1, length - 1)) * step;
      weight[i] = at - below;
    }
  }
}

function clamp(value: number): number {
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

function gray(values: Float32Array, i: number): number {
  return RED * (values[i] as number) + GREEN * (values[i + 1] as number) + BLUE * (values[i + 2] as number);
}

/** `v = factor v` */
export function brighten(values: Float32Array, factor: number): void {
  for (let i = 0; i < values.length; i++) values[i] = clamp(factor * (values[i] as number));
}

/** `v = m + factor (v - m)`, m the mean of the gray image. */
export function changeContrast(values: Float32Array, factor: number): void {
  let sum = 0;
  for (let i = 0; i < values.length; i += CHANNELS) sum += gray(values, i);
  const mean = (sum * CHANNELS) / values.length;
  for (let i = 0; i < values.length; i++) values[i] = clamp(mean + factor * ((values[i] as number) - mean));
}

/** `v = g + factor (v - g)`, g the gray of the pixel: 0 takes the color away. */
export function saturate(values: Float32Array, factor: number): void {
  for (let i = 0; i < values.length; i += CHANNELS) {
    const g = gray(values, i);
    for (let c = 0; c < CHANNELS; c++) {
      values[i + c] = clamp(g + factor * ((values[i + c] as number) - g));
    }
  }
}

/**
 * The hue of HSV moved by `turns` of a circle; saturation and value stay. With V the largest channel, C the
 * largest minus the smallest, and h the hue in sixths, channel = `V - C max(0, min(k, 4 - k, 1))`,
 * `k = (n + h) mod 6`, n = 5, 3, 1 for red, green, blue.
 */
export function turnHue(values: Float32Array, turns: number): void {
  const shift = 6 * turns;
  for (let i = 0; i < values.length; i += CHANNELS) {
    const red = values[i] as number;
    const green = values[i + 1] as number;
    const blue = values[i + 2] as number;
    const most = red > green ? (red > blue ? red : blue) : green > blue ? green : blue;
    const least = red < green ? (red < blue ? red : blue) : green < blue ? green : blue;
    const chroma = most - least;
    if (chroma === 0) continue;
    const hue =
      most === red
        ? (green - blue) / chroma
        : most === green
          ? 2 + (blue - red) / chroma
          : 4 + (red - green) / chroma;
    const h = hue + shift;
    values[i] = clamp(most - chroma * falling(h + 5));
    values[i + 1] = clamp(most - chroma * falling(h + 3));
    values[i + 2] = clamp(most - chroma * falling(h + 1));
  }
}

/** `max(0, min(k, 4 - k, 1))` of k mod 6, which is in 0..6. */
function falling(sixths: number): number {
  const k = sixths - 6 * Math.floor(sixths / 6);
  const part = k < 4 - k ? k : 4 - k;
  return part < 0 ? 0 : part > 1 ? 1 : part;
}
