// From int32 sums to bytes: `clip(roundHalfEven(fl(fl(acc) * m)) + zeroPoint, low, high)`, four at a time.

/**
 * What a step's sums are brought to, in memory, each value four times (V8 makes an immediate vector anew at every use;
 * a load is one instruction): 0 `low - zeroPoint`, 16 `high - zeroPoint`, 32 1.5 * 2^23 as float32,
 * 48 `0x4B400000 - zeroPoint`, the bits of that number less the zero point.
 *
 * Clipped first: rounding keeps the order and the limits are integers, so the result is the same, and what is left
 * is below 2^22, where adding 1.5 * 2^23 rounds to the nearest integer, ties to the even one.
 */
// @ts-ignore: decorator
@inline export function requantized(acc: v128, multiplier: v128, target: usize): v128 {
  const real = f32x4.mul(f32x4.convert_i32x4_s(acc), multiplier);
  const clipped = f32x4.pmin(v128.load(target, 16), f32x4.pmax(v128.load(target), real));
  return i32x4.sub(f32x4.add(clipped, v128.load(target, 32)), v128.load(target, 48));
}

/** The same of real numbers to which the zero point was added before: the target's zero point is 0 then. */
// @ts-ignore: decorator
@inline export function rounded(real: v128, target: usize): v128 {
  const clipped = f32x4.pmin(v128.load(target, 16), f32x4.pmax(v128.load(target), real));
  return i32x4.sub(f32x4.add(clipped, v128.load(target, 32)), v128.load(target, 48));
}

/** Stores eight bytes. */
// @ts-ignore: decorator
@inline export function store8(to: usize, a: v128, b: v128): void {
  const half = i16x8.narrow_i32x4_s(a, b);
  v128.store64_lane(to, i8x16.narrow_i16x8_u(half, half), 0);
}

/** Stores sixteen bytes. */
// @ts-ignore: decorator
@inline export function store16(to: usize, a: v128, b: v128, c: v128, d: v128): void {
  v128.store(to, i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d)));
}

/** What becomes of eight sums: bytes, or float32 `fl(fl(acc) * m)`. */
// @ts-ignore: decorator
@inline export function finish(to: usize, a: v128, b: v128, parameters: usize, target: usize): void {
  const m0 = v128.load(parameters, 32);
  const m1 = v128.load(parameters, 48);
  if (target) store8(to, requantized(a, m0, target), requantized(b, m1, target));
  else {
    v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(a), m0));
    v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(b), m1), 16);
  }
}
