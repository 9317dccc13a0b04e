// Whether the runtime's integer Add computes what integers mean, or comes too close to a tie to be sure.

import { type Quantization, qmax, qmin } from "../quant/spec.js";

/**
 * Three roundings of values up to 512 in the kernel, each at most 2^-16, whether or not it multiplies and
 * adds in one step: 4.6e-5 together.
 */
const MARGIN = 1e-4;

/**
 * QLinearAdd computes `roundHalfEven(r_a q_a + (r_b q_b + offset))` in float32 with the zero point inside, where
 * the integer network says `roundHalfEven(fl(acc * m)) + zeroPoint`, `acc = (q_a - z) + (q_b - z)`. There are at most 511
 * different sums: the two agree for every one that is not within the margin of a tie, and when m is a power
 * of two (nothing is rounded before) and the stored zero point is even (a tie then goes the same way).
 *
 * @param multiplier m
 * @param operand the quantization that both operands share
 * @param storedZeroPoint of the result
 */
export function addAgrees(multiplier: number, operand: Quantization, storedZeroPoint: number): boolean {
  if (Number.isInteger(Math.log2(multiplier)) && storedZeroPoint % 2 === 0) return true;
  const largest = 2 * (qmax(operand.spec) - qmin(operand.spec));
  for (let acc = -largest; acc <= largest; acc++) {
    const scaled = acc * multiplier;
    // Far outside 0..255 the result saturates either way.
    if (Math.abs(scaled) <= 512 && Math.abs(scaled - Math.floor(scaled) - 0.5) < MARGIN) return false;
  }
  return true;
}
