// Depthwise convolution of few bits, sums of pairs of elements in 16 bits: see convolution-pairs.ts.

import { bytes16, scaled } from "./requantize";

/** Each of four sums of 16 bits times the factor: it stands beside a zero. */
// @ts-ignore: decorator
@inline function low(sums: v128, factor: v128): v128 {
  return i32x4.dot_i16x8_s(i16x8.shuffle(sums, i16x8.splat(0), 0, 8, 1, 9, 2, 10, 3, 11), factor);
}

// @ts-ignore: decorator
@inline function high(sums: v128, factor: v128): v128 {
  return i32x4.dot_i16x8_s(i16x8.shuffle(sums, i16x8.splat(0), 4, 12, 5, 13, 6, 14, 7, 15), factor);
}

/**
 * Arguments as those of depthwise, and
 *
 * @param shift the weights stand for `w * 2^shift`
 * @param group pairs whose sums fit 16 bits: `255 * largestPairs(weights, blocks, pairs, group) <= 32767`
 */
export function depthwisePairs(
  windows: usize,
  places: usize,
  positions: i32,
  channels: usize,
  blocks: i32,
  weights: usize,
  parameters: usize,
  offsets: usize,
  pairs: i32,
  target: usize,
  shift: i32,
  group: i32,
): void {
  const offsetsEnd = offsets + (<usize>pairs << 3);
  const windowsEnd = windows + (<usize>positions << 2);
  const groupBytes = <usize>group << 3;
  const factor = i16x8.splat(1 << <i16>shift);
  for (let b = 0; b < blocks; b++) {
    const first = <usize>load<u32>(channels + (<usize>b << 2));
    let to = places;
    for (let at = windows; at < windowsEnd; at += 4, to += 4) {
      const x = <usize>load<u32>(at) + first;
      const zero = i32x4.splat(0);
      let a0 = v128.load(parameters);
      let a1 = v128.load(parameters, 16);
      let a2 = v128.load(parameters, 32);
      let a3 = v128.load(parameters, 48);
      let w = weights;
      for (let o = offsets; o < offsetsEnd; ) {
        const end = min(o + groupBytes, offsetsEnd);
        let s = zero, t = zero;
        for (; o < end; o += 8) {
          const p = v128.load(x + <usize>load<u32>(o));
          const q = v128.load(x + <usize>load<u32>(o, 4));
          const low = i8x16.shuffle(p, q, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
          const high = i8x16.shuffle(p, q, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
          s = i16x8.add(s, i16x8.relaxed_dot_i8x16_i7x16_s(v128.load(w), low));
          t = i16x8.add(t, i16x8.relaxed_dot_i8x16_i7x16_s(v128.load(w, 16), high));
          w += 32;
        }
        a0 = i32x4.add(a0, low(s, factor));
        a1 = i32x4.add(a1, high(s, factor));
        a2 = i32x4.add(a2, low(t, factor));
        a3 = i32x4.add(a3, high(t, factor));
      }
      const integers = bytes16(
        scaled(a0, v128.load(parameters, 64), target),
        scaled(a1, v128.load(parameters, 80), target),
        scaled(a2, v128.load(parameters, 96), target),
        scaled(a3, v128.load(parameters, 112), target),
        target,
      );
      v128.store(<usize>load<u32>(to) + first, integers);
    }
    weights += <usize>pairs << 5;
    parameters += 128;
  }
}

/** What the machine makes of two products `w x` of one weight and one byte. */
export function twoProducts(w: i32, x: i32): i32 {
  return i16x8.extract_lane_s(i16x8.relaxed_dot_i8x16_i7x16_s(i8x16.splat(<i8>w), i8x16.splat(<i8>x)), 0);
}
