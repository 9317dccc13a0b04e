// Convolution where the processor adds products of bytes in pairs in 16 bits (pmaddubsw), in three ways: sums of several steps
// along K are widened together, those of all steps once, or each step's at once. Four positions by eight outputs at a time.
// Not used before a self-test has seen what the machine makes of the instruction.

import { finish } from "./requantize";

// @ts-ignore: decorator
@inline function products(weights: v128, x: v128): v128 {
  return i16x8.relaxed_dot_i8x16_i7x16_s(weights, x);
}

// @ts-ignore: decorator
@inline function pairs(sum: v128, weights: v128, x: v128): v128 {
  return i16x8.add(sum, products(weights, x));
}

/** Two neighbours in 16 bits, each times the factor, as one of 32. */
// @ts-ignore: decorator
@inline function widened(sum: v128, part: v128, factor: v128): v128 {
  return i32x4.add(sum, i32x4.dot_i16x8_s(part, factor));
}

/**
 * Sums of several steps are widened together. Arguments as those of convolution, and
 *
 * @param positions a multiple of four
 * @param shift the weights stand for `w * 2^shift`
 * @param group steps whose sums fit 16 bits: `255 * largestPairs(weights, blocks, steps, group) <= 32767`
 */
export function convolutionPairs(
  windows: usize,
  places: usize,
  positions: i32,
  weights: usize,
  parameters: usize,
  blocks: i32,
  offsets: usize,
  steps: i32,
  target: usize,
  size: i32,
  shift: i32,
  group: i32,
): void {
  const offsetsEnd = offsets + (<usize>steps << 2);
  const windowsEnd = windows + (<usize>positions << 2);
  const block = <usize>size * 8;
  const factor = i16x8.splat(1 << <i16>shift);
  const groupBytes = <usize>group << 2;
  for (; windows < windowsEnd; windows += 16, places += 16) {
    const x0 = <usize>load<u32>(windows);
    const x1 = <usize>load<u32>(windows, 4);
    const x2 = <usize>load<u32>(windows, 8);
    const x3 = <usize>load<u32>(windows, 12);
    let y: usize = 0;
    let w = weights;
    let p = parameters;
    for (let b = 0; b < blocks; b++) {
      const zero = i32x4.splat(0);
      const bias0 = v128.load(p);
      const bias1 = v128.load(p, 16);
      let a0 = bias0, a1 = bias1, b0 = bias0, b1 = bias1, c0 = bias0, c1 = bias1, d0 = bias0, d1 = bias1;
      for (let o = offsets; o < offsetsEnd; ) {
        const end = min(o + groupBytes, offsetsEnd);
        let s0 = zero, s1 = zero, t0 = zero, t1 = zero, u0 = zero, u1 = zero, v0 = zero, v1 = zero;
        for (; o < end; o += 4) {
          const offset = <usize>load<u32>(o);
          const w0 = v128.load(w);
          const w1 = v128.load(w, 16);
          let x = v128.load32_splat(x0 + offset);
          s0 = pairs(s0, w0, x);
          s1 = pairs(s1, w1, x);
          x = v128.load32_splat(x1 + offset);
          t0 = pairs(t0, w0, x);
          t1 = pairs(t1, w1, x);
          x = v128.load32_splat(x2 + offset);
          u0 = pairs(u0, w0, x);
          u1 = pairs(u1, w1, x);
          x = v128.load32_splat(x3 + offset);
          v0 = pairs(v0, w0, x);
          v1 = pairs(v1, w1, x);
          w += 32;
        }
        a0 = widened(a0, s0, factor);
        a1 = widened(a1, s1, factor);
        b0 = widened(b0, t0, factor);
        b1 = widened(b1, t1, factor);
        c0 = widened(c0, u0, factor);
        c1 = widened(c1, u1, factor);
        d0 = widened(d0, v0, factor);
        d1 = widened(d1, v1, factor);
      }
      finish(p, target, <usize>load<u32>(places) + y, a0, a1, <usize>load<u32>(places, 4) + y, b0, b1);
      finish(p, target, <usize>load<u32>(places, 8) + y, c0, c1, <usize>load<u32>(places, 12) + y, d0, d1);
      p += 64;
      y += block;
    }
  }
}

/** The sums of all steps fit 16 bits. Arguments as those of convolutionPairs without a group. */
export function convolutionOnce(
  windows: usize,
  places: usize,
  positions: i32,
  weights: usize,
  parameters: usize,
  blocks: i32,
  offsets: usize,
  steps: i32,
  target: usize,
  size: i32,
  shift: i32,
): void {
  const offsetsEnd = offsets + (<usize>steps << 2);
  const windowsEnd = windows + (<usize>positions << 2);
  const block = <usize>size * 8;
  const factor = i16x8.splat(1 << <i16>shift);
  for (; windows < windowsEnd; windows += 16, places += 16) {
    const x0 = <usize>load<u32>(windows);
    const x1 = <usize>load<u32>(windows, 4);
    const x2 = <usize>load<u32>(windows, 8);
    const x3 = <usize>load<u32>(windows, 12);
    let y: usize = 0;
    let w = weights;
    let p = parameters;
    for (let b = 0; b < blocks; b++) {
      const zero = i32x4.splat(0);
      let a0 = zero, a1 = zero, b0 = zero, b1 = zero, c0 = zero, c1 = zero, d0 = zero, d1 = zero;
      for (let o = offsets; o < offsetsEnd; o += 4) {
        const offset = <usize>load<u32>(o);
        const w0 = v128.load(w);
        const w1 = v128.load(w, 16);
        let x = v128.load32_splat(x0 + offset);
        a0 = pairs(a0, w0, x);
        a1 = pairs(a1, w1, x);
        x = v128.load32_splat(x1 + offset);
        b0 = pairs(b0, w0, x);
        b1 = pairs(b1, w1, x);
        x = v128.load32_splat(x2 + offset);
        c0 = pairs(c0, w0, x);
        c1 = pairs(c1, w1, x);
        x = v128.load32_splat(x3 + offset);
        d0 = pairs(d0, w0, x);
        d1 = pairs(d1, w1, x);
        w += 32;
      }
      const bias0 = v128.load(p);
      const bias1 = v128.load(p, 16);
      a0 = widened(bias0, a0, factor);
      a1 = widened(bias1, a1, factor);
      b0 = widened(bias0, b0, factor);
      b1 = widened(bias1, b1, factor);
      c0 = widened(bias0, c0, factor);
      c1 = widened(bias1, c1, factor);
      d0 = widened(bias0, d0, factor);
      d1 = widened(bias1, d1, factor);
      finish(p, target, <usize>load<u32>(places) + y, a0, a1, <usize>load<u32>(places, 4) + y, b0, b1);
      finish(p, target, <usize>load<u32>(places, 8) + y, c0, c1, <usize>load<u32>(places, 12) + y, d0, d1);
      p += 64;
      y += block;
    }
  }
}

/** The sums of single steps fit 16 bits, of whatever bits the weights are. Arguments as those of convolutionOnce. */
export function convolutionEach(
  windows: usize,
  places: usize,
  positions: i32,
  weights: usize,
  parameters: usize,
  blocks: i32,
  offsets: usize,
  steps: i32,
  target: usize,
  size: i32,
  shift: i32,
): void {
  const offsetsEnd = offsets + (<usize>steps << 2);
  const windowsEnd = windows + (<usize>positions << 2);
  const block = <usize>size * 8;
  const factor = i16x8.splat(1 << <i16>shift);
  for (; windows < windowsEnd; windows += 16, places += 16) {
    const x0 = <usize>load<u32>(windows);
    const x1 = <usize>load<u32>(windows, 4);
    const x2 = <usize>load<u32>(windows, 8);
    const x3 = <usize>load<u32>(windows, 12);
    let y: usize = 0;
    let w = weights;
    let p = parameters;
    for (let b = 0; b < blocks; b++) {
      const bias0 = v128.load(p);
      const bias1 = v128.load(p, 16);
      let a0 = bias0, a1 = bias1, b0 = bias0, b1 = bias1, c0 = bias0, c1 = bias1, d0 = bias0, d1 = bias1;
      for (let o = offsets; o < offsetsEnd; o += 4) {
        const offset = <usize>load<u32>(o);
        const w0 = v128.load(w);
        const w1 = v128.load(w, 16);
        let x = v128.load32_splat(x0 + offset);
        a0 = widened(a0, products(w0, x), factor);
        a1 = widened(a1, products(w1, x), factor);
        x = v128.load32_splat(x1 + offset);
        b0 = widened(b0, products(w0, x), factor);
        b1 = widened(b1, products(w1, x), factor);
        x = v128.load32_splat(x2 + offset);
        c0 = widened(c0, products(w0, x), factor);
        c1 = widened(c1, products(w1, x), factor);
        x = v128.load32_splat(x3 + offset);
        d0 = widened(d0, products(w0, x), factor);
        d1 = widened(d1, products(w1, x), factor);
        w += 32;
      }
      finish(p, target, <usize>load<u32>(places) + y, a0, a1, <usize>load<u32>(places, 4) + y, b0, b1);
      finish(p, target, <usize>load<u32>(places, 8) + y, c0, c1, <usize>load<u32>(places, 12) + y, d0, d1);
      p += 64;
      y += block;
    }
  }
}
