// Filter gradients of convolutions: over pixels, products of every channel of x with every channel of dy, for as many
// channels at once as the registers hold. Each sum is made in float32, pixel after pixel, row after row.

import { plus } from "./plus";

/**
 * `out[c][k] += sum over pixels of x[c] dy[k]`, c below 4 and k below 8.
 *
 * @param x f32, the first channel of the first of `rows * pixels` pixels, as dy
 * @param out f32 [4][8], `outRow` bytes from one c to the next
 * @param xPixel bytes from one pixel of a row to the next in x, as dyPixel in dy
 * @param xRow bytes from the first pixel of one row to that of the next in x, as dyRow in dy
 */
export function outer4x8(
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
  const out1 = out + outRow;
  const out2 = out1 + outRow;
  const out3 = out2 + outRow;
  let a0 = v128.load(out);
  let b0 = v128.load(out, 16);
  let a1 = v128.load(out1);
  let b1 = v128.load(out1, 16);
  let a2 = v128.load(out2);
  let b2 = v128.load(out2, 16);
  let a3 = v128.load(out3);
  let b3 = v128.load(out3, 16);
  do {
    let px = x;
    let pdy = dy;
    let left = pixels;
    do {
      const dyA = v128.load(pdy);
      const dyB = v128.load(pdy, 16);
      let input = v128.load32_splat(px);
      a0 = plus(a0, input, dyA);
      b0 = plus(b0, input, dyB);
      input = v128.load32_splat(px, 4);
      a1 = plus(a1, input, dyA);
      b1 = plus(b1, input, dyB);
      input = v128.load32_splat(px, 8);
      a2 = plus(a2, input, dyA);
      b2 = plus(b2, input, dyB);
      input = v128.load32_splat(px, 12);
      a3 = plus(a3, input, dyA);
      b3 = plus(b3, input, dyB);
      px += xPixel;
      pdy += dyPixel;
    } while (--left);
    x += xRow;
    dy += dyRow;
  } while (--rows);
  v128.store(out, a0);
  v128.store(out, b0, 16);
  v128.store(out1, a1);
  v128.store(out1, b1, 16);
  v128.store(out2, a2);
  v128.store(out2, b2, 16);
  v128.store(out3, a3);
  v128.store(out3, b3, 16);
}

/** The same for c below 4 and k below 4. */
export function outer4x4(
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
  const out1 = out + outRow;
  const out2 = out1 + outRow;
  const out3 = out2 + outRow;
  let s0 = v128.load(out);
  let s1 = v128.load(out1);
  let s2 = v128.load(out2);
  let s3 = v128.load(out3);
  do {
    let px = x;
    let pdy = dy;
    let left = pixels;
    do {
      const slopes = v128.load(pdy);
      s0 = plus(s0, v128.load32_splat(px), slopes);
      s1 = plus(s1, v128.load32_splat(px, 4), slopes);
      s2 = plus(s2, v128.load32_splat(px, 8), slopes);
      s3 = plus(s3, v128.load32_splat(px, 12), slopes);
      px += xPixel;
      pdy += dyPixel;
    } while (--left);
    x += xRow;
    dy += dyRow;
  } while (--rows);
  v128.store(out, s0);
  v128.store(out1, s1);
  v128.store(out2, s2);
  v128.store(out3, s3);
}

/** The same for one c and k below 8; outRow is not read. */
export function outer1x8(
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
  let a = v128.load(out);
  let b = v128.load(out, 16);
  do {
    let px = x;
    let pdy = dy;
    let left = pixels;
    do {
      const input = v128.load32_splat(px);
      a = plus(a, input, v128.load(pdy));
      b = plus(b, input, v128.load(pdy, 16));
      px += xPixel;
      pdy += dyPixel;
    } while (--left);
    x += xRow;
    dy += dyRow;
  } while (--rows);
  v128.store(out, a);
  v128.store(out, b, 16);
}

/** The same for one c and k below 4; outRow is not read. */
export function outer1x4(
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
      sum = plus(sum, v128.load32_splat(px), v128.load(pdy));
      px += xPixel;
      pdy += dyPixel;
    } while (--left);
    x += xRow;
    dy += dyRow;
  } while (--rows);
  v128.store(out, sum);
}
