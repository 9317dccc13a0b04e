// Filter gradients of depthwise convolutions, and sums by channel: over pixels, products of the same channel of two
// images. Each channel's sum is made in float32, pixel after pixel, row after row.

import { plus } from "./plus";

/**
 * `out[c] += sum over pixels of x[c] dy[c]`, c below 16.
 *
 * @param x f32, the first channel of the first of `rows * pixels` pixels, as dy
 * @param xPixel bytes from one pixel of a row to the next in x, as dyPixel in dy
 * @param xRow bytes from the first pixel of one row to that of the next in x, as dyRow in dy
 * @param outRow not read: the loops of outer-products.ts are called alike
 */
export function inner16(
  x: usize,
  dy: usize,
  out: usize,
  rows: i32,
  pixels: i32,
  xPixel: usize,
  xRow: usize,
  dyPixel: usize,
  dyRow: usize,
  outRow: usize,
): void {
  let s0 = v128.load(out);
  let s1 = v128.load(out, 16);
  let s2 = v128.load(out, 32);
  let s3 = v128.load(out, 48);
  do {
    let px = x;
    let pdy = dy;
    let left = pixels;
    do {
      s0 = plus(s0, v128.load(px), v128.load(pdy));
      s1 = plus(s1, v128.load(px, 16), v128.load(pdy, 16));
      s2 = plus(s2, v128.load(px, 32), v128.load(pdy, 32));
      s3 = plus(s3, v128.load(px, 48), v128.load(pdy, 48));
      px += xPixel;
      pdy += dyPixel;
    } while (--left);
    x += xRow;
    dy += dyRow;
  } while (--rows);
  v128.store(out, s0);
  v128.store(out, s1, 16);
  v128.store(out, s2, 32);
  v128.store(out, s3, 48);
}

/** The same for c below 4. */
export function inner4(
  x: usize,
  dy: usize,
  out: usize,
  rows: i32,
  pixels: i32,
  xPixel: usize,
  xRow: usize,
  dyPixel: usize,
  dyRow: usize,
  outRow: usize,
): void {
  let sum = v128.load(out);
  do {
    let px = x;
    let pdy = dy;
    let left = pixels;
    do {
      sum = plus(sum, v128.load(px), v128.load(pdy));
      px += xPixel;
      pdy += dyPixel;
    } while (--left);
    x += xRow;
    dy += dyRow;
  } while (--rows);
  v128.store(out, sum);
}

/** The same for one c. */
export function inner1(
  x: usize,
  dy: usize,
  out: usize,
  rows: i32,
  pixels: i32,
  xPixel: usize,
  xRow: usize,
  dyPixel: usize,
  dyRow: usize,
  outRow: usize,
): void {
  let sum = load<f32>(out);
  do {
    let px = x;
    let pdy = dy;
    let left = pixels;
    do {
      sum += load<f32>(px) * load<f32>(pdy);
      px += xPixel;
      pdy += dyPixel;
    } while (--left);
    x += xRow;
    dy += dyRow;
  } while (--rows);
  store<f32>(out, sum);
}
