// The first place where a run leaves the reference: everything after it differs for that reason.

import type { Tensor } from "../base/tensor.js";
import { numbersOf } from "./metrics/metric.js";
import type { QuantizedTensor } from "../export/quantized-tensors.js";

export interface Difference {
  readonly tensor: string;
  readonly layer: string;
  /** The input that showed it first. */
  readonly input: string;
  /** Position of the first element that differs. */
  readonly index: readonly number[];
  readonly expected: number;
  readonly got: number;
}

/** Remembers the first tensor in topological order that differed for any input. */
export class Locator {
  #order = Number.POSITIVE_INFINITY;
  #found: Difference | null = null;

  /** @param order the place of the tensor in topological order */
  add(order: number, tensor: QuantizedTensor, input: string, reference: Tensor, candidate: Tensor): void {
    if (order >= this.#order) return;
    const a = numbersOf(reference);
    const b = numbersOf(candidate);
    for (let i = 0; i < a.length; i++) {
      if (a[i] === b[i]) continue;
      this.#order = order;
      this.#found = {
        tensor: tensor.name,
        layer: tensor.layer,
        input,
        index: positionOf(i, reference.shape),
        expected: a[i] as number,
        got: b[i] as number,
      };
      return;
    }
  }

  get found(): Difference | null {
    return this.#found;
  }
}

function positionOf(element: number, shape: readonly number[]): number[] {
  const position: number[] = [];
  let rest = element;
  for (const dim of [...shape].reverse()) {
    position.unshift(rest % dim);
    rest = Math.floor(rest / dim);
  }
  return position;
}
