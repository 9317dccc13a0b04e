// What can be said of all elements of a value by looking at the file alone: bounds, the grid they lie on, and whether
// every processor that follows IEEE 754 must compute the same ones. Interval arithmetic; no data is looked at.

import type { Tensor } from "../../base/tensor.js";

/** A sum of integers on the way to a value. */
export interface SumFact {
  readonly layer: string;
  readonly kernel: "integer" | "float";
  /** No partial sum is larger in magnitude, counted in the sum's unit. */
  readonly bound: number;
  /** Up to which sums are exact, in any order. */
  readonly limit: number;
}

export interface Known {
  readonly low: number;
  readonly high: number;
  /** A power of two of which every element is a multiple, at most 1; 0: not known. */
  readonly step: number;
  /** One rounding lies between the exact numbers and these: a second one could be fused away. */
  readonly rounded: boolean;
  /** Why runtimes may differ; null where they must not. */
  readonly unproven: string | null;
  /** The largest sum since the last quantized tensor. */
  readonly sum: SumFact | null;
}

/** Sums of float32 below it, in their unit, are exact. */
export const FLOAT_LIMIT: number = 2 ** 24;
/** Sums of int32 kernels below it are exact. */
export const INTEGER_LIMIT: number = 2 ** 31;

/** Given as it is: the graph's input, or a quantized tensor whose integers are compared where it stands. */
export function given(low: number, high: number, step: number): Known {
  return { low, high, step, rounded: false, unproven: null, sum: null };
}

/** Nothing is known but that runtimes may differ. */
export function unproven(reason: string, sum: SumFact | null = null): Known {
  return {
    low: Number.NEGATIVE_INFINITY,
    high: Number.POSITIVE_INFINITY,
    step: 0,
    rounded: true,
    unproven: reason,
    sum,
  };
}

export function knownOfConstant({ dtype, data }: Tensor): Known {
  if (dtype === "int64" || dtype === "uint64" || data.length === 0) return unproven(`a constant of ${dtype}`);
  let [low, high, step] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1];
  for (const x of data as Float32Array) {
    low = Math.min(low, x);
    high = Math.max(high, x);
    step = Math.min(step, stepOf(x));
  }
  return given(low, high, step);
}

/** The largest power of two, at most 1, that divides x; 1 for 0, 0 for what is not finite. */
export function stepOf(x: number): number {
  if (Number.isInteger(x)) return 1;
  if (!Number.isFinite(x)) return 0;
  const size = Math.abs(x);
  let step = Math.min(1, 2 ** Math.floor(Math.log2(size)));
  while (step > 0 && size % step !== 0) step /= 2;
  return step;
}

/** Whether float32 holds every multiple of `step` up to `largest`. */
export function isHeld(largest: number, step: number): boolean {
  return step > 0 && largest / step <= FLOAT_LIMIT;
}

export function largestOf({ low, high }: Pick<Known, "low" | "high">): number {
  return Math.max(Math.abs(low), Math.abs(high));
}

/** The first reason and the largest sum of several operands. */
export function together(operands: readonly Known[]): Pick<Known, "unproven" | "sum"> {
  let sum: SumFact | null = null;
  for (const each of operands) sum = largerSum(sum, each.sum);
  return { unproven: operands.find((each) => each.unproven !== null)?.unproven ?? null, sum };
}

/** The one that comes nearer to its limit. */
export function largerSum(a: SumFact | null, b: SumFact | null): SumFact | null {
  if (!a || !b) return a ?? b;
  return b.bound / b.limit > a.bound / a.limit ? b : a;
}
