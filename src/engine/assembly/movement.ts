// Bytes and float32 that move and stay what they are.

/** `runs` times `length` bytes: `copies` is u32 [runs][2], from and to. */
export function copy(copies: usize, runs: i32, length: i32): void {
  const end = copies + ((<usize>runs) << 3);
  for (; copies < end; copies += 8) {
    let from = <usize>load<u32>(copies);
    let to = <usize>load<u32>(copies, 4);
    if (length >= 16) memory.copy(to, from, length);
    else for (const last = to + length; to < last; to++, from++) store<u8>(to, load<u8>(from));
  }
}

/** `rows` runs of `length` bytes of one value, `pitch` apart. */
export function fill(to: usize, rows: i32, length: i32, pitch: i32, value: i32): void {
  for (let y = 0; y < rows; y++) {
    memory.fill(to, <u8>value, length);
    to += pitch;
  }
}

/**
 * Channels that are neighbours become planes: float32 [positions][step] to [channels][positions].
 *
 * @param channels a multiple of four
 */
export function planes(from: usize, to: usize, positions: i32, channels: i32, step: i32): void {
  const next = <usize>step << 2;
  const plane = <usize>positions << 2;
  for (let c = 0; c < channels; c += 4) {
    let x = from + (<usize>c << 2);
    let y = to + <usize>c * plane;
    let i = 0;
    for (; i + 4 <= positions; i += 4) {
      const a = v128.load(x);
      const b = v128.load(x + next);
      const d = v128.load(x + 2 * next);
      const e = v128.load(x + 3 * next);
      const low = i32x4.shuffle(a, b, 0, 4, 1, 5);
      const high = i32x4.shuffle(a, b, 2, 6, 3, 7);
      const lower = i32x4.shuffle(d, e, 0, 4, 1, 5);
      const higher = i32x4.shuffle(d, e, 2, 6, 3, 7);
      v128.store(y, i64x2.shuffle(low, lower, 0, 2));
      v128.store(y + plane, i64x2.shuffle(low, lower, 1, 3));
      v128.store(y + 2 * plane, i64x2.shuffle(high, higher, 0, 2));
      v128.store(y + 3 * plane, i64x2.shuffle(high, higher, 1, 3));
      x += 4 * next;
      y += 16;
    }
    for (; i < positions; i++) {
      for (let j: usize = 0; j < 4; j++) store<f32>(y + j * plane, load<f32>(x + (j << 2)));
      x += next;
      y += 4;
    }
  }
}
