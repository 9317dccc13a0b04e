// Depthwise convolution of any weights where the processor adds four products at a time in 32 bits: see convolution-quads.ts.

import { bytes16, scaled } from "./requantize";

// @ts-ignore: decorator
@inline function quads(sum: v128, weights: usize, x: v128): v128 {
  return i32x4.relaxed_dot_i8x16_i7x16_add_s(v128.load(weights), x, sum);
}

/** Bytes of sixteen channels; where bytes are signed, less 128 each. */
// @ts-ignore: decorator
@inline function sixteen(isSigned: bool, x: usize, middle: v128): v128 {
  const bytes = v128.load(x);
  return isSigned ? v128.xor(bytes, middle) : bytes;
}

/** @param isSigned a constant, so that each caller becomes a loop of its own without a branch */
// @ts-ignore: decorator
@inline function overPositions(
  isSigned: bool,
  windows: usize,
  places: usize,
  positions: i32,
  channels: usize,
  blocks: i32,
  weights: usize,
  parameters: usize,
  offsets: usize,
  fours: i32,
  target: usize,
): void {
  const middle = i8x16.splat(-128);
  const offsetsEnd = offsets + (<usize>fours << 4);
  const windowsEnd = windows + (<usize>positions << 2);
  for (let b = 0; b < blocks; b++) {
    const first = <usize>load<u32>(channels + (<usize>b << 2));
    let to = places;
    for (let at = windows; at < windowsEnd; at += 4, to += 4) {
      const x = <usize>load<u32>(at) + first;
      let a0 = v128.load(parameters);
      let a1 = v128.load(parameters, 16);
      let a2 = v128.load(parameters, 32);
      let a3 = v128.load(parameters, 48);
      let w = weights;
      for (let o = offsets; o < offsetsEnd; o += 16) {
        const p = sixteen(isSigned, x + <usize>load<u32>(o), middle);
        const q = sixteen(isSigned, x + <usize>load<u32>(o, 4), middle);
        const r = sixteen(isSigned, x + <usize>load<u32>(o, 8), middle);
        const s = sixteen(isSigned, x + <usize>load<u32>(o, 12), middle);
        let left = i8x16.shuffle(p, q, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        let right = i8x16.shuffle(r, s, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        a0 = quads(a0, w, i16x8.shuffle(left, right, 0, 8, 1, 9, 2, 10, 3, 11));
        a1 = quads(a1, w + 16, i16x8.shuffle(left, right, 4, 12, 5, 13, 6, 14, 7, 15));
        left = i8x16.shuffle(p, q, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        right = i8x16.shuffle(r, s, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        a2 = quads(a2, w + 32, i16x8.shuffle(left, right, 0, 8, 1, 9, 2, 10, 3, 11));
        a3 = quads(a3, w + 48, i16x8.shuffle(left, right, 4, 12, 5, 13, 6, 14, 7, 15));
        w += 64;
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
    weights += <usize>fours << 6;
    parameters += 128;
  }
}

/**
 * Arguments as those of depthwise, except
 *
 * @param weights i8 [blocks][fours][16 channels][4]
 * @param offsets u32 [fours][4]
 */
export function depthwiseQuads(
  windows: usize,
  places: usize,
  positions: i32,
  channels: usize,
  blocks: i32,
  weights: usize,
  parameters: usize,
  offsets: usize,
  fours: i32,
  target: usize,
): void {
  overPositions(false, windows, places, positions, channels, blocks, weights, parameters, offsets, fours, target);
}

/** The same where the machine takes both for signed: sums of `w (x - 128)`. */
export function depthwiseSigned(
  windows: usize,
  places: usize,
  positions: i32,
  channels: usize,
  blocks: i32,
  weights: usize,
  parameters: usize,
  offsets: usize,
  fours: i32,
  target: usize,
): void {
  overPositions(true, windows, places, positions, channels, blocks, weights, parameters, offsets, fours, target);
}
