// The inner loops of elementwise kernels, sixteen elements a round.

import {
  advance,
  assemble,
  type AssembledFunction,
  type Binary,
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

/** Elements a round: a multiple of them is what each call takes. */
export const ROUND = 16;

const VECTOR_BYTES = 16;
const VECTORS = ROUND / 4;

/**
 * `out[i] = f(a[i], b[i % period])`: `periods` times `rounds` rounds, b from its beginning in each period.
 * Pointers; b has rounds * 16 elements.
 */
export type PeriodicLoop = (a: number, b: number, out: number, periods: number, rounds: number) => void;
const PERIODIC = ["a", "b", "out", "periods", "rounds"] as const;

function periodic(
  name: string,
  outBytes: number,
  round: (a: Local, b: Local, out: Local) => Code,
): AssembledFunction {
  return assemble(name, PERIODIC, ({ a, b, out, periods, rounds }, local) => {
    const [pb, left] = [local("i32"), local("i32")];
    return repeat(periods, [
      ...set(pb, get(b)),
      ...set(left, get(rounds)),
      ...repeat(left, [
        ...round(a, pb, out),
        ...advance(a, i32(ROUND * 4)),
        ...advance(pb, i32(ROUND * 4)),
        ...advance(out, i32(outBytes)),
      ]),
    ]);
  });
}

/** float32, float32 -> float32 */
export const arithmetic: readonly AssembledFunction[] = Object.entries({
  add: f32x4.add,
  sub: f32x4.sub,
  mul: f32x4.mul,
  div: f32x4.div,
  // The operands exchanged, since it is b that repeats.
  subFrom: (a: Code, b: Code) => f32x4.sub(b, a),
  divInto: (a: Code, b: Code) => f32x4.div(b, a),
  min: f32x4.min,
  max: f32x4.max,
} satisfies Record<string, Binary>).map(([name, compute]) =>
  periodic(name, ROUND * 4, (a, b, out) =>
    vectors((offset) =>
      memory.storeV128(get(out), compute(memory.v128(get(a), offset), memory.v128(get(b), offset)), offset),
    ),
  ),
);

/** float32, float32 -> bool */
export const comparing: readonly AssembledFunction[] = (
  ["equal", "notEqual", "less", "lessEqual", "greater", "greaterEqual"] as const
).map((name) =>
  periodic(name, ROUND, (a, b, out) => {
    const mask = (v: number): Code =>
      f32x4[name](memory.v128(get(a), v * VECTOR_BYTES), memory.v128(get(b), v * VECTOR_BYTES));
    return memory.storeV128(get(out), v128.bools(mask(0), mask(1), mask(2), mask(3)));
  }),
);

/** `out[i] = condition[i] ? yes[i] : no[i]` for any four bytes an element. Pointers, and rounds. */
export type SelectLoop = (condition: number, yes: number, no: number, out: number, rounds: number) => void;
export const selecting: AssembledFunction = assemble(
  "select",
  ["condition", "yes", "no", "out", "rounds"],
  ({ condition, yes, no, out, rounds }) =>
    repeat(rounds, [
      ...vectors((offset) => {
        const mask = v128.negateI32(memory.bytes(get(condition), offset / 4));
        const chosen = v128.select(memory.v128(get(yes), offset), memory.v128(get(no), offset), mask);
        return memory.storeV128(get(out), chosen, offset);
      }),
      ...[yes, no, out].flatMap((pointer) => advance(pointer, i32(ROUND * 4))),
      ...advance(condition, i32(ROUND)),
    ]),
);

function vectors(each: (offset: number) => Code): Code {
  return Array.from({ length: VECTORS }, (_, v) => each(v * VECTOR_BYTES)).flat();
}
