// Pools over images of bytes: maxima, means in float32 in the order of the window, integer sums over all positions.

import { requantized, rounded, store4, store8 } from "./requantize";

/**
 * The largest of what each window covers, eight bytes a step.
 *
 * @param windows u32 [positions]: where the window of each position begins
 * @param places u32 [positions]: where the outputs of each position go
 * @param lists u32 [positions][2]: where the offsets of the elements that a window covers begin, and how many they are
 */
export function largest(windows: usize, places: usize, positions: i32, channels: i32, lists: usize): void {
  for (let i = 0; i < positions; i++) {
    const x = <usize>load<u32>(windows);
    const to = <usize>load<u32>(places);
    const offsets = <usize>load<u32>(lists);
    const offsetsEnd = offsets + ((<usize>load<u32>(lists, 4)) << 2);
    for (let c: usize = 0; c < <usize>channels; c += 8) {
      let most = i8x16.splat(0);
      for (let o = offsets; o < offsetsEnd; o += 4) {
        most = i8x16.max_u(most, v128.load64_zero(x + c + <usize>load<u32>(o)));
      }
      v128.store64_lane(to + c, most, 0);
    }
    windows += 4;
    places += 4;
    lists += 8;
  }
}

/**
 * QLinearAveragePool: `clip(roundHalfEven(fl(fl(fl(sum / count) / sy) + zy)))`, `sum` of `fl((q - zx) sx)` in float32 in the
 * order of the window. Four bytes a step.
 *
 * @param lists see largest
 * @param counts f32 [positions]: what each sum is divided by
 */
export function mean(
  windows: usize,
  places: usize,
  positions: i32,
  channels: i32,
  lists: usize,
  counts: usize,
  zero: i32,
  scale: f32,
  scaleTo: f32,
  zeroTo: f32,
  target: usize,
): void {
  const zx = i32x4.splat(zero);
  const sx = f32x4.splat(scale);
  const sy = f32x4.splat(scaleTo);
  const zy = f32x4.splat(zeroTo);
  for (let i = 0; i < positions; i++) {
    const x = <usize>load<u32>(windows);
    const to = <usize>load<u32>(places);
    const offsets = <usize>load<u32>(lists);
    const offsetsEnd = offsets + ((<usize>load<u32>(lists, 4)) << 2);
    const count = f32x4.splat(load<f32>(counts));
    for (let c: usize = 0; c < <usize>channels; c += 4) {
      let sum = f32x4.splat(0);
      for (let o = offsets; o < offsetsEnd; o += 4) {
        const bytes = v128.load32_zero(x + c + <usize>load<u32>(o));
        const q = i32x4.sub(i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(bytes)), zx);
        sum = f32x4.add(sum, f32x4.mul(f32x4.convert_i32x4_s(q), sx));
      }
      const real = f32x4.add(f32x4.div(f32x4.div(sum, count), sy), zy);
      store4(to + c, rounded(real, target));
    }
    windows += 4;
    places += 4;
    lists += 8;
    counts += 4;
  }
}

/** `requantize(sum over all positions + c, m)`, eight bytes a step. */
export function total(
  x: usize,
  rows: i32,
  columns: i32,
  pitch: i32,
  step: i32,
  channels: i32,
  to: usize,
  offset: i32,
  multiplier: f32,
  target: usize,
): void {
  const m = f32x4.splat(multiplier);
  for (let c: usize = 0; c < <usize>channels; c += 8) {
    let low = i32x4.splat(offset);
    let high = low;
    for (let y = 0; y < rows; y++) {
      let p = x + c + <usize>(y * pitch);
      for (let i = 0; i < columns; i++) {
        const q = v128.load8x8_u(p);
        low = i32x4.add(low, i32x4.extend_low_i16x8_u(q));
        high = i32x4.add(high, i32x4.extend_high_i16x8_u(q));
        p += step;
      }
    }
    store8(to + c, requantized(low, m, target), requantized(high, m, target));
  }
}
