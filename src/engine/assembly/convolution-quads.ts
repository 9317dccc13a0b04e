// Convolution where the processor adds four products of bytes at a time in 32 bits: of unsigned by signed ones (VNNI), or of
// signed ones (ARM). Not used before a self-test has seen what the machine makes of the instruction.

import { finish } from "./requantize";

// @ts-ignore: decorator
@inline function quads(sum: v128, weights: v128, x: v128): v128 {
  return i32x4.relaxed_dot_i8x16_i7x16_add_s(weights, x, sum);
}

/** Four bytes of one position, in each lane; where bytes are signed, less 128 each. */
// @ts-ignore: decorator
@inline function four(isSigned: bool, x: usize, middle: v128): v128 {
  const bytes = v128.load32_splat(x);
  return isSigned ? v128.xor(bytes, middle) : bytes;
}

/** @param isSigned a constant, so that each caller becomes a loop of its own without a branch */
// @ts-ignore: decorator
@inline function overPositions(
  isSigned: bool,
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
  const middle = i8x16.splat(-128);
  const offsetsEnd = offsets + (<usize>steps << 2);
  const windowsEnd = windows + (<usize>positions << 2);
  const block = <usize>size * 8;
  for (; windows < windowsEnd; windows += 24, places += 24) {
    const x0 = <usize>load<u32>(windows);
    const x1 = <usize>load<u32>(windows, 4);
    const x2 = <usize>load<u32>(windows, 8);
    const x3 = <usize>load<u32>(windows, 12);
    const x4 = <usize>load<u32>(windows, 16);
    const x5 = <usize>load<u32>(windows, 20);
    let y: usize = 0;
    let w = weights;
    let p = parameters;
    for (let b = 0; b < blocks; b++) {
      const bias0 = v128.load(p);
      const bias1 = v128.load(p, 16);
      let a0 = bias0, a1 = bias1, b0 = bias0, b1 = bias1, c0 = bias0, c1 = bias1;
      let d0 = bias0, d1 = bias1, e0 = bias0, e1 = bias1, f0 = bias0, f1 = bias1;
      for (let o = offsets; o < offsetsEnd; o += 4) {
        const offset = <usize>load<u32>(o);
        const w0 = v128.load(w);
        const w1 = v128.load(w, 16);
        let x = four(isSigned, x0 + offset, middle);
        a0 = quads(a0, w0, x);
        a1 = quads(a1, w1, x);
        x = four(isSigned, x1 + offset, middle);
        b0 = quads(b0, w0, x);
        b1 = quads(b1, w1, x);
        x = four(isSigned, x2 + offset, middle);
        c0 = quads(c0, w0, x);
        c1 = quads(c1, w1, x);
        x = four(isSigned, x3 + offset, middle);
        d0 = quads(d0, w0, x);
        d1 = quads(d1, w1, x);
        x = four(isSigned, x4 + offset, middle);
        e0 = quads(e0, w0, x);
        e1 = quads(e1, w1, x);
        x = four(isSigned, x5 + offset, middle);
        f0 = quads(f0, w0, x);
        f1 = quads(f1, w1, x);
        w += 32;
      }
      finish(p, target, <usize>load<u32>(places) + y, a0, a1, <usize>load<u32>(places, 4) + y, b0, b1);
      finish(p, target, <usize>load<u32>(places, 8) + y, c0, c1, <usize>load<u32>(places, 12) + y, d0, d1);
      finish(p, target, <usize>load<u32>(places, 16) + y, e0, e1, <usize>load<u32>(places, 20) + y, f0, f1);
      p += 64;
      y += block;
    }
  }
}

/** Six positions by eight outputs at a time: arguments as those of convolution, positions a multiple of six. */
export function convolutionQuads(
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
  overPositions(false, windows, places, positions, weights, parameters, blocks, offsets, steps, target, size);
}

/** The same where the machine takes both for signed: sums of `w (x - 128)`, for biases that make up for it. */
export function convolutionSigned(
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
  overPositions(true, windows, places, positions, weights, parameters, blocks, offsets, steps, target, size);
}

/** What the machine makes of four products `w x` of one weight and one byte. */
export function fourProducts(w: i32, x: i32): i32 {
  return i32x4.extract_lane(quads(i32x4.splat(0), i8x16.splat(<i8>w), i8x16.splat(<i8>x)), 0);
}
