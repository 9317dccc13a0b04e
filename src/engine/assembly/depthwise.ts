// Depthwise convolution: sixteen channels at a time, any window, stride and dilation.

import { bytes16, scaled } from "./requantize";

/**
 * One position by sixteen channels at a time, two elements of the window a step.
 *
 * @param windows u32 [positions]: where the window of each position begins
 * @param places u32 [positions]: where the outputs of each position go
 * @param channels u32 [blocks]: the first channel of each block of sixteen; blocks may overlap
 * @param weights i8 [blocks][pairs][16 channels][2]
 * @param parameters [blocks] of i32 bias[16], f32 multiplier[16]
 * @param offsets u32 [pairs][2]: from the beginning of a window to its elements
 * @param target see requantize.ts
 */
export function depthwise(
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
): void {
  const offsetsEnd = offsets + ((<usize>pairs) << 3);
  const windowsEnd = windows + ((<usize>positions) << 2);
  for (let b = 0; b < blocks; b++) {
    const first = <usize>load<u32>(channels + ((<usize>b) << 2));
    let to = places;
    for (let at = windows; at < windowsEnd; at += 4, to += 4) {
      const x = <usize>load<u32>(at) + first;
      let a0 = v128.load(parameters);
      let a1 = v128.load(parameters, 16);
      let a2 = v128.load(parameters, 32);
      let a3 = v128.load(parameters, 48);
      let w = weights;
      for (let o = offsets; o < offsetsEnd; o += 8) {
        const p = v128.load(x + <usize>load<u32>(o));
        const q = v128.load(x + <usize>load<u32>(o, 4));
        const low = i8x16.shuffle(p, q, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        const high = i8x16.shuffle(p, q, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        a0 = i32x4.add(a0, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_u(low), v128.load8x8_s(w)));
        a1 = i32x4.add(a1, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_u(low), v128.load8x8_s(w, 8)));
        a2 = i32x4.add(a2, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_u(high), v128.load8x8_s(w, 16)));
        a3 = i32x4.add(a3, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_u(high), v128.load8x8_s(w, 24)));
        w += 32;
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
    weights += (<usize>pairs) << 5;
    parameters += 128;
  }
}
