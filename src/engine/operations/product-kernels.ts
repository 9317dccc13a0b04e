// Which kernel computes the products of a layer: the quickest that this machine computes exactly at its weights.

import type { Convolution, Depthwise, Kernels } from "../module.js";

const LARGEST_INT16 = 32767;
const LARGEST_BYTE = 255;
/** Sums in 16 bits pay from this many steps on before they are widened. */
const FEWEST_STEPS = 4;

export interface ConvolutionKernel {
  /** Positions at a time. */
  readonly multiple: number;
  /** Weights are given to it divided by 2^shift. */
  readonly shift: number;
  run(...call: Convolution): void;
}

export function convolutionKernel(weights: Int32Array, kernels: Kernels): ConvolutionKernel {
  const { pairs, quads } = kernels;
  if (quads) {
    return { multiple: 6, shift: 0, run: (...call) => quads.convolutionQuads(...call) };
  }
  const { shift, group } = pairSums(weights);
  if (pairs && group >= FEWEST_STEPS) {
    return { multiple: 4, shift, run: (...call) => pairs.convolutionPairs(...call, group, shift) };
  }
  return { multiple: 2, shift: 0, run: (...call) => kernels.convolution(...call) };
}

export interface DepthwiseKernel {
  readonly shift: number;
  run(...call: Depthwise): void;
}

export function depthwiseKernel(weights: Int32Array, kernels: Kernels): DepthwiseKernel {
  const { pairs } = kernels;
  const { shift, group } = pairSums(weights);
  if (pairs && group >= FEWEST_STEPS) {
    return { shift, run: (...call) => pairs.depthwisePairs(...call, group, shift) };
  }
  return { shift: 0, run: (...call) => kernels.depthwise(...call) };
}

/**
 * The power of two that all weights share, and how many sums `x_1 w_1 + x_2 w_2` of the weights without it fit 16 bits:
 * `floor(32767 / (2 * 255 * max |w|))`.
 */
function pairSums(weights: Int32Array): { readonly shift: number; readonly group: number } {
  let bits = 0;
  let most = 0;
  for (const weight of weights) {
    bits |= weight;
    most = Math.max(most, Math.abs(weight));
  }
  if (most === 0) return { shift: 0, group: FEWEST_STEPS };
  const shift = Math.log2(bits & -bits);
  return { shift, group: Math.floor(LARGEST_INT16 / (2 * LARGEST_BYTE * (most >> shift))) };
}
