// Convolution and dense layers as one implicit matrix product: no patch is ever copied. An output position is the
// address where its window begins, a step along K the offset of four bytes within the window.

import { finish } from "./requantize";

/** Four even-odd pairs of partial sums of two outputs each to the sums of four outputs. */
// @ts-ignore: decorator
@inline function joined(a: v128, b: v128): v128 {
  return i32x4.add(i32x4.shuffle(a, b, 0, 2, 4, 6), i32x4.shuffle(a, b, 1, 3, 5, 7));
}

/**
 * Two positions by eight outputs at a time.
 *
 * @param windows u32 [positions]: where the window of each position begins
 * @param places u32 [positions]: where the outputs of each position go
 * @param positions an even number
 * @param weights i8 [blocks][steps][8 outputs][4]
 * @param parameters [blocks] of i32 bias[8], f32 multiplier[8]; the bias holds what the zero point of the input adds
 * @param blocks of eight outputs
 * @param offsets u32 [steps]: from the beginning of a window to four neighbouring bytes
 * @param target see requantize.ts; 0: float32 outputs
 * @param size bytes of an output: 1 or 4
 */
export function convolution(
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
): void {
  const offsetsEnd = offsets + (<usize>steps << 2);
  const windowsEnd = windows + (<usize>positions << 2);
  const block = <usize>size * 8;
  for (; windows < windowsEnd; windows += 8, places += 8) {
    const x0 = <usize>load<u32>(windows);
    const x1 = <usize>load<u32>(windows, 4);
    let y0 = <usize>load<u32>(places);
    let y1 = <usize>load<u32>(places, 4);
    let w = weights;
    let p = parameters;
    for (let b = 0; b < blocks; b++) {
      const zero = i32x4.splat(0);
      let a0 = zero, a1 = zero, a2 = zero, a3 = zero, c0 = zero, c1 = zero, c2 = zero, c3 = zero;
      for (let o = offsets; o < offsetsEnd; o += 4) {
        const offset = <usize>load<u32>(o);
        const w0 = v128.load8x8_s(w);
        const w1 = v128.load8x8_s(w, 8);
        const w2 = v128.load8x8_s(w, 16);
        const w3 = v128.load8x8_s(w, 24);
        let x = i16x8.extend_low_i8x16_u(v128.load32_splat(x0 + offset));
        a0 = i32x4.add(a0, i32x4.dot_i16x8_s(x, w0));
        a1 = i32x4.add(a1, i32x4.dot_i16x8_s(x, w1));
        a2 = i32x4.add(a2, i32x4.dot_i16x8_s(x, w2));
        a3 = i32x4.add(a3, i32x4.dot_i16x8_s(x, w3));
        x = i16x8.extend_low_i8x16_u(v128.load32_splat(x1 + offset));
        c0 = i32x4.add(c0, i32x4.dot_i16x8_s(x, w0));
        c1 = i32x4.add(c1, i32x4.dot_i16x8_s(x, w1));
        c2 = i32x4.add(c2, i32x4.dot_i16x8_s(x, w2));
        c3 = i32x4.add(c3, i32x4.dot_i16x8_s(x, w3));
        w += 32;
      }
      const b0 = v128.load(p);
      const b1 = v128.load(p, 16);
      finish(
        p, target,
        y0, i32x4.add(b0, joined(a0, a1)), i32x4.add(b1, joined(a2, a3)),
        y1, i32x4.add(b0, joined(c0, c1)), i32x4.add(b1, joined(c2, c3)),
      );
      p += 64;
      y0 += block;
      y1 += block;
    }
  }
}
