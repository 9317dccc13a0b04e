// Bytes that move and stay what they are.

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
