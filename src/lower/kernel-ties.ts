// Whether the runtime's integer Add and Mul compute what integers mean, or come too close to a tie to be sure.

import { isPowerOfTwo } from "../quant/affine.js";
import { type Quantization, qmax, qmin } from "../quant/spec.js";

/** Half the distance of 1 to the next float32: the relative error of one rounding. */
const ROUNDING = 2 ** -24;

/**
 * QLinearAdd computes, in float32 and with the zero point inside, `roundHalfEven(r_a q_a + (r_b q_b + offset))` on the
 * CPU and `roundHalfEven((s q_a + s q_b) / s_y + zeroPoint)` in WebAssembly, where the integer network says
 * `roundHalfEven(fl(acc * m)) + zeroPoint`, `acc = (q_a - z) + (q_b - z)`. There are at most 511 different sums: all three
 * agree for every one that is not within the margin of a tie. On scales that are powers of two nothing is
 * rounded before, and an even zero point lets a tie go the same way.
 *
 * @param multiplier m
 * @param operand the quantization that both operands share
 * @param storedZeroPoint of the result
 */
export function addAgrees(multiplier: number, operand: Quantization, storedZeroPoint: number): boolean {
  const exact = isPowerOfTwo(multiplier) && isPowerOfTwo(operand.params.scale[0] as number);
  if (exact && storedZeroPoint % 2 === 0) return true;
  // Two products up to 256 m; then a sum, a quotient, the zero point, and m and its product: 256 at the most each.
  const margin = (512 * multiplier + 6 * 256) * ROUNDING;
  const largest = 2 * (qmax(operand.spec) - qmin(operand.spec));
  for (let acc = -largest; acc <= largest; acc++) {
    const scaled = acc * multiplier;
    // Far outside 0..255 the result saturates either way.
    if (Math.abs(scaled) <= 512 && isNearTie(scaled, margin)) return false;
  }
  return true;
}

/**
 * QLinearMul to a result with zero point 0 computes `roundHalfEven(s_a q_a s_b q_b / s_y)`, rounding in an order that
 * differs between runtimes, where the integer network says `roundHalfEven(fl(acc * m))`, `acc = (q_a - z_a) (q_b - z_b)`.
 * They agree for every product that is not next to a tie, and where nothing is rounded.
 *
 * @param multiplier m
 */
export function productAgrees(multiplier: number, a: Quantization, b: Quantization): boolean {
  const scales = [multiplier, a.params.scale[0] as number, b.params.scale[0] as number];
  if (scales.every(isPowerOfTwo)) return true;
  for (const x of centred(a)) {
    for (const y of centred(b)) {
      const scaled = x * y * multiplier;
      // What is below 0 or far above 255 saturates either way. Eight roundings, m's among them.
      if (scaled > 0 && scaled <= 512 && isNearTie(scaled, 8 * ROUNDING * scaled)) return false;
    }
  }
  return true;
}

/** `q - zeroPoint` for all integers q. */
function centred({ spec, params }: Quantization): number[] {
  const zeroPoint = params.zeroPoint[0] as number;
  return Array.from({ length: qmax(spec) - qmin(spec) + 1 }, (_, i) => qmin(spec) + i - zeroPoint);
}

function isNearTie(x: number, margin: number): boolean {
  return Math.abs(x - Math.floor(x) - 0.5) <= margin;
}
