// What a metric is: it sees pairs of tensors one after the other and keeps only what its result needs, so that a
// comparison over any number of inputs holds no activations.

import type { Tensor } from "../../base/tensor.js";

export interface Metric<Result> {
  /** Both of one shape. */
  add(reference: Tensor, candidate: Tensor): void;
  result(): Result;
}

/** Elements as plain numbers; 64-bit ones lose what lies beyond 2^53. */
export function numbersOf(tensor: Tensor): ArrayLike<number> {
  if (tensor.dtype === "int64" || tensor.dtype === "uint64") {
    return Array.from(tensor.data as BigInt64Array, Number);
  }
  return tensor.data as ArrayLike<number>;
}
