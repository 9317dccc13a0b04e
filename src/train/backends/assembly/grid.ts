// Fake quantization with one scale, and its gradient. Sixteen elements a round; single numbers come by address.

/** `fl(roundHalfEven(min(max(fl(v / s), least), greatest)) s)` */
// @ts-ignore: decorator
@inline function onGrid(v: v128, s: v128, least: v128, greatest: v128): v128 {
  return f32x4.mul(f32x4.nearest(f32x4.min(f32x4.max(f32x4.div(v, s), least), greatest)), s);
}

/**
 * `out[i] = scale * roundHalfEven(min(max(fl(v[i] / scale), low), high))`.
 *
 * @param v f32 [rounds][16], as out
 * @param scale address of one f32, as low and high: in steps, integers
 */
export function grid(v: usize, scale: usize, low: usize, high: usize, out: usize, rounds: i32): void {
  const s = v128.load32_splat(scale);
  const least = v128.load32_splat(low);
  const greatest = v128.load32_splat(high);
  do {
    v128.store(out, onGrid(v128.load(v), s, least, greatest));
    v128.store(out, onGrid(v128.load(v, 16), s, least, greatest), 16);
    v128.store(out, onGrid(v128.load(v, 32), s, least, greatest), 32);
    v128.store(out, onGrid(v128.load(v, 48), s, least, greatest), 48);
    v += 64;
    out += 64;
  } while (--rounds);
}

// @ts-ignore: decorator
@inline function between(v: v128, low: v128, high: v128): v128 {
  return v128.and(f32x4.ge(v, low), f32x4.le(v, high));
}

/** `sum + dy (y - v)` where v is inside, `sum + dy y` elsewhere. */
// @ts-ignore: decorator
@inline function moved(sum: v128, dy: v128, v: v128, y: v128, inside: v128): v128 {
  return f32x4.add(sum, f32x4.mul(dy, f32x4.sub(y, v128.and(v, inside))));
}

/**
 * Of `y = grid(v)`: `dv[i] = least <= v[i] <= greatest ? dy[i] : 0`, and `sums[i % 4] += dy[i] y[i] - dv[i] v[i]`, in
 * float32 and in the order of i.
 *
 * @param dy f32 [rounds][16], as v, y and dv
 * @param least address of one f32, as greatest: in units of v
 * @param sums f32 [4]
 */
export function gridGradient(
  dy: usize,
  v: usize,
  y: usize,
  dv: usize,
  least: usize,
  greatest: usize,
  sums: usize,
  rounds: i32,
): void {
  const low = v128.load32_splat(least);
  const high = v128.load32_splat(greatest);
  let sum = v128.load(sums);
  do {
    let slope = v128.load(dy);
    let value = v128.load(v);
    let inside = between(value, low, high);
    v128.store(dv, v128.and(slope, inside));
    sum = moved(sum, slope, value, v128.load(y), inside);

    slope = v128.load(dy, 16);
    value = v128.load(v, 16);
    inside = between(value, low, high);
    v128.store(dv, v128.and(slope, inside), 16);
    sum = moved(sum, slope, value, v128.load(y, 16), inside);

    slope = v128.load(dy, 32);
    value = v128.load(v, 32);
    inside = between(value, low, high);
    v128.store(dv, v128.and(slope, inside), 32);
    sum = moved(sum, slope, value, v128.load(y, 32), inside);

    slope = v128.load(dy, 48);
    value = v128.load(v, 48);
    inside = between(value, low, high);
    v128.store(dv, v128.and(slope, inside), 48);
    sum = moved(sum, slope, value, v128.load(y, 48), inside);

    dy += 64;
    v += 64;
    y += 64;
    dv += 64;
  } while (--rounds);
  v128.store(sums, sum);
}
