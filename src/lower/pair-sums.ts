// Which products of signed 8-bit weights x86-64 without VNNI adds in pairs, in int16 that saturates, and whether
// any pair can leave it. One rule for the search of weights, for lowering and for the proofs of a certificate.

import { sizeOf } from "../base/tensor.js";
import type { Node } from "../graph/graph.js";
import { isDepthwise } from "../graph/node-kinds.js";
import { pairFits, pairLimit } from "../quant/paired-weights.js";

/**
 * Whether a weighted node becomes an integer kernel that adds products in pairs. A depthwise kernel widens each
 * product first, and a Conv whose sum stays real is no integer kernel.
 *
 * @param isQuantized whether a quantizer takes the node's sum
 */
export function addsInPairs(node: Node, isQuantized: boolean): boolean {
  return hasIntegerKernel(node, isQuantized) && !isDepthwise(node);
}

/** Whether ONNX Runtime makes an integer kernel of a weighted node between quantizers. */
export function hasIntegerKernel({ op }: Node, isQuantized: boolean): boolean {
  return op === "Gemm" || op === "MatMul" || (op === "Conv" && isQuantized);
}

/**
 * Where the weights of output channel 0 stand, in the order in which a kernel adds them: kernel position by
 * position, input channels within each. Elements 2i and 2i + 1 meet; they may be of two positions, and the last of
 * an odd number stands alone. Channel k stands `k * sizeOf(shape.slice(axis + 1))` further on.
 *
 * @param shape [K, C, ...kernel] with axis 0, or [C, K] with axis 1
 */
export function reductionOrder(shape: readonly number[], axis: number): Int32Array {
  const inputAxis = axis === 0 ? 1 : 0;
  const channels = shape[inputAxis] ?? 1;
  const stride = sizeOf(shape.slice(inputAxis + 1));
  const order = new Int32Array(sizeOf(shape) / (shape[axis] ?? 1));
  for (let i = 0; i < order.length; i++) order[i] = (i % channels) * stride + Math.floor(i / channels);
  return order;
}

/**
 * Whether no two products that meet can leave int16: `|w_1| + |w_2| <= pairLimit(largestX)` for every such two
 * weights of one sign.
 *
 * @param weights integers, row-major
 * @param axis of the output channels, see {@link reductionOrder}
 * @param largestX largest stored input, 1..255
 */
export function pairsFitInt16(
  weights: ArrayLike<number>,
  shape: readonly number[],
  axis: number,
  largestX: number,
): boolean {
  const limit = pairLimit(largestX);
  const order = reductionOrder(shape, axis);
  const stride = sizeOf(shape.slice(axis + 1));
  const channels = shape[axis] ?? 0;
  for (let k = 0; k < channels; k++) {
    for (let i = 0; i + 1 < order.length; i += 2) {
      const a = weights[(order[i] as number) + k * stride] as number;
      const b = weights[(order[i + 1] as number) + k * stride] as number;
      if (!pairFits(a, b, limit)) return false;
    }
  }
  return true;
}
