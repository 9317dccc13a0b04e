// Arithmetic of two tensors of float32, of which the second repeats.

const ADD = 0;
const SUB = 1;
const MUL = 2;
const DIV = 3;
const SUB_FROM = 4;
const DIV_INTO = 5;
const MIN = 6;
const MAX = 7;

// @ts-ignore: decorator
@inline function result(f: i32, a: v128, b: v128): v128 {
  if (f == ADD) return f32x4.add(a, b);
  if (f == SUB) return f32x4.sub(a, b);
  if (f == MUL) return f32x4.mul(a, b);
  if (f == DIV) return f32x4.div(a, b);
  if (f == SUB_FROM) return f32x4.sub(b, a);
  if (f == DIV_INTO) return f32x4.div(b, a);
  if (f == MIN) return f32x4.min(a, b);
  return f32x4.max(a, b);
}

/**
 * `out[i] = f(a[i], b[i % period])`, sixteen elements a round.
 *
 * @param f a constant, so that each caller becomes a loop of its own without a branch
 * @param a f32 [periods][rounds][16]
 * @param b f32 [rounds][16]
 * @param out f32, as a
 */
// @ts-ignore: decorator
@inline function overPeriods(f: i32, a: usize, b: usize, out: usize, periods: i32, rounds: i32): void {
  do {
    let p = b;
    let left = rounds;
    do {
      v128.store(out, result(f, v128.load(a), v128.load(p)));
      v128.store(out, result(f, v128.load(a, 16), v128.load(p, 16)), 16);
      v128.store(out, result(f, v128.load(a, 32), v128.load(p, 32)), 32);
      v128.store(out, result(f, v128.load(a, 48), v128.load(p, 48)), 48);
      a += 64;
      p += 64;
      out += 64;
    } while (--left);
  } while (--periods);
}

/** `a + b`. See overPeriods. */
export function add(a: usize, b: usize, out: usize, periods: i32, rounds: i32): void {
  overPeriods(ADD, a, b, out, periods, rounds);
}

/** `a - b`. See overPeriods. */
export function sub(a: usize, b: usize, out: usize, periods: i32, rounds: i32): void {
  overPeriods(SUB, a, b, out, periods, rounds);
}

/** `a b`. See overPeriods. */
export function mul(a: usize, b: usize, out: usize, periods: i32, rounds: i32): void {
  overPeriods(MUL, a, b, out, periods, rounds);
}

/** `a / b`. See overPeriods. */
export function div(a: usize, b: usize, out: usize, periods: i32, rounds: i32): void {
  overPeriods(DIV, a, b, out, periods, rounds);
}

/** `b - a`: where it is the first operand that repeats. See overPeriods. */
export function subFrom(a: usize, b: usize, out: usize, periods: i32, rounds: i32): void {
  overPeriods(SUB_FROM, a, b, out, periods, rounds);
}

/** `b / a`: where it is the first operand that repeats. See overPeriods. */
export function divInto(a: usize, b: usize, out: usize, periods: i32, rounds: i32): void {
  overPeriods(DIV_INTO, a, b, out, periods, rounds);
}

/** `min(a, b)`; NaN where one of them is, and -0 is less than 0. See overPeriods. */
export function min(a: usize, b: usize, out: usize, periods: i32, rounds: i32): void {
  overPeriods(MIN, a, b, out, periods, rounds);
}

/** `max(a, b)`; NaN where one of them is, and -0 is less than 0. See overPeriods. */
export function max(a: usize, b: usize, out: usize, periods: i32, rounds: i32): void {
  overPeriods(MAX, a, b, out, periods, rounds);
}
