// Elements of integers that differ, and by how many steps at most.

import type { Tensor } from "../../base/tensor.js";
import { stepDifference } from "../../quant/step-difference.js";
import type { Metric } from "./metric.js";
import { numbersOf } from "./metric.js";

export interface MismatchCount {
  readonly count: number;
  readonly total: number;
  /** Largest |a - b|; one step is one integer. null: an element of one side is not a number. */
  readonly largestSteps: number | null;
}

export class Mismatches implements Metric<MismatchCount> {
  #count = 0;
  #total = 0;
  #largest = 0;

  add(reference: Tensor, candidate: Tensor): void {
    const a = numbersOf(reference);
    const { count, largestSteps } = stepDifference(a, numbersOf(candidate));
    this.#total += a.length;
    this.#count += count;
    this.#largest = Math.max(this.#largest, largestSteps);
  }

  result(): MismatchCount {
    const largestSteps = Number.isFinite(this.#largest) ? this.#largest : null;
    return { count: this.#count, total: this.#total, largestSteps };
  }
}
