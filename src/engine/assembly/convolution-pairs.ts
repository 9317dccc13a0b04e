// Convolution of few bits where the processor adds products of bytes in pairs in 16 bits (pmaddubsw): several steps along K are
// added up there before sums are widened. Not used before a self-test has seen what the machine makes of the instruction.

import { finish } from "./requantize";

// @ts-ignore: decorator
@inline function pairs(sum: v128, weights: v128, x: v128): v128 {
  return i16x8.add(sum, i16x8.relaxed_dot_i8x16_i7x16_s(weights, x));
}

// @ts-ignore: decorator
@inline function widened(sum: v128, part: v128): v128 {
  return i32x4.add(sum, i32x4.extadd_pairwise_i16x8_s(part));
}

/**
 * Four positions by eight outputs at a time: arguments as those of convolution, and
 *
 * @param positions a multiple of four
 * @param group steps whose sums fit 16 bits: at most `floor(32767 / (510 max |w|))`
 * @param shift the weights stand for `w * 2^shift`
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
  group: i32,
  shift: i32,
): void {
  const offsetsEnd = offsets + (<usize>steps << 2);
  const windowsEnd = windows + (<usize>positions << 2);
  const block = <usize>size * 8;
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
      let a0 = zero, a1 = zero, b0 = zero, b1 = zero, c0 = zero, c1 = zero, d0 = zero, d1 = zero;
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
        a0 = widened(a0, s0);
        a1 = widened(a1, s1);
        b0 = widened(b0, t0);
        b1 = widened(b1, t1);
        c0 = widened(c0, u0);
        c1 = widened(c1, u1);
        d0 = widened(d0, v0);
        d1 = widened(d1, v1);
      }
      const bias0 = v128.load(p);
      const bias1 = v128.load(p, 16);
      finish(<usize>load<u32>(places) + y, sum(bias0, a0, shift), sum(bias1, a1, shift), p, target);
      finish(<usize>load<u32>(places, 4) + y, sum(bias0, b0, shift), sum(bias1, b1, shift), p, target);
      finish(<usize>load<u32>(places, 8) + y, sum(bias0, c0, shift), sum(bias1, c1, shift), p, target);
      finish(<usize>load<u32>(places, 12) + y, sum(bias0, d0, shift), sum(bias1, d1, shift), p, target);
      p += 64;
      y += block;
    }
  }
}

// @ts-ignore: decorator
@inline function sum(bias: v128, products: v128, shift: i32): v128 {
  return i32x4.add(bias, i32x4.shl(products, shift));
}
