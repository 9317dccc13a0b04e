// Comparisons of two tensors of float32, of which the second repeats, to bools: bytes of 0 or 1.

const EQUAL = 0;
const NOT_EQUAL = 1;
const LESS = 2;
const LESS_EQUAL = 3;
const GREATER = 4;
const GREATER_EQUAL = 5;

/** All ones where it holds, else all zeros. */
// @ts-ignore: decorator
@inline function holds(f: i32, a: v128, b: v128): v128 {
  if (f == EQUAL) return f32x4.eq(a, b);
  if (f == NOT_EQUAL) return f32x4.ne(a, b);
  if (f == LESS) return f32x4.lt(a, b);
  if (f == LESS_EQUAL) return f32x4.le(a, b);
  if (f == GREATER) return f32x4.gt(a, b);
  return f32x4.ge(a, b);
}

/**
 * `out[i] = f(a[i], b[i % period]) ? 1 : 0`, sixteen elements a round.
 *
 * @param f a constant, so that each caller becomes a loop of its own without a branch
 * @param a f32 [periods][rounds][16]
 * @param b f32 [rounds][16]
 * @param out u8, as a
 */
// @ts-ignore: decorator
@inline function overPeriods(f: i32, a: usize, b: usize, out: usize, periods: i32, rounds: i32): void {
  do {
    let p = b;
    let left = rounds;
    do {
      const m0 = holds(f, v128.load(a), v128.load(p));
      const m1 = holds(f, v128.load(a, 16), v128.load(p, 16));
      const m2 = holds(f, v128.load(a, 32), v128.load(p, 32));
      const m3 = holds(f, v128.load(a, 48), v128.load(p, 48));
      const masks = i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(m0, m1), i16x8.narrow_i32x4_s(m2, m3));
      // Masks are 0 and -1.
      v128.store(out, i8x16.abs(masks));
      a += 64;
      p += 64;
      out += 16;
    } while (--left);
  } while (--periods);
}

/** `a == b`. See overPeriods. */
export function equal(a: usize, b: usize, out: usize, periods: i32, rounds: i32): void {
  overPeriods(EQUAL, a, b, out, periods, rounds);
}

/** `a != b`. See overPeriods. */
export function notEqual(a: usize, b: usize, out: usize, periods: i32, rounds: i32): void {
  overPeriods(NOT_EQUAL, a, b, out, periods, rounds);
}

/** `a < b`. See overPeriods. */
export function less(a: usize, b: usize, out: usize, periods: i32, rounds: i32): void {
  overPeriods(LESS, a, b, out, periods, rounds);
}

/** `a <= b`. See overPeriods. */
export function lessEqual(a: usize, b: usize, out: usize, periods: i32, rounds: i32): void {
  overPeriods(LESS_EQUAL, a, b, out, periods, rounds);
}

/** `a > b`. See overPeriods. */
export function greater(a: usize, b: usize, out: usize, periods: i32, rounds: i32): void {
  overPeriods(GREATER, a, b, out, periods, rounds);
}

/** `a >= b`. See overPeriods. */
export function greaterEqual(a: usize, b: usize, out: usize, periods: i32, rounds: i32): void {
  overPeriods(GREATER_EQUAL, a, b, out, periods, rounds);
}
