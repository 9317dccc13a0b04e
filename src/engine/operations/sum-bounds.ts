// What sums of products may reach, told from the weights.

import { QdgError } from "../../base/error.js";
import type { WeightedSum } from "./weighted-sum.js";

const LARGEST_BYTE = 255;
const LARGEST_INT32 = 2 ** 31 - 1;
/** What is rounded by an addition (requantize.ts) must be below, zero point included. */
const ROUNDED_BELOW = 2 ** 22 - 256;

/** Of the weights of one output: their sum, and that of their absolute values. */
export interface WeightTotals {
  readonly sum: number;
  readonly absolute: number;
}

export interface SumBounds {
  /** `bias[k] - z_x sum w[k]` */
  readonly bias: Int32Array;
  /** Whether all sums times their multipliers stay where adding 1.5 * 2^23 rounds. */
  readonly isNear: boolean;
}

/** @throws QdgError `unsupported-op` for sums that may leave int32, `invalid-graph` for multipliers that are no numbers */
export function sumBounds(
  { where, zeroX, bias, multiplier }: WeightedSum,
  totals: readonly WeightTotals[],
): SumBounds {
  let isNear = true;
  const whole = bias.map((each, k) => {
    const { sum, absolute } = totals[k] as WeightTotals;
    const result = each - zeroX * sum;
    const most = Math.max(Math.abs(result), Math.abs(each)) + LARGEST_BYTE * absolute;
    if (most > LARGEST_INT32) {
      throw new QdgError(
        "unsupported-op",
        where,
        `sums of channel ${k} may reach ${most}, expected at most ${LARGEST_INT32}; use fewer bits`,
      );
    }
    const factor = multiplier[k] as number;
    if (!Number.isFinite(factor)) {
      throw new QdgError("invalid-graph", where, `channel ${k}: got ${factor} as multiplier`);
    }
    if (most * Math.abs(factor) >= ROUNDED_BELOW) isNear = false;
    return result;
  });
  return { bias: whole, isNear };
}
