// From int32 sums to bytes: `clip(roundHalfEven(fl(fl(acc) * m)) + zeroPoint, low, high)`, four at a time.

/**
 * What a step's sums are brought to, in memory, each value as often as a vector holds it (V8 makes an immediate vector anew
 * at every use; a load is one instruction): 0 `low - zeroPoint` as float32, 16 `high - zeroPoint`, 32 1.5 * 2^23, 48
 * `0x4B400000 - zeroPoint`, the bits of that number less the zero point, 64 the lowest byte, 80 the highest.
 *
 * Clipped first: rounding keeps the order and the limits are integers, so the result is the same, and what is left
 * is below 2^22, where adding 1.5 * 2^23 rounds to the nearest integer, ties to the even one.
 */
// @ts-ignore: decorator
@inline export function requantized(acc: v128, multiplier: v128, target: usize): v128 {
  return rounded(f32x4.mul(f32x4.convert_i32x4_s(acc), multiplier), target);
}

/** The same of real numbers to which the zero point was added before: the target's zero point is 0 then. */
// @ts-ignore: decorator
@inline export function rounded(real: v128, target: usize): v128 {
  const clipped = f32x4.pmin(v128.load(target, 16), f32x4.pmax(v128.load(target), real));
  return i32x4.sub(f32x4.add(clipped, v128.load(target, 32)), v128.load(target, 48));
}

/** Products that are below 2^22 by what was checked at load: clipped as bytes, sixteen at a time. */
// @ts-ignore: decorator
@inline export function scaled(acc: v128, multiplier: v128, target: usize): v128 {
  const real = f32x4.mul(f32x4.convert_i32x4_s(acc), multiplier);
  return i32x4.sub(f32x4.add(real, v128.load(target, 32)), v128.load(target, 48));
}

/** Stores four bytes. */
// @ts-ignore: decorator
@inline export function store4(to: usize, a: v128): void {
  const half = i16x8.narrow_i32x4_s(a, a);
  v128.store32_lane(to, i8x16.narrow_i16x8_u(half, half), 0);
}

/** Stores eight bytes. */
// @ts-ignore: decorator
@inline export function store8(to: usize, a: v128, b: v128): void {
  const half = i16x8.narrow_i32x4_s(a, b);
  v128.store64_lane(to, i8x16.narrow_i16x8_u(half, half), 0);
}

/** Sixteen integers as bytes within the limits of a target. */
// @ts-ignore: decorator
@inline export function bytes16(a: v128, b: v128, c: v128, d: v128, target: usize): v128 {
  const bytes = i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d));
  return i8x16.min_u(i8x16.max_u(bytes, v128.load(target, 64)), v128.load(target, 80));
}

/** What becomes of eight sums of each of two positions: bytes, or float32 `fl(fl(acc) * m)` where there is no target. */
// @ts-ignore: decorator
@inline export function finish(
  parameters: usize, target: usize, toA: usize, a0: v128, a1: v128, toB: usize, b0: v128, b1: v128,
): void {
  const m0 = v128.load(parameters, 32);
  const m1 = v128.load(parameters, 48);
  if (target) {
    const bytes = bytes16(scaled(a0, m0, target), scaled(a1, m1, target), scaled(b0, m0, target), scaled(b1, m1, target), target);
    v128.store64_lane(toA, bytes, 0);
    v128.store64_lane(toB, bytes, 1);
  } else {
    v128.store(toA, f32x4.mul(f32x4.convert_i32x4_s(a0), m0));
    v128.store(toA, f32x4.mul(f32x4.convert_i32x4_s(a1), m1), 16);
    v128.store(toB, f32x4.mul(f32x4.convert_i32x4_s(b0), m0));
    v128.store(toB, f32x4.mul(f32x4.convert_i32x4_s(b1), m1), 16);
  }
}
