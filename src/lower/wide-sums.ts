// How large the sums of a lowered network can become: below 2^24 float32 holds each, and forms compute the same.

import { sizeOf } from "../base/tensor.js";
import type { Node } from "../graph/graph.js";
import { accumulatorBound, largestInteger } from "../quant/bias.js";
import type { Integers } from "./form.js";
import type { QuantizedWeights } from "./quantized-weights.js";

/** No partial sum of a weighted node is larger, in steps of its bias. */
export function weightedBound(x: Integers, weights: QuantizedWeights): number {
  const { integers, shape, axis, bias, resolution } = weights;
  const largest = largestInteger(x.quantization) * resolution;
  return accumulatorBound({ weights: integers, shape, axis }, largest, bias);
}

/** Mul, or MatMul over the last axis of a; Infinity for a length that only run time knows. */
export function productBound(node: Node, a: Integers, b: Integers): number {
  const product = largestInteger(a.quantization) * largestInteger(b.quantization);
  if (node.op !== "MatMul") return product;
  const length = a.value.shape.at(-1);
  return typeof length === "number" ? length * product : Number.POSITIVE_INFINITY;
}

/** A global average of spatial sizes that are known. */
export function averageBound(x: Integers): number {
  return sizeOf(x.value.shape.slice(2) as readonly number[]) * largestInteger(x.quantization);
}
