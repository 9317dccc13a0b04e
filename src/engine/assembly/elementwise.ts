// Sums and products of two images of bytes, functions of one byte, and bytes from float32.

import { requantized, rounded, store4, store8 } from "./requantize";

// @ts-ignore: decorator
@inline function low4(bytes: v128): v128 {
  return i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(bytes));
}

/** `fl(ra a + c)`, rounded once: in float64, where the product of a float32 and a byte is exact. */
// @ts-ignore: decorator
@inline function fused(ratio: v128, integers: v128, addend: v128): v128 {
  const low = f64x2.add(f64x2.mul(f64x2.convert_low_i32x4_s(integers), ratio), f64x2.promote_low_f32x4(addend));
  const swapped = i32x4.shuffle(integers, integers, 2, 3, 0, 1);
  const rest = i32x4.shuffle(addend, addend, 2, 3, 0, 1);
  const high = f64x2.add(f64x2.mul(f64x2.convert_low_i32x4_s(swapped), ratio), f64x2.promote_low_f32x4(rest));
  return i32x4.shuffle(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 1, 4, 5);
}

/**
 * QLinearAdd of bytes of different scales: `clip(roundHalfEven(fl(ra a + fl(rb b + c))))`, each product and sum rounded
 * together. Four bytes a step.
 *
 * @param length bytes a row
 * @param target limits without a zero point: it is in c
 */
export function fusedAdd(
  a: usize,
  b: usize,
  to: usize,
  rows: i32,
  length: i32,
  pitchA: i32,
  pitchB: i32,
  pitchTo: i32,
  ratioA: f64,
  ratioB: f64,
  offset: f32,
  target: usize,
): void {
  const ra = f64x2.splat(ratioA);
  const rb = f64x2.splat(ratioB);
  const c = f32x4.splat(offset);
  for (let y = 0; y < rows; y++) {
    for (let i: usize = 0; i < <usize>length; i += 4) {
      const left = low4(v128.load32_zero(a + i));
      const right = low4(v128.load32_zero(b + i));
      store4(to + i, rounded(fused(ra, left, fused(rb, right, c)), target));
    }
    a += pitchA;
    b += pitchB;
    to += pitchTo;
  }
}

/**
 * `requantize(wa a + wb b + c, m)`: sums of bytes with small integer weights, exact. Eight bytes a step.
 */
export function integerAdd(
  a: usize,
  b: usize,
  to: usize,
  rows: i32,
  length: i32,
  pitchA: i32,
  pitchB: i32,
  pitchTo: i32,
  offset: i32,
  multiplier: f32,
  target: usize,
): void {
  const c = i16x8.splat(<i16>offset);
  const m = f32x4.splat(multiplier);
  for (let y = 0; y < rows; y++) {
    for (let i: usize = 0; i < <usize>length; i += 8) {
      const sum = i16x8.add(i16x8.add(v128.load8x8_u(a + i), v128.load8x8_u(b + i)), c);
      store8(
        to + i,
        requantized(i32x4.extend_low_i16x8_s(sum), m, target),
        requantized(i32x4.extend_high_i16x8_s(sum), m, target),
      );
    }
    a += pitchA;
    b += pitchB;
    to += pitchTo;
  }
}

/**
 * Products `(a - za)(b - zb)` to `clip(roundHalfEven(fl(fl(product * m)) + zy))`; `stepB` 0 takes the same eight bytes of b
 * for every position of a row (a factor a channel).
 *
 * @param columns positions a row
 * @param channels bytes a position
 * @param before whether the zero point is added before rounding (QLinearMul): then `addend` is it, and target's is 0
 */
export function product(
  a: usize,
  b: usize,
  to: usize,
  rows: i32,
  columns: i32,
  channels: i32,
  pitchA: i32,
  stepA: i32,
  pitchB: i32,
  stepB: i32,
  pitchTo: i32,
  stepTo: i32,
  zeroA: i32,
  zeroB: i32,
  multiplier: f32,
  addend: f32,
  target: usize,
): void {
  const za = i16x8.splat(<i16>zeroA);
  const zb = i16x8.splat(<i16>zeroB);
  const m = f32x4.splat(multiplier);
  const z = f32x4.splat(addend);
  for (let y = 0; y < rows; y++) {
    let pa = a;
    let pb = b;
    let pt = to;
    for (let x = 0; x < columns; x++) {
      for (let i: usize = 0; i < <usize>channels; i += 8) {
        const left = i16x8.sub(v128.load8x8_u(pa + i), za);
        const right = i16x8.sub(v128.load8x8_u(pb + i), zb);
        const low = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extmul_low_i16x8_s(left, right)), m);
        const high = f32x4.mul(f32x4.convert_i32x4_s(i32x4.extmul_high_i16x8_s(left, right)), m);
        store8(pt + i, rounded(f32x4.add(low, z), target), rounded(f32x4.add(high, z), target));
      }
      pa += stepA;
      pb += stepB;
      pt += stepTo;
    }
    a += pitchA;
    b += pitchB;
    to += pitchTo;
  }
}

/** Sixteen lookups of sixteen entries, each of which sees its own bytes alone. */
// @ts-ignore: decorator
@inline function looked(table: usize, index: v128): v128 {
  const sixteen = i8x16.splat(16);
  let result = i8x16.swizzle(v128.load(table), index);
  for (let t = table + 16; t < table + 256; t += 16) {
    index = i8x16.sub(index, sixteen);
    result = v128.or(result, i8x16.swizzle(v128.load(t), index));
  }
  return result;
}

/** `to[i] = table[from[i]]`. @param length bytes a row, a multiple of eight */
export function lookUp(
  from: usize,
  to: usize,
  rows: i32,
  length: i32,
  pitchFrom: i32,
  pitchTo: i32,
  table: usize,
): void {
  for (let y = 0; y < rows; y++) {
    let i: usize = 0;
    for (; i + 16 <= <usize>length; i += 16) v128.store(to + i, looked(table, v128.load(from + i)));
    if (i < <usize>length) v128.store64_lane(to + i, looked(table, v128.load64_zero(from + i)), 0);
    from += pitchFrom;
    to += pitchTo;
  }
}

/** Four float32 as integers of a target. */
// @ts-ignore: decorator
@inline function quantized(x: usize, scale: v128, target: usize): v128 {
  return rounded(f32x4.div(v128.load(x), scale), target);
}

/**
 * QuantizeLinear: `clip(roundHalfEven(fl(x / scale)) + zeroPoint)`, four positions by four channels at a time. Channels in planes
 * become neighbours.
 *
 * @param plane bytes from one channel to the next of a position in x: 4, or as many as a plane has, and then step is 4
 * @param step bytes from one position to the next in x
 * @param stepTo bytes from one position to the next in the result
 */
export function quantize(
  x: usize,
  to: usize,
  rows: i32,
  columns: i32,
  channels: i32,
  pitch: i32,
  step: i32,
  plane: i32,
  pitchTo: i32,
  stepTo: i32,
  scale: f32,
  target: usize,
): void {
  const s = f32x4.splat(scale);
  const last = columns - 1;
  for (let y = 0; y < rows; y++) {
    for (let i = 0; i < columns; i += 4) {
      // Those beyond the last position are written to it, before it is.
      const i1 = min(i + 1, last);
      const i2 = min(i + 2, last);
      const i3 = min(i + 3, last);
      for (let c = 0; c < channels; c += 4) {
        let bytes: v128;
        if (plane == 4) {
          const from = x + (<usize>c << 2);
          const a = quantized(from + i * step, s, target);
          const b = quantized(from + i1 * step, s, target);
          const d = quantized(from + i2 * step, s, target);
          const e = quantized(from + i3 * step, s, target);
          bytes = i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(d, e));
        } else {
          const from = x + (<usize>i << 2);
          const most = channels - 1;
          const a = quantized(from + c * plane, s, target);
          const b = quantized(from + min(c + 1, most) * plane, s, target);
          const d = quantized(from + min(c + 2, most) * plane, s, target);
          const e = quantized(from + min(c + 3, most) * plane, s, target);
          bytes = v128.or(v128.or(a, i32x4.shl(b, 8)), v128.or(i32x4.shl(d, 16), i32x4.shl(e, 24)));
        }
        const result = to + c;
        v128.store32_lane(result + i3 * stepTo, bytes, 3);
        v128.store32_lane(result + i2 * stepTo, bytes, 2);
        v128.store32_lane(result + i1 * stepTo, bytes, 1);
        v128.store32_lane(result + i * stepTo, bytes, 0);
      }
    }
    x += pitch;
    to += pitchTo;
  }
}
