// From the pixels of an image to the bytes of a network, by one look-up a channel.

/** Alpha over white, rounded down. */
// @ts-ignore: decorator
@inline function overWhite(level: u32, alpha: u32): u32 {
  return alpha == 255 ? level : (alpha * level + (255 - alpha) * 255) / 255;
}

/**
 * Three channels become `table[c][level]`, or one `table[luma]`, `luma = (19595 R + 38470 G + 7471 B + 32768) >> 16` (BT.601).
 *
 * @param from RGB or RGBA, row by row
 * @param size bytes a pixel: 3 or 4
 * @param tables u8 [channels][256]
 */
export function lookUpPixels(
  from: usize,
  to: usize,
  rows: i32,
  columns: i32,
  size: i32,
  channels: i32,
  pitch: i32,
  step: i32,
  tables: usize,
): void {
  for (let y = 0; y < rows; y++) {
    let at = to;
    for (let x = 0; x < columns; x++) {
      let red = <u32>load<u8>(from);
      let green = <u32>load<u8>(from, 1);
      let blue = <u32>load<u8>(from, 2);
      if (size == 4) {
        const alpha = <u32>load<u8>(from, 3);
        red = overWhite(red, alpha);
        green = overWhite(green, alpha);
        blue = overWhite(blue, alpha);
      }
      if (channels == 1) {
        const luma = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16;
        store<u8>(at, load<u8>(tables + luma));
      } else {
        store<u8>(at, load<u8>(tables + red));
        store<u8>(at, load<u8>(tables + green, 256), 1);
        store<u8>(at, load<u8>(tables + blue, 512), 2);
      }
      from += size;
      at += step;
    }
    to += pitch;
  }
}
