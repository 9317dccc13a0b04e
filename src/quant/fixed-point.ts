// A multiplier as a fraction with a power of two below it, where that gives the very same integers: then it can be part
// of integer weights, and what is left of requantizing is Floor.

import { requantize } from "./affine.js";
import { isExactInFloat32 } from "./bias.js";

const MOST_FRACTION_BITS = 23;

/** `factor` and `offset` are integers over one power of two. */
export interface FixedPoint {
  readonly factor: number;
  readonly offset: number;
}

/** What a sum consists of: whole products up to `products` in magnitude together, and a bias, a multiple of a power of two. */
export interface IntegerSum {
  readonly products: number;
  readonly bias: number;
}

/**
 * `factor` and `offset` with
 * `clip(floor(factor * p + offset), low, high) = clip(roundHalfEven(fl((p + bias) * multiplier)), low, high)`
 * for every integer p with |p| <= products, and so small that float32 adds up `factor * p + offset` exactly, term by
 * term in any order: `|factor| * products + |offset| < 2^24 / 2^shift`, both multiples of `2^-shift`. The least shift is
 * taken. Both sides are staircases in p: they are equal when a line passes between the two integers next to each step.
 *
 * @param low, high integers counted from the zero point
 * @returns null where no such fraction is short enough
 */
export function fixedPoint(
  multiplier: number,
  low: number,
  high: number,
  { products, bias }: IntegerSum,
): FixedPoint | null {
  const steps = stepsOf(multiplier, low, high, products, bias);
  for (let shift = 0; shift <= MOST_FRACTION_BITS; shift++) {
    const unit = 2 ** shift;
    const nearest = Math.round(multiplier * unit);
    if (!isExactInFloat32((Math.abs(nearest) - 1) * products)) return null;
    for (const factor of [nearest, nearest - 1, nearest + 1]) {
      const offset = offsetBetween(steps, factor, unit);
      if (offset === null || !isExactInFloat32(Math.abs(factor) * products + Math.abs(offset))) continue;
      return { factor: factor / unit, offset: offset / unit };
    }
  }
  return null;
}

/** The sums of products next to the step from `below` to a larger integer; null for one that is out of reach. */
interface Step {
  readonly below: number;
  readonly lastBelow: number | null;
  readonly firstAbove: number | null;
}

function stepsOf(multiplier: number, low: number, high: number, products: number, bias: number): Step[] {
  const at = (p: number): number =>
    requantize(p + bias, multiplier, 0, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY);
  const up = multiplier < 0 ? -1 : 1;
  const [start, end] = [-up * products, up * products];
  const steps: Step[] = [];
  for (let below = low; below < high; below++) {
    if (at(end) <= below) {
      steps.push({ below, lastBelow: end, firstAbove: null });
    } else if (at(start) > below) {
      steps.push({ below, lastBelow: null, firstAbove: start });
    } else {
      let p = Math.round((below + 0.5) / multiplier - bias);
      while (at(p) > below) p -= up;
      while (at(p + up) <= below) p += up;
      steps.push({ below, lastBelow: p, firstAbove: p + up });
    }
  }
  return steps;
}

/** The integer nearest to 0 with which each step lies where it must; null when there is none. */
function offsetBetween(steps: readonly Step[], factor: number, unit: number): number | null {
  let [least, most] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (const { below, lastBelow, firstAbove } of steps) {
    const edge = (below + 1) * unit;
    if (firstAbove !== null) least = Math.max(least, edge - factor * firstAbove);
    if (lastBelow !== null) most = Math.min(most, edge - 1 - factor * lastBelow);
  }
  return least > most ? null : Math.min(Math.max(0, least), most);
}
