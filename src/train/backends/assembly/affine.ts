// Batch normalization and its gradient: factors and offsets a channel, written out as patterns that repeat. Sixteen
// elements a round; each product and each sum is rounded to float32.

/**
 * `out[i] = fl(fl(a[i] factor[i % period]) + offset[i % period])`.
 *
 * @param a f32 [periods][rounds][16], as out
 * @param factor f32 [rounds][16], as offset
 */
export function affine(
  a: usize,
  factor: usize,
  offset: usize,
  out: usize,
  periods: i32,
  rounds: i32,
): void {
  do {
    let f = factor;
    let o = offset;
    let left = rounds;
    do {
      v128.store(out, f32x4.add(f32x4.mul(v128.load(a), v128.load(f)), v128.load(o)));
      v128.store(out, f32x4.add(f32x4.mul(v128.load(a, 16), v128.load(f, 16)), v128.load(o, 16)), 16);
      v128.store(out, f32x4.add(f32x4.mul(v128.load(a, 32), v128.load(f, 32)), v128.load(o, 32)), 32);
      v128.store(out, f32x4.add(f32x4.mul(v128.load(a, 48), v128.load(f, 48)), v128.load(o, 48)), 48);
      a += 64;
      f += 64;
      o += 64;
      out += 64;
    } while (--left);
  } while (--periods);
}

/** `fl(fl(a f) + fl(fl(b s) + o))` */
// @ts-ignore: decorator
@inline function biaffined(a: v128, f: v128, b: v128, s: v128, o: v128): v128 {
  return f32x4.add(f32x4.mul(a, f), f32x4.add(f32x4.mul(b, s), o));
}

/**
 * `out[i] = fl(fl(a[i] factor[j]) + fl(fl(b[i] slope[j]) + offset[j]))`, `j = i % period`.
 *
 * @param a f32 [periods][rounds][16], as b and out
 * @param factor f32 [rounds][16], as slope and offset
 */
export function biaffine(
  a: usize,
  factor: usize,
  b: usize,
  slope: usize,
  offset: usize,
  out: usize,
  periods: i32,
  rounds: i32,
): void {
  do {
    let f = factor;
    let s = slope;
    let o = offset;
    let left = rounds;
    do {
      const y0 = biaffined(v128.load(a), v128.load(f), v128.load(b), v128.load(s), v128.load(o));
      v128.store(out, y0);
      const y1 = biaffined(v128.load(a, 16), v128.load(f, 16), v128.load(b, 16), v128.load(s, 16), v128.load(o, 16));
      v128.store(out, y1, 16);
      const y2 = biaffined(v128.load(a, 32), v128.load(f, 32), v128.load(b, 32), v128.load(s, 32), v128.load(o, 32));
      v128.store(out, y2, 32);
      const y3 = biaffined(v128.load(a, 48), v128.load(f, 48), v128.load(b, 48), v128.load(s, 48), v128.load(o, 48));
      v128.store(out, y3, 48);
      a += 64;
      f += 64;
      b += 64;
      s += 64;
      o += 64;
      out += 64;
    } while (--left);
  } while (--periods);
}
