// What a network is to get as its classifier, and the weights that it begins with: the same in whatever file it is written.

import type { Tensor } from "../base/tensor.js";
import type { FoundHead } from "./find-head.js";
import { constantWeight, headNormal } from "./models/initial-weights.js";

export interface NewHead {
  readonly found: Exclude<FoundHead, { readonly kind: "none" }>;
  readonly classes: number;
  readonly seed: number;
  /** The weights stay; only a softmax may be missing. */
  readonly keeps: boolean;
}

/** Trained features can be large: a fresh head begins near the same probability for every class. */
const GAIN = 0.1;

/** @param shape [..., C, classes] */
export function freshKernel({ seed }: NewHead, name: string, shape: readonly number[]): Tensor<"float32"> {
  return headNormal(seed, name, shape, shape.at(-2) as number, GAIN);
}

export function freshBias({ classes }: NewHead): Tensor<"float32"> {
  return constantWeight(classes, 0);
}
