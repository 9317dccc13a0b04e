// What every sum of products over pixels adds.

/** `sum + a b`, the product rounded first. */
// @ts-ignore: decorator
@inline export function plus(sum: v128, a: v128, b: v128): v128 {
  return f32x4.add(sum, f32x4.mul(a, b));
}
