// Which kernel computes the products of a layer: the quickest that this machine computes exactly at its weights.

import type { Convolution, Depthwise, Kernels, Quads } from "../module.js";

/** The largest sum of weights of one sign whose products with bytes fit 16 bits: `floor(32767 / 255)`. */
const LARGEST_SUM = 128;
/** Sums in 16 bits of this many steps may be widened together, most first; fewer pay no more than each step alone. */
const GROUPS = [128, 64, 48, 32, 24, 20, 16, 14, 12, 10, 9, 8, 7, 6, 5, 4];

/** Weights in memory: 32 bytes a step, of which neighbours are multiplied and added in pairs. */
export interface PackedWeights {
  readonly address: number;
  readonly blocks: number;
  readonly steps: number;
  /** All weights, bit by bit or-ed. */
  readonly bits: number;
}

export interface ProductKernel<Call extends readonly number[]> {
  /** Positions at a time. */
  readonly multiple: number;
  /** What it takes from each byte; see withCentre. */
  readonly centre: number;
  readonly run: (...call: Call) => void;
}

/**
 * The biases of sums whose bytes are `q - centre`: `bias[k] + centre sum_i w[k][i]`.
 *
 * @param sums of each channel's weights
 */
export function withCentre(bias: Int32Array, sums: (k: number) => number, centre: number): Int32Array {
  return centre === 0 ? bias : bias.map((each, k) => each + centre * sums(k));
}

/**
 * May divide the weights in memory by a power of two that the kernel puts back.
 *
 * @param weights of all parts, as the file has them
 */
export function convolutionKernel(
  parts: readonly PackedWeights[],
  weights: Int8Array,
  kernels: Kernels,
): ProductKernel<Convolution> {
  const { pairs } = kernels;
  const quads = quadsAt(weights, kernels);
  if (quads) {
    return { multiple: 6, centre: quads.centre, run: (...call) => quads.convolutionQuads(...call) };
  }
  const sums = pairs && pairSums(parts, kernels);
  if (!sums) return { multiple: 2, centre: 0, run: (...call) => kernels.convolution(...call) };
  const { shift, group } = sums;
  const most = Math.max(...parts.map(({ steps }) => steps));
  const kernel = { multiple: 4, centre: 0 };
  if (group >= most) return { ...kernel, run: (...call) => pairs.convolutionOnce(...call, shift) };
  if (group === 1) return { ...kernel, run: (...call) => pairs.convolutionEach(...call, shift) };
  return { ...kernel, run: (...call) => pairs.convolutionPairs(...call, shift, group) };
}

/** null where the machine does not compute them at these weights. */
function quadsAt(weights: Int8Array, { quads }: Kernels): Quads | null {
  return quads && (quads.leastWeight === -128 || !weights.includes(-128)) ? quads : null;
}

export interface DepthwiseKernel extends ProductKernel<Depthwise>, PackedWeights {
  /** Elements of the window a step. */
  readonly width: number;
}

/** See convolutionKernel. @param packed puts the weights by so many elements a step */
export function depthwiseKernel(
  packed: (width: number) => PackedWeights,
  weights: Int8Array,
  kernels: Kernels,
): DepthwiseKernel {
  const { pairs } = kernels;
  const quads = quadsAt(weights, kernels);
  const twos = packed(2);
  const sums = pairs && pairSums([twos], kernels);
  if (sums) {
    const { shift, group } = sums;
    const once = group >= twos.steps;
    return {
      ...twos,
      width: 2,
      multiple: 2,
      centre: 0,
      run: once
        ? (...call) => pairs.depthwiseOnce(...call, shift)
        : (...call) => pairs.depthwisePairs(...call, shift, group),
    };
  }
  if (quads) {
    const { centre } = quads;
    return { ...packed(4), width: 4, multiple: 1, centre, run: (...call) => quads.depthwiseQuads(...call) };
  }
  return { ...twos, width: 2, multiple: 1, centre: 0, run: (...call) => kernels.depthwise(...call) };
}

/** How many steps' sums of pairs fit 16 bits, once all weights are divided by the power of two that they share; null for none. */
function pairSums(
  parts: readonly PackedWeights[],
  kernels: Kernels,
): { readonly shift: number; readonly group: number } | null {
  const bits = parts.reduce((all, part) => all | part.bits, 0);
  const shift = bits === 0 ? 0 : Math.log2(bits & -bits);
  const most = Math.max(...parts.map(({ steps }) => steps));
  const fits = (group: number): boolean =>
    parts.every(
      ({ address, blocks, steps }) =>
        kernels.largestPairs(address, blocks, steps, group) >> shift <= LARGEST_SUM,
    );
  if (!fits(1)) return null;
  const few = GROUPS.filter((group) => group < most);
  const group = [...(most <= (GROUPS[0] as number) ? [most] : []), ...few].find(fits) ?? 1;
  if (shift > 0) {
    for (const { address, blocks, steps } of parts) kernels.shiftWeights(address, blocks * steps * 32, shift);
  }
  return { shift, group };
}
