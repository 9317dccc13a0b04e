// The inner loops of what training does to every activation in one pass: rectifiers, batch normalization and
// quantizers. Sixteen elements a round; a number a channel comes as a pattern of rounds.

import {
  advance,
  assemble,
  type AssembledFunction,
  type Code,
  f32x4,
  get,
  i32,
  type Local,
  memory,
  repeat,
  set,
  v128,
} from "./assembler.js";
import { ROUND } from "./elementwise.js";

const BYTES = ROUND * 4;
const VECTOR_BYTES = 16;

/** `out = a where b > 0, else 0`. Pointers, and rounds. */
export type PositiveLoop = (a: number, b: number, out: number, rounds: number) => void;
export const positive: AssembledFunction = assemble(
  "positive",
  ["a", "b", "out", "rounds"],
  ({ a, b, out, rounds }) =>
    repeat(rounds, [
      ...vectors((at) => {
        const kept = v128.and(memory.v128(get(a), at), f32x4.greater(memory.v128(get(b), at), v128.zero));
        return memory.storeV128(get(out), kept, at);
      }),
      ...[a, b, out].flatMap((pointer) => advance(pointer, i32(BYTES))),
    ]),
);

/**
 * `out = fl(a * factor) + offset`, with patterns of `rounds` rounds, in each of so many periods. Pointers.
 */
export type AffineLoop = (
  a: number,
  factor: number,
  offset: number,
  out: number,
  periods: number,
  rounds: number,
) => void;
export const affine: AssembledFunction = assemble(
  "affine",
  ["a", "factor", "offset", "out", "periods", "rounds"],
  ({ a, factor, offset, out, periods, rounds }, local) =>
    inPeriods(periods, rounds, [factor, offset], [a, out], local, ([f, o]) =>
      vectors((at) => {
        const product = f32x4.mul(memory.v128(get(a), at), memory.v128(get(f as Local), at));
        return memory.storeV128(get(out), f32x4.add(product, memory.v128(get(o as Local), at)), at);
      }),
    ),
);

/** `out = a * factor + (b * slope + offset)`, likewise. */
export type BiaffineLoop = (
  a: number,
  factor: number,
  b: number,
  slope: number,
  offset: number,
  out: number,
  periods: number,
  rounds: number,
) => void;
export const biaffine: AssembledFunction = assemble(
  "biaffine",
  ["a", "factor", "b", "slope", "offset", "out", "periods", "rounds"],
  ({ a, factor, b, slope, offset, out, periods, rounds }, local) =>
    inPeriods(periods, rounds, [factor, slope, offset], [a, b, out], local, ([f, s, o]) =>
      vectors((at) => {
        const first = f32x4.mul(memory.v128(get(a), at), memory.v128(get(f as Local), at));
        const second = f32x4.mul(memory.v128(get(b), at), memory.v128(get(s as Local), at));
        const rest = f32x4.add(second, memory.v128(get(o as Local), at));
        return memory.storeV128(get(out), f32x4.add(first, rest), at);
      }),
    ),
);

/** `out = scale * roundHalfEven(min(max(fl(v / scale), low), high))`; three single floats by address. */
export type GridLoop = (
  v: number,
  scale: number,
  low: number,
  high: number,
  out: number,
  rounds: number,
) => void;
export const grid: AssembledFunction = assemble(
  "grid",
  ["v", "scale", "low", "high", "out", "rounds"],
  ({ v, scale, low, high, out, rounds }, local) => {
    const [s, least, greatest] = [local("v128"), local("v128"), local("v128")];
    return [
      ...set(s, memory.splat(get(scale))),
      ...set(least, memory.splat(get(low))),
      ...set(greatest, memory.splat(get(high))),
      ...repeat(rounds, [
        ...vectors((at) => {
          const ratio = f32x4.div(memory.v128(get(v), at), get(s));
          const clipped = f32x4.min(f32x4.max(ratio, get(least)), get(greatest));
          return memory.storeV128(get(out), f32x4.mul(v128.nearest(clipped), get(s)), at);
        }),
        ...[v, out].flatMap((pointer) => advance(pointer, i32(BYTES))),
      ]),
    ];
  },
);

/**
 * `dv = dy where least <= v <= greatest, else 0`, and four partial sums of `dy y - dv v` added to those at `sums`;
 * the bounds are single floats by address.
 */
export type GridGradientLoop = (
  dy: number,
  v: number,
  y: number,
  dv: number,
  least: number,
  greatest: number,
  sums: number,
  rounds: number,
) => void;
export const gridGradient: AssembledFunction = assemble(
  "gridGradient",
  ["dy", "v", "y", "dv", "least", "greatest", "sums", "rounds"],
  ({ dy, v, y, dv, least, greatest, sums, rounds }, local) => {
    const [low, high, sum, slope, value, inside] = Array.from({ length: 6 }, () => local("v128")) as [
      Local,
      Local,
      Local,
      Local,
      Local,
      Local,
    ];
    return [
      ...set(low, memory.splat(get(least))),
      ...set(high, memory.splat(get(greatest))),
      ...set(sum, memory.v128(get(sums))),
      ...repeat(rounds, [
        ...vectors((at) => [
          ...set(slope, memory.v128(get(dy), at)),
          ...set(value, memory.v128(get(v), at)),
          ...set(
            inside,
            v128.and(f32x4.greaterEqual(get(value), get(low)), f32x4.lessEqual(get(value), get(high))),
          ),
          ...memory.storeV128(get(dv), v128.and(get(slope), get(inside)), at),
          // (y - v) dy inside, y dy outside.
          ...set(value, f32x4.sub(memory.v128(get(y), at), v128.and(get(value), get(inside)))),
          ...set(sum, f32x4.add(get(sum), f32x4.mul(get(slope), get(value)))),
        ]),
        ...[dy, v, y, dv].flatMap((pointer) => advance(pointer, i32(BYTES))),
      ]),
      ...memory.storeV128(get(sums), get(sum)),
    ];
  },
);

/** Patterns begin again in each period; the other pointers go on. */
function inPeriods(
  periods: Local,
  rounds: Local,
  patterns: readonly Local[],
  pointers: readonly Local[],
  local: (type: "i32") => Local,
  round: (patterns: readonly Local[]) => Code,
): Code {
  const left = local("i32");
  const moving = patterns.map(() => local("i32"));
  return repeat(periods, [
    ...moving.flatMap((pointer, i) => set(pointer, get(patterns[i] as Local))),
    ...set(left, get(rounds)),
    ...repeat(left, [
      ...round(moving),
      ...[...moving, ...pointers].flatMap((pointer) => advance(pointer, i32(BYTES))),
    ]),
  ]);
}

function vectors(each: (offset: number) => Code): Code {
  return Array.from({ length: ROUND / 4 }, (_, i) => each(i * VECTOR_BYTES)).flat();
}
