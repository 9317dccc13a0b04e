// Pictures of nothing, for calibration without images: leaves that fall on each other until no ground shows. Only + - * /
// and sqrt, which IEEE 754 fixes, so that every engine draws the same bytes. Loads in browsers.

import { between, type Colour, generator, mix, type Random, randomDirection } from "./draw-shapes.js";
import { checkSide, type Image } from "./image.js";

/** Radii of leaves as shares of the shorter side. */
const LEAST_RADIUS = 1 / 40;
const GREATEST_RADIUS = 1 / 3;
/** Over a ground that shows in a hundredth of a square image. */
const LEAVES = 512;
/** Standard deviation of the grain of a leaf at most, of 1. */
const MOST_GRAIN = 0.1;

/**
 * Image `index` of a seed: dead leaves (A. B. Lee, D. Mumford, J. Huang, "Occlusion models for natural images", 2001), whose
 * edges and contrasts at every scale are distributed as those of photographs are. Discs and turned boxes of radius r, density
 * ~ r^-3, at uniform places, the later above the earlier; each has a gradient between two near colours and a grain of its own.
 *
 * @returns [H, W, 3] RGB
 * @throws QdgError `invalid-data` for a side out of range
 */
export function drawDeadLeaves(width: number, height: number, seed: number, index: number): Image {
  checkSide(width, "width");
  checkSide(height, "height");
  const random = generator(mix(mix(seed) ^ index));
  const data = new Uint8Array(width * height * 3);
  const side = Math.min(width, height);
  const whole = { left: 0, right: width, top: 0, bottom: height, covers: () => true };
  paint(data, width, { ...randomLeaf(random, width, height, side), ...whole }, random);
  for (let i = 0; i < LEAVES; i++) {
    const radius = side * powerLaw(random, LEAST_RADIUS, GREATEST_RADIUS);
    paint(data, width, randomLeaf(random, width, height, radius), random);
  }
  return { width, height, channels: 3, data };
}

interface Leaf {
  /** No part of it lies outside, in pixels. */
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
  readonly covers: (x: number, y: number) => boolean;
  readonly from: Colour;
  readonly to: Colour;
  /** Along which the colour changes, from -1 to 1 over the leaf. */
  readonly along: (x: number, y: number) => number;
  readonly grain: number;
}

function randomLeaf(random: Random, width: number, height: number, radius: number): Leaf {
  const [centerX, centerY] = [between(random, 0, width), between(random, 0, height)];
  const [cos, sin] = randomDirection(random);
  const isDisc = random() < 0.5;
  const aspect = between(random, 0.2, 1);
  const covers = (x: number, y: number): boolean => {
    const [dx, dy] = [x - centerX, y - centerY];
    if (isDisc) return dx * dx + dy * dy < radius * radius;
    return Math.abs(cos * dx + sin * dy) < radius && Math.abs(cos * dy - sin * dx) < radius * aspect;
  };
  // A box reaches as far as its corner.
  const reach = radius * (isDisc ? 1 : Math.sqrt(1 + aspect * aspect));
  const from: Colour = [random(), random(), random()];
  const shade = between(random, -0.3, 0.3);
  const [gradientX, gradientY] = randomDirection(random);
  return {
    left: Math.max(0, Math.floor(centerX - reach)),
    right: Math.min(width, Math.ceil(centerX + reach)),
    top: Math.max(0, Math.floor(centerY - reach)),
    bottom: Math.min(height, Math.ceil(centerY + reach)),
    covers,
    from,
    to: [from[0] + shade, from[1] + shade, from[2] + shade],
    along: (x, y) => (gradientX * (x - centerX) + gradientY * (y - centerY)) / radius,
    grain: between(random, 0, MOST_GRAIN),
  };
}

function paint(data: Uint8Array, width: number, leaf: Leaf, random: Random): void {
  const { left, right, top, bottom, covers, from, to, along, grain } = leaf;
  // Of the sum of two uniform numbers of -0.5 to 0.5 the deviation is sqrt(1 / 6).
  const amplitude = grain * Math.sqrt(6);
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      if (!covers(x + 0.5, y + 0.5)) continue;
      const share = (Math.min(Math.max(along(x + 0.5, y + 0.5), -1), 1) + 1) / 2;
      const noise = amplitude * (random() + random() - 1);
      for (let c = 0; c < 3; c++) {
        const [start, end] = [from[c] as number, to[c] as number];
        const value = start + share * (end - start) + noise;
        data[(y * width + x) * 3 + c] = Math.floor(Math.min(Math.max(value, 0), 1) * 255 + 0.5);
      }
    }
  }
}

/** A random number of `low` to `high` with density ~ r^-3: r^-2 is uniform. */
function powerLaw(random: Random, low: number, high: number): number {
  return 1 / Math.sqrt(between(random, 1 / (high * high), 1 / (low * low)));
}
