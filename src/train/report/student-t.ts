// Quantiles of Student's t distribution, for confidence intervals of a few values.

/**
 * t with `P(|T| <= t) = level` for T of `freedom` degrees of freedom: 12.706 for 95 % and 1. Found by halving an interval
 * until it is a double.
 *
 * @param level in (0, 1) @param freedom a whole number >= 1
 */
export function twoSidedT(level: number, freedom: number): number {
  let [low, high] = [0, 1];
  while (within(high, freedom) < level) high *= 2;
  for (let i = 0; i < 100; i++) {
    const middle = (low + high) / 2;
    if (within(middle, freedom) < level) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** `P(|T| <= t) = 1 - I_x(freedom / 2, 1 / 2)` at `x = freedom / (freedom + t^2)`. */
function within(t: number, freedom: number): number {
  return 1 - regularizedBeta(freedom / (freedom + t * t), freedom / 2, 0.5);
}

/** `I_x(a, b)`; by symmetry from the side on which the continued fraction converges fast. */
function regularizedBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x));
  return x < (a + 1) / (a + b + 2)
    ? (front * betaFraction(x, a, b)) / a
    : 1 - (front * betaFraction(1 - x, b, a)) / b;
}

/** The continued fraction of the incomplete beta function, by Lentz's method. */
function betaFraction(x: number, a: number, b: number): number {
  const tiny = 1e-300;
  const safe = (value: number): number => (Math.abs(value) < tiny ? tiny : value);
  let c = 1;
  let d = 1 / safe(1 - ((a + b) * x) / (a + 1));
  let result = d;
  for (let m = 1; m < 500; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    let change = 1;
    for (const term of [even, odd]) {
      d = 1 / safe(1 + term * d);
      c = safe(1 + term / c);
      change = c * d;
      result *= change;
    }
    if (Math.abs(change - 1) < 1e-15) break;
  }
  return result;
}

/** Of halves, which are all that is asked for here: by `Gamma(x + 1) = x Gamma(x)` from Gamma(1/2) and Gamma(1). */
function logGamma(x: number): number {
  let sum = Number.isInteger(x) ? 0 : Math.log(Math.PI) / 2;
  for (let at = Number.isInteger(x) ? 1 : 0.5; at < x - 0.25; at++) sum += Math.log(at);
  return sum;
}
