// Sums of products: as an integer kernel adds them, in int32, and as float32 adds integers it holds. Gives the bound
// that no partial sum can pass, and whether that proves the sum.

import type { Tensor } from "../../base/tensor.js";
import { sizeOf } from "../../base/tensor.js";
import type { Node } from "../../graph/graph.js";
import { isPowerOfTwo } from "../../quant/affine.js";
import { outputChannelAxis } from "../../graph/passes/fold-batch-norm.js";
import { addsInPairs, pairsFitInt16 } from "../../lower/pair-sums.js";
import { channelSums } from "../../quant/bias.js";
import {
  FLOAT_LIMIT,
  INTEGER_LIMIT,
  type Known,
  largerSum,
  largestOf,
  stepOf,
  type SumFact,
  unproven,
} from "./known.js";

/** Constant integers of a DequantizeLinear: counted from the zero point, and as they are stored. */
export interface StoredWeights {
  readonly integers: Int32Array;
  readonly shape: readonly number[];
  readonly dtype: "uint8" | "int8";
  readonly scale: Float32Array;
}

/** Bytes that a kernel reads. */
export interface StoredInput {
  readonly q: Known;
  readonly zeroPoint: number;
  readonly scale: number;
}

/**
 * `sum (q_x - z_x) q_w + bias` in int32: exact while `max over k of sum |q_w| * max |q_x - z_x| + |bias[k]| < 2^31` and no
 * pair of products can leave int16, where x86-64 without VNNI adds in pairs.
 *
 * @param layer as messages call it
 * @returns the sum in its own unit
 */
export function integerSum(
  node: Node,
  layer: string,
  x: StoredInput,
  weights: StoredWeights,
  bias: ArrayLike<number> | null,
): Known {
  const { low, high } = x.q;
  const largestX = Math.max(high - x.zeroPoint, x.zeroPoint - low);
  const axis = outputChannelAxis(node);
  const { integers, shape, dtype } = weights;
  const bounds = channelSums(integers, shape, axis ?? 0).map(
    (sum, k) => sum * largestX + Math.abs(bias?.[k] ?? 0),
  );
  const bound = bounds.reduce((most, each) => Math.max(most, each), 0);
  const sum: SumFact = { layer, kernel: "integer", bound, limit: INTEGER_LIMIT };
  let reason = x.q.unproven;
  if (bound >= INTEGER_LIMIT) reason ??= `sums up to ${bound} may leave int32`;
  const signedPairs = dtype === "int8" && addsInPairs(node, true);
  if (signedPairs && (axis === null || !pairsFitInt16(integers, shape, axis, Math.max(1, high)))) {
    reason ??= "pairs of products may leave int16 on x86-64 without VNNI";
  }
  return {
    low: -bound,
    high: bound,
    step: 1,
    rounded: false,
    unproven: reason,
    sum: largerSum(x.q.sum, sum),
  };
}

/** The sum of a kernel that gives out real numbers: `fl(fl(sum) * fl(s_x * s_w[k]))`. */
export function scaledSum(sum: Known, scaleX: number, scale: Float32Array): Known {
  const factors = scale.map((each) => Math.abs(each * scaleX));
  const exact = factors.every(isPowerOfTwo) && largestOf(sum) < FLOAT_LIMIT;
  const largest = factors.reduce((most, each) => Math.max(most, each), 0) * largestOf(sum);
  return {
    ...sum,
    low: -largest,
    high: largest,
    step: exact ? factors.reduce((least, each) => Math.min(least, each), 1) : 0,
    rounded: !exact,
  };
}

/**
 * A Conv, ConvTranspose, Gemm or MatMul of float32 that lies on a grid, with constant weights that do: exact in any
 * order of summation while `(sum |w| * max |x| + |bias[k]|) / unit[k] < 2^24` for each output channel k, unit[k] the
 * power of two that divides x, its weights and its bias.
 */
export function floatSum(node: Node, layer: string, x: Known, weight: Tensor, bias: Tensor | null): Known {
  if (x.unproven !== null || x.rounded || x.step === 0) {
    return unproven(x.unproven ?? "a sum of numbers that are no integers", x.sum);
  }
  const axis = outputChannelAxis(node);
  const largestX = largestOf(x);
  if (axis === null || !Number.isFinite(largestX)) {
    return unproven(`${node.op} over inputs without a bound`, x.sum);
  }
  const weights = weight.data as Float32Array;
  const units = channelUnits(weights, weight.shape, axis);
  const biases = bias?.data as Float32Array | undefined;
  let [bound, largest, step] = [0, 0, 1];
  channelSums(weights, weight.shape, axis).forEach((sum, k) => {
    const offset = Math.abs(biases?.[k] ?? 0);
    const unit = Math.min((units[k] as number) * x.step, stepOf(offset));
    const size = sum * largestX + offset;
    largest = Math.max(largest, size);
    step = Math.min(step, unit);
    bound = Math.max(bound, unit > 0 ? size / unit : Number.POSITIVE_INFINITY);
  });
  return sumInFloat(layer, [x], bound, largest, step);
}

/** A sum of `count` elements of x: ReduceSum over a known number of positions. */
export function floatTotal(layer: string, x: Known, count: number): Known {
  if (x.unproven !== null || x.rounded || x.step === 0) {
    return unproven(x.unproven ?? "a sum of numbers that are no integers", x.sum);
  }
  const largest = largestOf(x) * count;
  return sumInFloat(layer, [x], largest / x.step, largest, x.step);
}

/** A MatMul of two computed operands, `count` products each. */
export function floatProduct(layer: string, a: Known, b: Known, count: number): Known {
  const operands = [a, b];
  const bad = operands.find((each) => each.unproven !== null || each.rounded || each.step === 0);
  if (bad) return unproven(bad.unproven ?? "a sum of numbers that are no integers", largerSum(a.sum, b.sum));
  const step = a.step * b.step;
  const largest = largestOf(a) * largestOf(b) * count;
  return sumInFloat(layer, operands, largest / step, largest, step);
}

function sumInFloat(
  layer: string,
  operands: readonly Known[],
  bound: number,
  largest: number,
  step: number,
): Known {
  if (!Number.isFinite(bound)) return unproven("sums without a bound");
  const own: SumFact = { layer, kernel: "float", bound, limit: FLOAT_LIMIT };
  const sum = operands.reduce<SumFact | null>((most, each) => largerSum(most, each.sum), own);
  const exact = bound < FLOAT_LIMIT;
  const end = exact ? largest : Number.POSITIVE_INFINITY;
  return {
    low: -end,
    high: end,
    step: exact ? step : 0,
    rounded: !exact,
    unproven: exact ? null : `sums up to ${bound} may pass 2^24, from where float32 rounds`,
    sum,
  };
}

/** The power of two that divides all weights of an output channel. */
function channelUnits(weights: ArrayLike<number>, shape: readonly number[], axis: number): number[] {
  const units = Array.from({ length: shape[axis] ?? 0 }, () => 1);
  const inner = sizeOf(shape.slice(axis + 1));
  for (let i = 0; i < weights.length; i++) {
    const k = Math.floor(i / inner) % units.length;
    units[k] = Math.min(units[k] as number, stepOf(weights[i] as number));
  }
  return units;
}
