// Elements that a condition chooses, by masks instead of branches. Sixteen elements a round.

/** Four bools as masks of all ones or all zeros. */
// @ts-ignore: decorator
@inline function maskOf(bools: v128): v128 {
  return i32x4.neg(i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(bools)));
}

/**
 * `out[i] = condition[i] ? yes[i] : no[i]`, bit by bit.
 *
 * @param condition u8 [rounds][16], 0 or 1
 * @param yes any four bytes an element, [rounds][16], as no and out
 */
export function select(condition: usize, yes: usize, no: usize, out: usize, rounds: i32): void {
  do {
    const m0 = maskOf(v128.load32_zero(condition));
    const m1 = maskOf(v128.load32_zero(condition, 4));
    const m2 = maskOf(v128.load32_zero(condition, 8));
    const m3 = maskOf(v128.load32_zero(condition, 12));
    v128.store(out, v128.bitselect(v128.load(yes), v128.load(no), m0));
    v128.store(out, v128.bitselect(v128.load(yes, 16), v128.load(no, 16), m1), 16);
    v128.store(out, v128.bitselect(v128.load(yes, 32), v128.load(no, 32), m2), 32);
    v128.store(out, v128.bitselect(v128.load(yes, 48), v128.load(no, 48), m3), 48);
    condition += 16;
    yes += 64;
    no += 64;
    out += 64;
  } while (--rounds);
}

/** `out[i] = b[i] > 0 ? a[i] : 0`. All f32 [rounds][16]. */
export function positive(a: usize, b: usize, out: usize, rounds: i32): void {
  const zero = f32x4.splat(0);
  do {
    v128.store(out, v128.and(v128.load(a), f32x4.gt(v128.load(b), zero)));
    v128.store(out, v128.and(v128.load(a, 16), f32x4.gt(v128.load(b, 16), zero)), 16);
    v128.store(out, v128.and(v128.load(a, 32), f32x4.gt(v128.load(b, 32), zero)), 32);
    v128.store(out, v128.and(v128.load(a, 48), f32x4.gt(v128.load(b, 48), zero)), 48);
    a += 64;
    b += 64;
    out += 64;
  } while (--rounds);
}
