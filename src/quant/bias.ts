// Integer biases, the rule for channels whose bias does not fit, and how large integer sums can get.
// Pure functions; the scales that come in may be negative or 0, since batch normalization folds into them.

import { QdgError } from "../base/error.js";
import { sizeOf } from "../base/tensor.js";
import { roundHalfEven } from "./affine.js";
import { pairLimit } from "./paired-weights.js";
import type { Quantization } from "./spec.js";
import { qmax, qmin } from "./spec.js";

/** From here on a bias leaves no room below 2^24 for the products, and the channel counts as dead. */
const BIAS_LIMIT = 2 ** 23;
/** A dead channel's new scale holds its bias within this. */
const DEAD_BIAS_LIMIT = 2 ** 22;
const SMALLEST_NORMAL = 2 ** -126;
const LARGEST_EXPONENT = 127;

/** Of weights that a kernel takes as int8, and of what is left to sums for biases. */
const LARGEST_INT8 = 2 ** 7;
const PRODUCTS_LIMIT = 2 ** 23;

/**
 * How many steps of the bias one step of the products has, a power of two. At few bits a step of the products is coarse: half of
 * one, where a bias is rounded to it, can be more than a step of the output. Weights times f are the same weights to an
 * integer kernel, whose scale is then 1 / f of theirs. With b-bit weights, a-bit inputs and n weights an output channel, f is
 * the largest that keeps
 * - the weights in int8: `2^(b-1) f <= 2^7`,
 * - two products that a kernel adds in int16 from saturating: `2 * 2^(b-1) f (2^a - 1) < 2^15`,
 * - sums exact in float32, with room for the bias: `n 2^(b-1) f (2^a - 1) <= 2^23`.
 *
 * By bits and shapes alone: training rounds to the same steps before it knows the weights.
 */
export function biasResolution(weightBits: number, inputBits: number, count: number): number {
  const largestX = 2 ** inputBits - 1;
  const fits = (f: number): boolean => {
    const largestWeight = 2 ** (weightBits - 1) * f;
    return (
      largestWeight <= LARGEST_INT8 &&
      2 * largestWeight <= pairLimit(largestX) &&
      count * largestWeight * largestX <= PRODUCTS_LIMIT
    );
  };
  let f = 1;
  while (fits(2 * f)) f *= 2;
  return f;
}

/** Integer weights and their scales, as they stand after batch normalization folded in. */
export interface IntegerWeights<W extends Int8Array | Int32Array = Int8Array | Int32Array> {
  /** Integers, row-major. */
  readonly weights: W;
  readonly shape: readonly number[];
  /** Axis of the output channels K: 0, or 1 for ConvTranspose. */
  readonly axis: number;
  /** One an output channel; any sign, 0 allowed. */
  readonly scale: Float32Array;
}

export interface QuantizedBias<W extends Int8Array | Int32Array = Int8Array | Int32Array> {
  /** The integers given, or a copy with the adjusted channels requantized. */
  readonly weights: W;
  /** The scales given, or a copy with those of the adjusted channels replaced. */
  readonly scale: Float32Array<ArrayBuffer>;
  /** Integers at `fl(scaleX * scale[k]) / resolution`, zero point 0. */
  readonly bias: Int32Array<ArrayBuffer>;
  /** Channels that got another scale, in ascending order. */
  readonly adjusted: readonly number[];
}

/**
 * `bias_q[k] = roundHalfEven(fl(bias[k] / unit[k]))`, `unit[k] = fl(scaleX * scale[k]) / resolution`.
 *
 * A channel is dead when `|bias[k] / unit[k]| >= 2^23`, or when the unit is 0 or below 2^-126
 * (batch norm with gamma 0, weights that are all zero over a tiny scale): an int32 would overflow, or hold nothing. It
 * gets the least power of two that holds its bias in |bias_q| <= 2^22 as new scale (1 when the bias is 0), and
 * its integers become `roundHalfEven(q * oldScale / newScale)`, normally all 0. They always fit: the new
 * scale is at least twice the old one.
 *
 * @param bias real numbers, [K]
 * @param scaleX scale of the layer's input, > 0
 * @param where the layer's name, for errors
 * @param resolution {@link biasResolution}, a power of two
 * @throws QdgError `invalid-weights` for a bias or scale that is not finite, scales whose product overflows, or a bias that no float32 scale holds;
 * `internal` for lengths that do not fit
 */
export function quantizeBias<W extends Int8Array | Int32Array>(
  bias: Float32Array,
  scaleX: number,
  integers: IntegerWeights<W>,
  where: string,
  resolution = 1,
): QuantizedBias<W> {
  const { shape, axis, scale } = integers;
  checkLengths(integers, bias.length, where);
  const result = new Int32Array(bias.length);
  const newScale = Float32Array.from(scale);
  const adjusted: number[] = [];
  let weights = integers.weights;
  for (let k = 0; k < bias.length; k++) {
    const real = bias[k] as number;
    const old = scale[k] as number;
    let biasScale = Math.fround(scaleX * old) / resolution;
    if (!Number.isFinite(real) || !Number.isFinite(biasScale)) {
      throw new QdgError(
        "invalid-weights",
        where,
        `channel ${k}: got bias ${real}, input scale ${scaleX} and weight scale ${old}, expected finite numbers with a finite product of scales; look at the layer's bias and batch normalization`,
      );
    }
    if (Math.abs(biasScale) < SMALLEST_NORMAL || Math.abs(real / biasScale) >= BIAS_LIMIT) {
      const replacement = scaleThatHolds(real, scaleX / resolution, old, `${where}, channel ${k}`);
      if (weights === integers.weights) weights = integers.weights.slice() as W;
      const factor = old / replacement;
      forEachOfChannel(shape, axis, k, (i) => {
        weights[i] = roundHalfEven((weights[i] as number) * factor);
      });
      newScale[k] = replacement;
      biasScale = Math.fround(scaleX * replacement) / resolution;
      adjusted.push(k);
    }
    result[k] = roundHalfEven(Math.fround(real / biasScale));
  }
  return { weights, scale: newScale, bias: result, adjusted };
}

/** The least 2^e >= 2 |old| with `|bias| <= 2^22 * fl(scaleX * 2^e)`; 1 for a bias of 0 where that will do. */
function scaleThatHolds(bias: number, scaleX: number, old: number, where: string): number {
  if (!(scaleX > 0 && Number.isFinite(scaleX))) {
    throw new QdgError("internal", where, `got input scale ${scaleX}, expected a finite number > 0`);
  }
  const holds = (exponent: number): boolean => {
    const product = Math.fround(scaleX * 2 ** exponent);
    return (
      2 ** exponent >= 2 * Math.abs(old) &&
      product >= SMALLEST_NORMAL &&
      Number.isFinite(product) &&
      Math.abs(bias) <= DEAD_BIAS_LIMIT * product
    );
  };
  let exponent = bias === 0 ? 0 : Math.floor(Math.log2(Math.abs(bias) / DEAD_BIAS_LIMIT / scaleX)) - 1;
  exponent = Math.max(exponent, -126);
  while (exponent <= LARGEST_EXPONENT && !holds(exponent)) exponent++;
  if (exponent > LARGEST_EXPONENT) {
    throw new QdgError(
      "invalid-weights",
      where,
      `no float32 scale holds the bias ${bias} over an input scale of ${scaleX} and a weight scale of ${old}; look at the layer's bias and batch normalization`,
    );
  }
  return 2 ** exponent;
}

/** `max |q - zeroPoint|` over the integers of a quantized value: what one can contribute to a sum. */
export function largestInteger(quantization: Quantization): number {
  const { spec, params } = quantization;
  return params.zeroPoint.reduce(
    (largest, zeroPoint) => Math.max(largest, zeroPoint - qmin(spec), qmax(spec) - zeroPoint),
    0,
  );
}

/**
 * `max over k of sum |w[k]| * largestX + |bias[k]|`: no partial sum of an integer layer, in any order, is
 * larger in magnitude. Input integers count from their zero point, so padding contributes 0.
 *
 * @param weights integers, and the axis of their output channels; scales are not looked at
 * @param largestX {@link largestInteger} of the layer's input
 * @param bias [K], or null for none
 */
export function accumulatorBound(
  weights: Pick<IntegerWeights, "weights" | "shape" | "axis">,
  largestX: number,
  bias: Int32Array | null,
): number {
  return channelSums(weights.weights, weights.shape, weights.axis).reduce(
    (bound, sum, k) => Math.max(bound, sum * largestX + Math.abs(bias?.[k] ?? 0)),
    0,
  );
}

/** `sum |w[k]|` of each output channel k, an index of `axis`. */
export function channelSums(weights: ArrayLike<number>, shape: readonly number[], axis: number): number[] {
  return Array.from({ length: shape[axis] ?? 0 }, (_, k) => {
    let sum = 0;
    forEachOfChannel(shape, axis, k, (i) => {
      sum += Math.abs(weights[i] as number);
    });
    return sum;
  });
}

/** Below 2^24 every integer is a float32, so float kernels compute the very sums of integer ones. */
export function isExactInFloat32(bound: number): boolean {
  return bound < 2 ** 24;
}

function checkLengths(integers: IntegerWeights, channels: number, where: string): void {
  const { weights, shape, axis, scale } = integers;
  if (shape[axis] !== channels || scale.length !== channels || weights.length !== sizeOf(shape)) {
    throw new QdgError(
      "internal",
      where,
      `got ${channels} biases, ${scale.length} scales and ${weights.length} weights for axis ${axis} of [${shape.join(", ")}]`,
    );
  }
}

/** Calls `visit` with the flat index of each element of channel k of `axis`. */
function forEachOfChannel(
  shape: readonly number[],
  axis: number,
  k: number,
  visit: (i: number) => void,
): void {
  const inner = sizeOf(shape.slice(axis + 1));
  const step = inner * (shape[axis] ?? 0);
  const length = sizeOf(shape);
  for (let start = k * inner; start < length; start += step) {
    for (let i = start; i < start + inner; i++) visit(i);
  }
}
