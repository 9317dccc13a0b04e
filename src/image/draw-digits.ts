// The ten digits as strokes of a pen, for the styles of draw-styles.ts. Pure TypeScript, no Node built-ins, and
// only + - * / and sqrt, which IEEE 754 fixes: every engine finds the same points inside.

import { between, type Inside, type Point, type Random } from "./draw-shapes.js";

/** The classes, in the order of the outputs of a model that tells them apart. */
export const DIGIT_LABELS = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"] as const;
export type DigitLabel = (typeof DIGIT_LABELS)[number];

/** What a pen draws without being lifted: points that straight lines join, y upwards. */
type Stroke = readonly Point[];
/** The four points of a cubic Bezier curve without its first, which is where the pen is. */
type Curve = readonly [Point, Point, Point];

/** Points along a curve: at 2048 pixels a corner between two of them is still below the width of a line. */
const POINTS = 12;
/** Control points of a quarter of a circle lie so far from its ends: 4/3 (sqrt(2) - 1). */
const QUARTER = 0.5522847498307936;
/** No stroke comes nearer to the rim of the unit disc. */
const REACH = 0.97;

/**
 * A digit within the unit disc, as large as fits and centered. Which form of it (a 4 open or closed, a 7 with and
 * without a bar, a 1 with and without a foot ...), how heavy, wide and slanted, and where its points
 * lie exactly comes from `random`. A point is inside within half the pen's width of a stroke; ends are round.
 */
export function digitOf(label: DigitLabel, random: Random): Inside {
  const pen = between(random, 0.1, 0.17);
  const width = between(random, 0.9, 1.15);
  const slant = between(random, -0.1, 0.25);
  const jitter = (x: number, y: number): Point => [
    x + between(random, -0.05, 0.05),
    y + between(random, -0.05, 0.05),
  ];
  const strokes = strokesOf(label, random, jitter);
  const slanted = strokes.map((stroke) => stroke.map(([x, y]): Point => [width * x + slant * y, y]));
  return near(fitted(slanted, REACH - pen), pen);
}

/** In a box of about 1.2 by 2 around 0; `at` is a point that a hand misses by a little. */
function strokesOf(label: DigitLabel, random: Random, at: (x: number, y: number) => Point): Stroke[] {
  switch (label) {
    case "0":
      return [ellipse(at(0, 0), between(random, 0.52, 0.72), 1)];
    case "1":
      return one(random, at);
    case "2":
      return [
        path(
          at(-0.56, 0.5),
          [at(-0.5, 1.12), at(0.62, 1.18), at(0.55, 0.42)],
          [at(0.5, 0), at(-0.25, -0.4), at(-0.58, -0.97)],
          straight(at(0.6, -0.97)),
        ),
      ];
    case "3":
      return [three(random, at)];
    case "4":
      return four(random, at);
    case "5": {
      const corner = at(-0.42, 0.97);
      const lobe = path(
        at(-0.48, 0.08),
        [at(-0.15, 0.42), at(0.62, 0.4), at(0.6, -0.28)],
        [at(0.58, -1.05), at(-0.2, -1.15), at(-0.58, -0.72)],
      );
      return [[at(0.52, 0.97), corner, ...lobe]];
    }
    case "6":
      return six(random);
    case "7":
      return seven(random, at);
    case "8": {
      const waist = between(random, 0.02, 0.12);
      const upper = between(random, 0.42, 0.5);
      return [
        ellipse([0, (1 + waist) / 2], upper, (1 - waist) / 2),
        ellipse([0, (waist - 1) / 2], upper + between(random, 0.06, 0.14), (1 + waist) / 2),
      ];
    }
    case "9":
      // Its own stem in half of them; else a 6 upside down.
      return random() < 0.5
        ? six(random).map((stroke) => stroke.map(([x, y]): Point => [-x, -y]))
        : straightNine(random, at);
    default:
      return label satisfies never;
  }
}

function one(random: Random, at: (x: number, y: number) => Point): Stroke[] {
  const top = at(0.05, 1);
  const bottom = at(0.05, -1);
  const flag = at(between(random, -0.42, -0.28), between(random, 0.52, 0.68));
  const foot = [at(-0.38, -1), at(0.48, -1)];
  const kind = random();
  // A stem alone is a 1 too, but the rarest.
  if (kind < 0.15) return [[top, bottom]];
  return kind < 0.6 ? [[flag, top, bottom]] : [[flag, top, bottom], foot];
}

function three(random: Random, at: (x: number, y: number) => Point): Stroke {
  const waist = at(-0.08, 0.12);
  const lower: Curve[] = [
    [at(0.5, 0.2), at(0.65, -0.15), at(0.6, -0.45)],
    [at(0.5, -1.12), at(-0.35, -1.12), at(-0.58, -0.66)],
  ];
  if (random() < 0.3) return [at(-0.5, 0.97), at(0.5, 0.97), ...path(waist, ...lower)];
  const upper: Curve[] = [
    [at(-0.35, 1.12), at(0.5, 1.15), at(0.5, 0.56)],
    [at(0.5, 0.26), at(0.2, 0.12), waist],
  ];
  return path(at(-0.54, 0.64), ...upper, ...lower);
}

function four(random: Random, at: (x: number, y: number) => Point): Stroke[] {
  if (random() < 0.5) {
    const stem = between(random, 0.24, 0.34);
    return [[at(0.66, -0.44), at(-0.68, -0.42), [stem, 1], at(stem, -1)]];
  }
  return [
    [at(-0.36, 0.98), at(-0.56, -0.2), at(0.6, -0.2)],
    [at(0.28, between(random, 0.35, 0.9)), at(0.2, -1)],
  ];
}

function six(random: Random): Stroke[] {
  const half = between(random, 0.5, 0.62);
  const height = between(random, 0.5, 0.6);
  const middle = height - 1;
  const end: Point = [between(random, 0.25, 0.45), between(random, 0.9, 1)];
  const stem = path(end, [
    [-0.15, 0.92],
    [-half, 0.4],
    [-half, middle],
  ]);
  return [stem, ellipse([0, middle], half, height)];
}

function seven(random: Random, at: (x: number, y: number) => Point): Stroke[] {
  const right = at(0.55, 0.95);
  const stroke = [at(-0.58, 0.95), right, at(between(random, -0.3, -0.05), -1)];
  const bar = [at(-0.3, -0.04), at(0.48, 0)];
  return random() < 0.4 ? [stroke, bar] : [stroke];
}

function straightNine(random: Random, at: (x: number, y: number) => Point): Stroke[] {
  const half = between(random, 0.48, 0.58);
  const height = between(random, 0.46, 0.54);
  const middle = 1 - height;
  return [ellipse([0, middle], half, height), [[half, middle], at(half - 0.04, -1)]];
}

/** From `start` along curves, each from where the last one ended. */
function path(start: Point, ...curves: readonly Curve[]): Stroke {
  const points: Point[] = [start];
  let from = start;
  for (const [a, b, to] of curves) {
    for (let i = 1; i <= POINTS; i++) points.push(bezier(from, a, b, to, i / POINTS));
    from = to;
  }
  return points;
}

/** A straight line as a curve: its inner control points at its end. */
function straight(to: Point): Curve {
  return [to, to, to];
}

/** (1-t)^3 a + 3 (1-t)^2 t b + 3 (1-t) t^2 c + t^3 d. */
function bezier(a: Point, b: Point, c: Point, d: Point, t: number): Point {
  const u = 1 - t;
  const along = (axis: 0 | 1): number =>
    u * u * u * a[axis] + 3 * u * u * t * b[axis] + 3 * u * t * t * c[axis] + t * t * t * d[axis];
  return [along(0), along(1)];
}

/** Four curves, one a quarter; off a true ellipse by less than 0.03 % of its size. */
function ellipse([x, y]: Point, halfWidth: number, halfHeight: number): Stroke {
  const to = (u: number, v: number): Point => [x + u * halfWidth, y + v * halfHeight];
  const k = QUARTER;
  return path(
    to(0, 1),
    [to(-k, 1), to(-1, k), to(-1, 0)],
    [to(-1, -k), to(-k, -1), to(0, -1)],
    [to(k, -1), to(1, -k), to(1, 0)],
    [to(1, k), to(k, 1), to(0, 1)],
  );
}

/** Moved so that their box is around 0, then brought to `reach` from it. */
function fitted(strokes: readonly Stroke[], reach: number): Stroke[] {
  const points = strokes.flat();
  const middle = (axis: 0 | 1): number => {
    const values = points.map((point) => point[axis]);
    return (values.reduce((a, b) => Math.min(a, b)) + values.reduce((a, b) => Math.max(a, b))) / 2;
  };
  const [middleX, middleY] = [middle(0), middle(1)];
  const farthest = points.reduce((most, [x, y]) => {
    const [dx, dy] = [x - middleX, y - middleY];
    return Math.max(most, dx * dx + dy * dy);
  }, 0);
  const scale = reach / Math.sqrt(farthest);
  return strokes.map((stroke) =>
    stroke.map(([x, y]): Point => [(x - middleX) * scale, (y - middleY) * scale]),
  );
}

/** Whether a point is within `reach` of a line of a stroke. */
function near(strokes: readonly Stroke[], reach: number): Inside {
  const lines = strokes.flatMap((stroke) =>
    stroke.slice(1).map((to, i) => {
      const from = stroke[i] as Point;
      const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
      return { x: from[0], y: from[1], dx, dy, square: dx * dx + dy * dy };
    }),
  );
  const square = reach * reach;
  return (x, y) => {
    for (const line of lines) {
      const px = x - line.x;
      const py = y - line.y;
      const along = line.square === 0 ? 0 : (px * line.dx + py * line.dy) / line.square;
      const t = Math.min(Math.max(along, 0), 1);
      const ex = px - t * line.dx;
      const ey = py - t * line.dy;
      if (ex * ex + ey * ey <= square) return true;
    }
    return false;
  };
}
