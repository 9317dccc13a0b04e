// Depthwise convolution of few bits, sums of pairs of elements in 16 bits: see convolution-pairs.ts.

import { bytes16, scaled } from "./requantize";

// @ts-ignore: decorator
@inline function products(sum: v128, weights: v128, x: v128): v128 {
  return i16x8.add(sum, i16x8.relaxed_dot_i8x16_i7x16_s(weights, x));
}

/** Each of four sums of 16 bits times the factor, added: it stands beside a zero. */
// @ts-ignore: decorator
@inline function low(sum: v128, part: v128, factor: v128): v128 {
  return i32x4.add(sum, i32x4.dot_i16x8_s(i16x8.shuffle(part, i16x8.splat(0), 0, 8, 1, 9, 2, 10, 3, 11), factor));
}

// @ts-ignore: decorator
@inline function high(sum: v128, part: v128, factor: v128): v128 {
  return i32x4.add(sum, i32x4.dot_i16x8_s(i16x8.shuffle(part, i16x8.splat(0), 4, 12, 5, 13, 6, 14, 7, 15), factor));
}

// @ts-ignore: decorator
@inline function neighbours(p: v128, q: v128): v128 {
  return i8x16.shuffle(p, q, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

// @ts-ignore: decorator
@inline function upper(p: v128, q: v128): v128 {
  return i8x16.shuffle(p, q, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

// @ts-ignore: decorator
@inline function put(to: usize, a0: v128, a1: v128, a2: v128, a3: v128, parameters: usize, target: usize): void {
  const integers = bytes16(
    scaled(a0, v128.load(parameters, 64), target),
    scaled(a1, v128.load(parameters, 80), target),
    scaled(a2, v128.load(parameters, 96), target),
    scaled(a3, v128.load(parameters, 112), target),
    target,
  );
  v128.store(to, integers);
}

/**
 * Two positions by sixteen channels at a time. Arguments as those of depthwise, and
 *
 * @param positions an even number
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
    for (let at = windows; at < windowsEnd; at += 8, to += 8) {
      const x = <usize>load<u32>(at) + first;
      const y = <usize>load<u32>(at, 4) + first;
      const zero = i32x4.splat(0);
      let a0 = v128.load(parameters);
      let a1 = v128.load(parameters, 16);
      let a2 = v128.load(parameters, 32);
      let a3 = v128.load(parameters, 48);
      let c0 = a0, c1 = a1, c2 = a2, c3 = a3;
      let w = weights;
      for (let o = offsets; o < offsetsEnd; ) {
        const end = min(o + groupBytes, offsetsEnd);
        let s = zero, t = zero, u = zero, v = zero;
        for (; o < end; o += 8) {
          const o0 = <usize>load<u32>(o);
          const o1 = <usize>load<u32>(o, 4);
          const w0 = v128.load(w);
          const w1 = v128.load(w, 16);
          let p = v128.load(x + o0);
          let q = v128.load(x + o1);
          s = products(s, w0, neighbours(p, q));
          t = products(t, w1, upper(p, q));
          p = v128.load(y + o0);
          q = v128.load(y + o1);
          u = products(u, w0, neighbours(p, q));
          v = products(v, w1, upper(p, q));
          w += 32;
        }
        a0 = low(a0, s, factor);
        a1 = high(a1, s, factor);
        a2 = low(a2, t, factor);
        a3 = high(a3, t, factor);
        c0 = low(c0, u, factor);
        c1 = high(c1, u, factor);
        c2 = low(c2, v, factor);
        c3 = high(c3, v, factor);
      }
      put(<usize>load<u32>(to) + first, a0, a1, a2, a3, parameters, target);
      put(<usize>load<u32>(to, 4) + first, c0, c1, c2, c3, parameters, target);
    }
    weights += <usize>pairs << 5;
    parameters += 128;
  }
}

/**
 * The sums of all pairs fit 16 bits. Arguments as those of depthwisePairs without a group.
 */
export function depthwiseOnce(
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
): void {
  const offsetsEnd = offsets + (<usize>pairs << 3);
  const windowsEnd = windows + (<usize>positions << 2);
  const factor = i16x8.splat(1 << <i16>shift);
  for (let b = 0; b < blocks; b++) {
    const first = <usize>load<u32>(channels + (<usize>b << 2));
    let to = places;
    for (let at = windows; at < windowsEnd; at += 8, to += 8) {
      const x = <usize>load<u32>(at) + first;
      const y = <usize>load<u32>(at, 4) + first;
      const zero = i32x4.splat(0);
      let w = weights;
      let s = zero, t = zero, u = zero, v = zero;
      for (let o = offsets; o < offsetsEnd; o += 8) {
        const o0 = <usize>load<u32>(o);
        const o1 = <usize>load<u32>(o, 4);
        const w0 = v128.load(w);
        const w1 = v128.load(w, 16);
        let p = v128.load(x + o0);
        let q = v128.load(x + o1);
        s = products(s, w0, neighbours(p, q));
        t = products(t, w1, upper(p, q));
        p = v128.load(y + o0);
        q = v128.load(y + o1);
        u = products(u, w0, neighbours(p, q));
        v = products(v, w1, upper(p, q));
        w += 32;
      }
      const bias0 = v128.load(parameters);
      const bias1 = v128.load(parameters, 16);
      const bias2 = v128.load(parameters, 32);
      const bias3 = v128.load(parameters, 48);
      const a0 = low(bias0, s, factor), a1 = high(bias1, s, factor), a2 = low(bias2, t, factor), a3 = high(bias3, t, factor);
      put(<usize>load<u32>(to) + first, a0, a1, a2, a3, parameters, target);
      const c0 = low(bias0, u, factor), c1 = high(bias1, u, factor), c2 = low(bias2, v, factor), c3 = high(bias3, v, factor);
      put(<usize>load<u32>(to, 4) + first, c0, c1, c2, c3, parameters, target);
    }
    weights += <usize>pairs << 5;
    parameters += 128;
  }
}

/** What the machine makes of two products `w x` of one weight and one byte. */
export function twoProducts(w: i32, x: i32): i32 {
  return i16x8.extract_lane_s(i16x8.relaxed_dot_i8x16_i7x16_s(i8x16.splat(<i8>w), i8x16.splat(<i8>x)), 0);
}
