// Draws the images that the model in models/shapes is trained, tested and shown on. Pure TypeScript, no
// Node built-ins, and only + - * / and sqrt, which IEEE 754 fixes: every engine draws the same bytes.

import { QdgError } from "../base/error.js";

/** The classes, in the order of the model's outputs. */
export const SHAPE_LABELS = ["circle", "cross", "heart", "ring", "square", "star", "triangle"] as const;
export type ShapeLabel = (typeof SHAPE_LABELS)[number];

/** Height and width of a drawn image, in pixels. */
export const SHAPE_IMAGE_SIZE = 32;

/** N images: `pixels` is [N, H, W, 3] uint8 RGB, `labels` [N] holds indices of SHAPE_LABELS. */
export interface DrawnSet {
  readonly pixels: Uint8Array;
  readonly labels: Uint8Array;
}

/** A random number in [0, 1), a new one each call. */
export type Random = () => number;
export type Point = readonly [x: number, y: number];
export type Colour = readonly [red: number, green: number, blue: number];
/** Whether a point is inside; shapes lie within the unit disc, y upwards. */
export type Inside = (x: number, y: number) => boolean;
/** The part of pixel (x, y) that is covered, 0 to 1. */
type Cover = (x: number, y: number) => number;
/** A colour at a place in the image; coordinates in pixels. */
type Paint = (x: number, y: number, channel: number) => number;

const MAX_IMAGES = 1_000_000;
const SAMPLES_PER_SIDE = 4;

/**
 * `count` images; image i is of class `i mod 7` and depends on `seed` and i alone, so that a longer set
 * begins with the shorter one.
 *
 * @throws QdgError `usage` unless count is an integer in 0..1,000,000 and seed one in 0..2^32 - 1
 */
export function drawSet(count: number, seed: number): DrawnSet {
  checkInteger("count", count, MAX_IMAGES);
  const imageBytes = SHAPE_IMAGE_SIZE * SHAPE_IMAGE_SIZE * 3;
  const pixels = new Uint8Array(count * imageBytes);
  const labels = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    labels[i] = i % SHAPE_LABELS.length;
    pixels.set(drawShape(SHAPE_LABELS[labels[i] as number] as ShapeLabel, seed, i), i * imageBytes);
  }
  return { pixels, labels };
}

/**
 * One image of `label`: [H, W, 3] uint8 RGB, H = W = SHAPE_IMAGE_SIZE. Position, size, direction, aspect,
 * colours, background, streaks and noise are drawn from a generator that starts at (seed, index); another
 * label with the same two changes the shape and nothing else.
 *
 * @throws QdgError `usage` unless seed and index are integers in 0..2^32 - 1
 */
export function drawShape(label: ShapeLabel, seed: number, index: number): Uint8Array {
  checkInteger("seed", seed, 0xffffffff);
  checkInteger("index", index, 0xffffffff);
  const random = generator(mix(mix(seed) ^ index));
  const background = randomBackground(random);
  const radius = between(random, 8.5, 14.5);
  const center = randomCenter(random, radius);
  const foreground = randomForeground(random, background, center);
  const shape = placed(shapeOf(label, random()), center, radius, random);
  const streaks = randomStreaks(random);
  const noise = between(random, 0.02, 0.1);
  const size = SHAPE_IMAGE_SIZE;
  const pixels = new Uint8Array(size * size * 3);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const layers: [cover: number, paint: Paint][] = [[shape(x, y), foreground]];
      for (const streak of streaks) layers.push([streak.cover(x, y), streak.paint]);
      const grain = noise * (random() + random() - 1);
      for (let channel = 0; channel < 3; channel++) {
        let value = background(x, y, channel);
        for (const [cover, paint] of layers) {
          if (cover > 0) value += cover * (paint(x, y, channel) - value);
        }
        value += grain + noise * 0.5 * (random() + random() - 1);
        pixels[(y * size + x) * 3 + channel] = Math.floor(Math.min(Math.max(value, 0), 1) * 255 + 0.5);
      }
    }
  }
  return pixels;
}

/** A place for a disc of `radius`, whole within the image. */
function randomCenter(random: Random, radius: number): Point {
  const margin = Math.min(radius + 1, SHAPE_IMAGE_SIZE / 2);
  return [
    between(random, margin, SHAPE_IMAGE_SIZE - margin),
    between(random, margin, SHAPE_IMAGE_SIZE - margin),
  ];
}

/** Turns and squeezes a shape, and carries it from the unit disc to a disc of the image. */
function placed(shape: Inside, [centerX, centerY]: Point, radius: number, random: Random): Cover {
  const [cos, sin] = randomDirection(random);
  const aspect = between(random, 0.76, 1);
  const reach = radius + 1;
  const inside = (x: number, y: number): boolean => {
    const dx = (x - centerX) / radius;
    const dy = (centerY - y) / radius;
    return dx * dx + dy * dy <= 1 && shape((cos * dx + sin * dy) / aspect, cos * dy - sin * dx);
  };
  return (x, y) => {
    const dx = x + 0.5 - centerX;
    const dy = y + 0.5 - centerY;
    return dx * dx + dy * dy > reach * reach ? 0 : sampled(inside, x, y);
  };
}

/** The mean over a grid of 4 x 4 points in pixel (x, y). */
function sampled(inside: Inside, x: number, y: number): number {
  let count = 0;
  for (let i = 0; i < SAMPLES_PER_SIDE; i++) {
    for (let j = 0; j < SAMPLES_PER_SIDE; j++) {
      if (inside(x + (i + 0.5) / SAMPLES_PER_SIDE, y + (j + 0.5) / SAMPLES_PER_SIDE)) count++;
    }
  }
  return count / (SAMPLES_PER_SIDE * SAMPLES_PER_SIDE);
}

/** `detail`, 0 to 1, sets what varies within a class: a hole's size, an arm's width. */
export function shapeOf(label: ShapeLabel, detail: number): Inside {
  switch (label) {
    case "circle":
      return (x, y) => x * x + y * y <= 0.95;
    case "ring": {
      const hole = 0.4 + 0.3 * detail;
      return (x, y) => x * x + y * y <= 0.95 && x * x + y * y >= hole * hole;
    }
    case "square": {
      const half = 0.66 + 0.06 * detail;
      return (x, y) => Math.max(Math.abs(x), Math.abs(y)) <= half;
    }
    case "cross": {
      const arm = 0.2 + 0.12 * detail;
      return (x, y) => Math.min(Math.abs(x), Math.abs(y)) <= arm && Math.max(Math.abs(x), Math.abs(y)) <= 0.9;
    }
    case "heart":
      // The sextic (x^2 + y^2 - 1)^3 = x^2 y^3, scaled into the disc.
      return (x, y) => {
        const u = x * 1.25;
        const v = y * 1.25 + 0.12;
        const w = u * u + v * v - 1;
        return w * w * w <= u * u * v * v * v;
      };
    case "star":
      return polygon(starPoints(0.4 + 0.15 * detail));
    case "triangle":
      return polygon([
        [0, 0.98],
        [-0.85, -0.5],
        [0.85, -0.5],
      ]);
    default:
      return label satisfies never;
  }
}

/** cos and sin of 90, 126, 162, ... degrees, written out so that no engine's own cosine comes in. */
const TENTHS: readonly Point[] = [
  [0, 1],
  [-0.5877852522924731, 0.8090169943749475],
  [-0.9510565162951535, 0.3090169943749474],
  [-0.9510565162951535, -0.3090169943749474],
  [-0.5877852522924731, -0.8090169943749475],
  [0, -1],
  [0.5877852522924731, -0.8090169943749475],
  [0.9510565162951535, -0.3090169943749474],
  [0.9510565162951535, 0.3090169943749474],
  [0.5877852522924731, 0.8090169943749475],
];

function starPoints(inner: number): Point[] {
  return TENTHS.map(([x, y], i) => (i % 2 === 0 ? [x, y] : [x * inner, y * inner]));
}

/** Even-odd rule: inside when a ray to the right crosses the outline an odd number of times. */
function polygon(points: readonly Point[]): Inside {
  return (x, y) => {
    let odd = false;
    let [fromX, fromY] = points[points.length - 1] as Point;
    for (const [toX, toY] of points) {
      if (fromY > y !== toY > y && x < ((toX - fromX) * (y - fromY)) / (toY - fromY) + fromX) odd = !odd;
      fromX = toX;
      fromY = toY;
    }
    return odd;
  };
}

/** A gradient between two colours, with stripes of a random width on top. */
function randomBackground(random: Random): Paint {
  const gradient = randomGradient(random, randomColour(random), randomColour(random));
  const [cos, sin] = randomDirection(random);
  const period = between(random, 3, 14);
  const phase = random();
  const strength = random() < 0.5 ? between(random, 0, 0.25) : 0;
  return (x, y, channel) => {
    const turns = (cos * x + sin * y) / period + phase;
    const wave = Math.abs(2 * (turns - Math.floor(turns)) - 1) - 0.5;
    return gradient(x, y, channel) + strength * wave;
  };
}

/** A gradient that keeps a distance from the background's colour where the shape's center is. */
function randomForeground(random: Random, background: Paint, [centerX, centerY]: Point): Paint {
  const distance = between(random, 0.4, 0.7);
  const far = (): Colour => {
    for (;;) {
      const colour = randomColour(random);
      const difference = colour.map((value, channel) => value - background(centerX, centerY, channel));
      if (Math.sqrt(difference.reduce((sum, value) => sum + value * value, 0)) >= distance) return colour;
    }
  };
  const colour = far();
  return randomGradient(random, colour, random() < 0.25 ? far() : colour);
}

function randomGradient(random: Random, from: Colour, to: Colour): Paint {
  const [cos, sin] = randomDirection(random);
  const middle = SHAPE_IMAGE_SIZE / 2;
  return (x, y, channel) => {
    const along = (cos * (x - middle) + sin * (y - middle)) / SHAPE_IMAGE_SIZE + 0.5;
    const start = from[channel] as number;
    return start + Math.min(Math.max(along, 0), 1) * ((to[channel] as number) - start);
  };
}

interface Streak {
  readonly cover: Cover;
  readonly paint: Paint;
}

/** None or one thin bar across the image, over the shape. */
function randomStreaks(random: Random): Streak[] {
  return Array.from({ length: Math.floor(random() * 2) }, () => {
    const [cos, sin] = randomDirection(random);
    const offset = between(random, -12, 12) + (cos + sin) * (SHAPE_IMAGE_SIZE / 2);
    const half = between(random, 0.4, 1.2);
    const opacity = between(random, 0.4, 1);
    const colour = randomColour(random);
    return {
      cover: (x: number, y: number) => {
        const distance = Math.abs(cos * (x + 0.5) + sin * (y + 0.5) - offset);
        return opacity * Math.min(Math.max(half + 0.5 - distance, 0), 1);
      },
      paint: (_x: number, _y: number, channel: number) => colour[channel] as number,
    };
  });
}

function randomColour(random: Random): Colour {
  return [random(), random(), random()];
}

/** A point of the unit circle: one of the disc, by trial, moved out to the rim. */
export function randomDirection(random: Random): Point {
  for (;;) {
    const x = 2 * random() - 1;
    const y = 2 * random() - 1;
    const square = x * x + y * y;
    if (square > 0.01 && square <= 1) return [x / Math.sqrt(square), y / Math.sqrt(square)];
  }
}

export function between(random: Random, low: number, high: number): number {
  return low + (high - low) * random();
}

/** A Weyl sequence on 32 bits, each term scrambled; 24 of its bits become the fraction. */
export function generator(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    return (mix(state) >>> 8) / 0x1000000;
  };
}

/** Scrambles 32 bits, one to one: xor-shifts and odd multipliers (the finalizer of MurmurHash3). */
export function mix(bits: number): number {
  let x = bits | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
}

function checkInteger(name: string, value: number, high: number): void {
  if (!Number.isInteger(value) || value < 0 || value > high) {
    throw new QdgError(
      "usage",
      "drawn shapes",
      `${name}: got ${value}, expected an integer from 0 to ${high}`,
    );
  }
}
