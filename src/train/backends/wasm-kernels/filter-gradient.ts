// How the gradient of a filter is cut into sums that fit the registers and the nearest cache.

import type * as tf from "@tensorflow/tfjs";
import { loopsOf, type ProductsName } from "./loops.js";
import { addressOf, type WasmBackend } from "./heap.js";
import type { Window, WindowAxis } from "./window.js";

/** Bytes of x and dy that one pass over all channels reads: what the first cache holds. */
const CACHED = 2 ** 15;

/** A sum over pixels for some channels of x and of dy, from those given on; `out`: where it goes, in elements. */
export interface Tile {
  readonly loop: ProductsName;
  readonly x: number;
  readonly dy: number;
  readonly out: number;
}

/**
 * Adds to dw what the tiles say, for each tap: `dw[tap, tile] += sum over n, i, j of x[...] * dy[...]`.
 *
 * @param dw all zero, `tapSize` elements a tap
 * @param outRow elements of dw from one channel of x to the next
 */
export function addProducts(
  backend: WasmBackend,
  x: tf.Tensor4D,
  dy: tf.Tensor4D,
  dw: tf.Tensor,
  window: Window,
  tiles: readonly Tile[],
  tapSize: number,
  outRow: number,
): void {
  const loops = loopsOf(backend);
  const { rows, columns } = window;
  const [xs, dys, dws] = [addressOf(backend, x), addressOf(backend, dy), addressOf(backend, dw)];
  const [xChannels, dyChannels] = [x.shape[3] * 4, dy.shape[3] * 4];
  const xRow = columns.input * xChannels * rows.stride;
  const dyRow = columns.output * dyChannels;
  const xPixel = xChannels * columns.stride;
  const height = Math.max(1, Math.floor(CACHED / (xRow + dyRow)));
  for (let n = 0; n < x.shape[0]; n++) {
    for (let start = 0; start < rows.output; start += height) {
      for (let r = 0; r < rows.taps; r++) {
        const [top, bottom] = within(rows, r, start, Math.min(start + height, rows.output));
        if (top >= bottom) continue;
        const h = top * rows.stride + r * rows.dilation - rows.before;
        for (let s = 0; s < columns.taps; s++) {
          const [left, right] = within(columns, s, 0, columns.output);
          if (left >= right) continue;
          const w = left * columns.stride + s * columns.dilation - columns.before;
          const from = xs + ((n * rows.input + h) * columns.input + w) * xChannels;
          const slopes = dys + ((n * rows.output + top) * columns.output + left) * dyChannels;
          const into = dws + (r * columns.taps + s) * tapSize * 4;
          for (const tile of tiles) {
            loops[tile.loop](
              from + tile.x * 4,
              slopes + tile.dy * 4,
              into + tile.out * 4,
              bottom - top,
              right - left,
              xPixel,
              xRow,
              dyChannels,
              dyRow,
              outRow * 4,
            );
          }
        }
      }
    }
  }
}

/** The outputs from `start` to `end` whose tap lies inside the input: from the first to before the second. */
function within(axis: WindowAxis, tap: number, start: number, end: number): [number, number] {
  const shift = tap * axis.dilation - axis.before;
  const first = Math.ceil(-shift / axis.stride);
  const last = Math.floor((axis.input - 1 - shift) / axis.stride);
  return [Math.max(start, first), Math.min(end, last + 1)];
}
