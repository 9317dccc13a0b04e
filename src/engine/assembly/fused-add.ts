// QLinearAdd where the processor multiplies and adds with one rounding. Not used before a self-test has seen that it does.

import { rounded, store8 } from "./requantize";

// @ts-ignore: decorator
@inline function summed(ra: v128, a: v128, rb: v128, b: v128, c: v128): v128 {
  return f32x4.relaxed_madd(
    ra,
    f32x4.convert_i32x4_u(a),
    f32x4.relaxed_madd(rb, f32x4.convert_i32x4_u(b), c),
  );
}

/** `clip(roundHalfEven(fl(ra a + fl(rb b + c))))`: arguments as those of fusedAdd, eight bytes a step. */
export function maddAdd(
  a: usize,
  b: usize,
  to: usize,
  rows: i32,
  length: i32,
  pitchA: i32,
  pitchB: i32,
  pitchTo: i32,
  ratioA: f32,
  ratioB: f32,
  offset: f32,
  target: usize,
): void {
  const ra = f32x4.splat(ratioA);
  const rb = f32x4.splat(ratioB);
  const c = f32x4.splat(offset);
  for (let y = 0; y < rows; y++) {
    for (let i: usize = 0; i < <usize>length; i += 8) {
      const left = v128.load8x8_u(a + i);
      const right = v128.load8x8_u(b + i);
      store8(
        to + i,
        rounded(summed(ra, i32x4.extend_low_i16x8_u(left), rb, i32x4.extend_low_i16x8_u(right), c), target),
        rounded(summed(ra, i32x4.extend_high_i16x8_u(left), rb, i32x4.extend_high_i16x8_u(right), c), target),
      );
    }
    a += pitchA;
    b += pitchB;
    to += pitchTo;
  }
}

/** What the machine makes of `a b + c`. */
export function multiplyAdd(a: f32, b: f32, c: f32): f32 {
  return f32x4.extract_lane(f32x4.relaxed_madd(f32x4.splat(a), f32x4.splat(b), f32x4.splat(c)), 0);
}
