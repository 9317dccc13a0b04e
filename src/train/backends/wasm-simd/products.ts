// The inner loops of filter gradients: sums over pixels of products of channels, for as many channels at once as
// the registers hold.

import {
  advance,
  assemble,
  type AssembledFunction,
  type Code,
  f32,
  f32x4,
  get,
  type Local,
  memory,
  repeat,
  set,
} from "./assembler.js";

const VECTOR_BYTES = 16;
const FLOAT_BYTES = 4;

/**
 * What all of them take: `rows * pixels` pixels of x and of dy, distances in bytes. Of one pixel of x to the next
 * `xPixel`, of the first of one row to the first of the next `xRow`.
 */
const PARAMETERS = [
  "x",
  "dy",
  "out",
  "rows",
  "pixels",
  "xPixel",
  "xRow",
  "dyPixel",
  "dyRow",
  "outRow",
] as const;
type Parameters = Readonly<Record<(typeof PARAMETERS)[number], Local>>;

export type Products = (
  x: number,
  dy: number,
  out: number,
  rows: number,
  pixels: number,
  xPixel: number,
  xRow: number,
  dyPixel: number,
  dyRow: number,
  outRow: number,
) => void;

/** `out[c outRow + k] += sum over pixels of x[c] dy[k]` for c below 4 or 1 and k below 8 or 4. */
export const outerProducts: readonly AssembledFunction[] = [
  outerProduct("outer4x8", 4, 2),
  outerProduct("outer4x4", 4, 1),
  outerProduct("outer1x8", 1, 2),
  outerProduct("outer1x4", 1, 1),
];

/** @param vectors of four output channels */
function outerProduct(name: string, inputs: number, vectors: number): AssembledFunction {
  return assemble(name, PARAMETERS, (parameters, local) => {
    const sums = Array.from({ length: inputs }, () => Array.from({ length: vectors }, () => local("v128")));
    const slopes = Array.from({ length: vectors }, () => local("v128"));
    const input = local("v128");
    const outs = Array.from({ length: inputs }, () => local("i32"));
    const pixel = (x: Local, dy: Local): Code => [
      ...slopes.flatMap((slope, v) => set(slope, memory.v128(get(dy), v * VECTOR_BYTES))),
      ...sums.flatMap((row, c) => [
        ...set(input, memory.splat(get(x), c * FLOAT_BYTES)),
        ...row.flatMap((sum, v) =>
          set(sum, f32x4.add(get(sum), f32x4.mul(get(input), get(slopes[v] as Local)))),
        ),
      ]),
    ];
    return [
      ...outs.flatMap((out, c) => {
        const before = outs[c - 1];
        const value = before ? [...get(before)] : get(parameters.out);
        return [...set(out, value), ...(before ? advance(out, get(parameters.outRow)) : [])];
      }),
      ...sums.flatMap((row, c) =>
        row.flatMap((sum, v) => set(sum, memory.v128(get(outs[c] as Local), v * VECTOR_BYTES))),
      ),
      ...overPixels(parameters, local, pixel),
      ...sums.flatMap((row, c) =>
        row.flatMap((sum, v) => memory.storeV128(get(outs[c] as Local), get(sum), v * VECTOR_BYTES)),
      ),
    ];
  });
}

/** `out[c] += sum over pixels of x[c] dy[c]` for c below 16, 4 or 1; outRow is not read. */
export const innerProducts: readonly AssembledFunction[] = [
  innerProduct("inner16", 4),
  innerProduct("inner4", 1),
  assemble("inner1", PARAMETERS, (parameters, local) => {
    const sum = local("f32");
    return [
      ...set(sum, memory.f32(get(parameters.out))),
      ...overPixels(parameters, local, (x, dy) =>
        set(sum, f32.add(get(sum), f32.mul(memory.f32(get(x)), memory.f32(get(dy))))),
      ),
      ...memory.storeF32(get(parameters.out), get(sum)),
    ];
  }),
];

function innerProduct(name: string, vectors: number): AssembledFunction {
  return assemble(name, PARAMETERS, (parameters, local) => {
    const sums = Array.from({ length: vectors }, () => local("v128"));
    return [
      ...sums.flatMap((sum, v) => set(sum, memory.v128(get(parameters.out), v * VECTOR_BYTES))),
      ...overPixels(parameters, local, (x, dy) =>
        sums.flatMap((sum, v) => {
          const [input, slope] = [
            memory.v128(get(x), v * VECTOR_BYTES),
            memory.v128(get(dy), v * VECTOR_BYTES),
          ];
          return set(sum, f32x4.add(get(sum), f32x4.mul(input, slope)));
        }),
      ),
      ...sums.flatMap((sum, v) => memory.storeV128(get(parameters.out), get(sum), v * VECTOR_BYTES)),
    ];
  });
}

/** The two loops, with pointers to the pixel of x and of dy. */
function overPixels(
  parameters: Parameters,
  local: (type: "i32") => Local,
  pixel: (x: Local, dy: Local) => Code,
): Code {
  const { x, dy, rows, pixels, xPixel, xRow, dyPixel, dyRow } = parameters;
  const [px, pdy, left] = [local("i32"), local("i32"), local("i32")];
  return repeat(rows, [
    ...set(px, get(x)),
    ...set(pdy, get(dy)),
    ...set(left, get(pixels)),
    ...repeat(left, [...pixel(px, pdy), ...advance(px, get(xPixel)), ...advance(pdy, get(dyPixel))]),
    ...advance(x, get(xRow)),
    ...advance(dy, get(dyRow)),
  ]);
}
