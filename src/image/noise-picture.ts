// Pictures that follow from a few numbers: what a network is tested with where no picture can be brought.

import { generator } from "./draw-shapes.js";
import type { Image } from "./image.js";

export interface NoisePicture {
  readonly width: number;
  readonly height: number;
  /** Of `generator`. */
  readonly seed: number;
  /** Side of the squares that have one color. */
  readonly cell: number;
}

/**
 * Squares of `cell` x `cell` pixels, in rows from the top, `ceil(width / cell)` in a row; red, green and blue of each are
 * the next three numbers u of the generator, as `floor(256 u)`.
 */
export function noisePicture({ width, height, seed, cell }: NoisePicture): Image {
  const random = generator(seed);
  const columns = Math.ceil(width / cell);
  const colors = Uint8Array.from({ length: Math.ceil(height / cell) * columns * 3 }, () =>
    Math.floor(256 * random()),
  );
  const data = new Uint8Array(width * height * 3);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = 3 * (Math.floor(y / cell) * columns + Math.floor(x / cell));
      for (let k = 0; k < 3; k++) data[i++] = colors[from + k] as number;
    }
  }
  return { width, height, channels: 3, data };
}
