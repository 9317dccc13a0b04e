// Draws the figures of drawn-sets.ts in four styles, which stand for the domains of each set. Pure TypeScript,
// no Node built-ins, and only + - * / and sqrt, which IEEE 754 fixes: every engine draws the same bytes.

import { QdgError } from "../base/error.js";
import { signedDistance } from "./distance-field.js";
import type { Colour, Random } from "./draw-shapes.js";
import { between, generator, mix, randomDirection } from "./draw-shapes.js";
import { type Figure, findFigure, type PlacedFigure } from "./drawn-sets.js";

/**
 * "flat": one plain color on another, as cut paper. "neon": a glowing outline, faintly lit within, on a dark ground. "sketch": pencil
 * lines on paper, uneven, sometimes hatched. "textured": a lit, shaded body over mottled ground, with its
 * shadow, vignette and the noise of a sensor.
 */
export const STYLES = ["flat", "neon", "sketch", "textured"] as const;
export type Style = (typeof STYLES)[number];

/** Points along a side of a pixel at which a figure is looked at: fewer where pixels are many. */
const FINE_SAMPLES = 3;
const COARSE_SAMPLES = 2;
const FINE_UP_TO = 48;
const MAX_SIZE = 2048;

/** Where a figure lies, and how far each point is from its edge. */
interface Placed {
  /** In pixels. */
  readonly radius: number;
  /** The mean of f(d) over the samples of pixel (x, y); d in pixels, below 0 inside. */
  mean(x: number, y: number, f: (distance: number) => number): number;
  /** The distance at the pixel nearest to (x, y), clamped into the image. */
  at(x: number, y: number): number;
}

/** Value of a channel at pixel (x, y), before it is clamped to 0..1. */
type Painter = (x: number, y: number) => Colour;

/**
 * One image of `figure` in `style`: [H, W, 3] uint8 RGB, H = W = size. Place, size, tilt (shapes up to 30 degrees,
 * digits up to 10), aspect, details and the looks of the style come from a generator that starts at (style, figure,
 * seed, index). At another size it is the same picture, but for pixel noise.
 *
 * @param size from 1 to 2048, sensible from 16
 * @throws QdgError `usage` for a size out of range, or unless seed and index are integers in 0..2^32 - 1
 */
export function drawStyled(
  style: Style,
  figure: Figure,
  size: number,
  seed: number,
  index: number,
): Uint8Array {
  checkInteger("size", size, 1, MAX_SIZE);
  checkInteger("seed", seed, 0, 0xffffffff);
  checkInteger("index", index, 0, 0xffffffff);
  const found = findFigure(figure);
  const { set, label, before } = found;
  const kind = STYLES.length * before + STYLES.indexOf(style) * set.labels.length + label + 1;
  const random = generator(mix(mix(mix(seed) ^ kind) ^ index));
  const shape = place(found, size, random);
  const painter = painterOf(style, shape, size, random);
  const pixels = new Uint8Array(size * size * 3);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      painter(x, y).forEach((value, channel) => {
        pixels[(y * size + x) * 3 + channel] = Math.floor(Math.min(Math.max(value, 0), 1) * 255 + 0.5);
      });
    }
  }
  return pixels;
}

function painterOf(style: Style, shape: Placed, size: number, random: Random): Painter {
  switch (style) {
    case "flat":
      return flat(shape, random);
    case "neon":
      return neon(shape, size, random);
    case "sketch":
      return sketch(shape, size, random);
    case "textured":
      return textured(shape, size, random);
    default:
      return style satisfies never;
  }
}

function place({ set, label }: PlacedFigure, size: number, random: Random): Placed {
  const radius = between(random, 0.3, 0.44) * size;
  const margin = Math.min(radius + size / 32, size / 2);
  const centerX = between(random, margin, size - margin);
  const centerY = between(random, margin, size - margin);
  const sin = between(random, -set.tilt, set.tilt);
  const cos = Math.sqrt(1 - sin * sin);
  const aspect = between(random, 0.8, 1);
  const inside = set.insideOf(label, random);
  const samples = size <= FINE_UP_TO ? FINE_SAMPLES : COARSE_SAMPLES;
  const side = size * samples;
  const mask = new Uint8Array(side * side);
  for (let j = 0; j < side; j++) {
    for (let i = 0; i < side; i++) {
      const x = ((i + 0.5) / samples - centerX) / radius;
      const y = (centerY - (j + 0.5) / samples) / radius;
      if (x * x + y * y > 1) continue;
      if (inside((cos * x + sin * y) / aspect, cos * y - sin * x)) mask[j * side + i] = 1;
    }
  }
  const field = signedDistance(mask, side).map((distance) => distance / samples);
  return {
    radius,
    mean(x, y, f) {
      let sum = 0;
      for (let j = 0; j < samples; j++) {
        const start = (y * samples + j) * side + x * samples;
        for (let i = 0; i < samples; i++) sum += f(field[start + i] as number);
      }
      return sum / (samples * samples);
    },
    at(x, y) {
      const i = Math.min(Math.max(Math.floor((x + 0.5) * samples), 0), side - 1);
      const j = Math.min(Math.max(Math.floor((y + 0.5) * samples), 0), side - 1);
      return field[j * side + i] as number;
    },
  };
}

function flat(shape: Placed, random: Random): Painter {
  const ground = randomColour(random);
  const body = colourAwayFrom(random, ground, 0.5);
  return (x, y) => blend(ground, body, shape.mean(x, y, isInside));
}

function neon(shape: Placed, size: number, random: Random): Painter {
  const ground = scaled(randomColour(random), 0.16);
  const horizon = between(random, 0.2, 1);
  const light = vividColour(random);
  const half = Math.max(between(random, 0.05, 0.1) * shape.radius, 0.5);
  const reach = between(random, 0.1, 0.22) * shape.radius;
  const strength = between(random, 0.45, 0.8);
  const white = between(random, 0.3, 0.9);
  const inner = between(random, 0, 0.4);
  const grain = between(random, 0.01, 0.03);
  return (x, y) => {
    const tube = shape.mean(x, y, (d) => (Math.abs(d) <= half ? 1 : 0));
    const glow = shape.mean(x, y, (d) => {
      const away = d / reach;
      return strength / (1 + away * away);
    });
    const gas = inner * shape.mean(x, y, isInside);
    const sky = 1 - (horizon * (y + 0.5)) / size;
    const core = blend(light, [1, 1, 1], white);
    const noise = grain * (random() + random() - 1);
    return map3((c) => {
      const lit = ground[c] * sky + Math.max(glow, gas) * light[c] * (1 - ground[c]);
      return lit + tube * (core[c] - lit) + noise;
    });
  };
}

function sketch(shape: Placed, size: number, random: Random): Painter {
  const paper = blend([1, 1, 1], randomColour(random), 0.12);
  const pencil = scaled(randomColour(random), 0.4);
  const half = Math.max(between(random, 0.03, 0.07) * shape.radius, size / 90);
  const wobble = valueNoise(random, size / 5);
  const tremor = between(random, 0.02, 0.07) * shape.radius;
  const pressure = valueNoise(random, size / 12);
  const [cos, sin] = randomDirection(random);
  const spacing = between(random, 0.06, 0.11) * size;
  const hatch = random() < 0.4 ? between(random, 0.25, 0.5) : 0;
  const grain = between(random, 0.02, 0.06);
  return (x, y) => {
    const shift = tremor * (2 * wobble(x, y) - 1);
    const force = 0.55 + 0.45 * pressure(x, y);
    const line = shape.mean(x, y, (d) => (Math.abs(d + shift) <= half ? 1 : 0));
    const turns = (cos * x + sin * y + shift) / spacing;
    const stripe = Math.abs(turns - Math.floor(turns) - 0.5) < 0.14 ? hatch : 0;
    const inner = stripe === 0 ? 0 : stripe * shape.mean(x, y, isInside);
    const noise = grain * (random() + random() - 1);
    const drawn = blend(paper, pencil, Math.max(line * force, inner * force));
    return map3((c) => drawn[c] + noise);
  };
}

function textured(shape: Placed, size: number, random: Random): Painter {
  const ground = randomColour(random);
  const moss = nearColour(random, ground, 0.5);
  const body = colourAwayFrom(random, blend(ground, moss, 0.5), 0.55);
  const vein = nearColour(random, body, 0.3);
  const coarse = valueNoise(random, size / 4);
  const fine = valueNoise(random, size / 11);
  const skin = valueNoise(random, size / 7);
  const [lightX, lightY] = randomDirection(random);
  const relief = between(random, 0.1, 0.25);
  const bevel = between(random, 0.15, 0.35) * shape.radius;
  const shadow = between(random, 0.2, 0.5);
  const offset = between(random, 0.05, 0.15) * size;
  const soft = between(random, 0.02, 0.04) * size;
  const vignette = between(random, 0, 0.5);
  const noise = between(random, 0.02, 0.06);
  return (x, y) => {
    const mottle = 0.6 * coarse(x, y) + 0.4 * fine(x, y);
    const dark = shadow * falling(shape.at(x + lightX * offset, y + lightY * offset) / (3 * soft));
    const under = scaled(blend(ground, moss, smooth(mottle)), 1 - dark);
    // The slope of the distance at the edge, where the body bends away from the light or towards it.
    const slopeX = shape.at(x + 1, y) - shape.at(x - 1, y);
    const slopeY = shape.at(x, y + 1) - shape.at(x, y - 1);
    const depth = shape.at(x, y);
    const bend = Math.max(0, 1 + depth / bevel);
    const shade = (relief * bend * (slopeX * lightX + slopeY * lightY)) / 2;
    const over = blend(body, vein, skin(x, y));
    const cover = shape.mean(x, y, (d) => falling(d / soft));
    const right = (x + 0.5) / size - 0.5;
    const down = (y + 0.5) / size - 0.5;
    const lens = 1 - vignette * 2 * (right * right + down * down);
    const common = noise * (random() + random() - 1);
    return map3((c) => {
      const value = under[c] + cover * (over[c] + shade - under[c]);
      return value * lens + common + noise * 0.5 * (random() + random() - 1);
    });
  };
}

function isInside(distance: number): number {
  return distance < 0 ? 1 : 0;
}

/** 1 below -1, 0 above 1, smooth in between. */
function falling(x: number): number {
  return 1 - smooth((x + 1) / 2);
}

/** 3 t^2 - 2 t^3, t clamped to 0..1. */
function smooth(x: number): number {
  const t = Math.min(Math.max(x, 0), 1);
  return t * t * (3 - 2 * t);
}

/** Random values 0..1 at the corners of cells of `cell` pixels, smoothly joined. */
function valueNoise(random: Random, cell: number): (x: number, y: number) => number {
  const salt = Math.floor(random() * 0x1000000);
  const corner = (i: number, j: number): number => (mix(mix(salt ^ i) ^ j) >>> 8) / 0x1000000;
  return (x, y) => {
    const u = x / cell;
    const v = y / cell;
    const i = Math.floor(u);
    const j = Math.floor(v);
    const right = smooth(u - i);
    const top = corner(i, j) + right * (corner(i + 1, j) - corner(i, j));
    const bottom = corner(i, j + 1) + right * (corner(i + 1, j + 1) - corner(i, j + 1));
    return top + smooth(v - j) * (bottom - top);
  };
}

function map3(f: (c: 0 | 1 | 2) => number): Colour {
  return [f(0), f(1), f(2)];
}

function blend(from: Colour, to: Colour, part: number): Colour {
  return map3((c) => from[c] + part * (to[c] - from[c]));
}

function scaled(colour: Colour, factor: number): Colour {
  return map3((c) => factor * colour[c]);
}

function randomColour(random: Random): Colour {
  return [random(), random(), random()];
}

/** One channel full, one anywhere, one low. */
function vividColour(random: Random): Colour {
  const first = Math.floor(random() * 3);
  const second = (first + 1 + Math.floor(random() * 2)) % 3;
  const middle = random();
  const low = between(random, 0, 0.25);
  return map3((c) => (c === first ? 1 : c === second ? middle : low));
}

function distanceOf(a: Colour, b: Colour): number {
  const [x, y, z] = map3((c) => a[c] - b[c]);
  return Math.sqrt(x * x + y * y + z * z);
}

/** At least `least` away, at most sqrt(3) / 2, which every color leaves room for. */
function colourAwayFrom(random: Random, other: Colour, least: number): Colour {
  for (;;) {
    const colour = randomColour(random);
    if (distanceOf(colour, other) >= least) return colour;
  }
}

function nearColour(random: Random, other: Colour, most: number): Colour {
  return blend(other, randomColour(random), most * random());
}

function checkInteger(name: string, value: number, low: number, high: number): void {
  if (Number.isInteger(value) && value >= low && value <= high) return;
  throw new QdgError(
    "usage",
    "drawn images",
    `${name}: got ${value}, expected an integer from ${low} to ${high}`,
  );
}
