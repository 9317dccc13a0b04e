// Elements of integers that differ, and by how many steps at most.

import type { Tensor } from "../../base/tensor.js";
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
    const b = numbersOf(candidate);
    this.#total += a.length;
    for (let i = 0; i < a.length; i++) {
      if (a[i] === b[i]) continue;
      this.#count++;
      const steps = Math.abs((a[i] as number) - (b[i] as number));
      this.#largest = Math.max(this.#largest, Number.isNaN(steps) ? Number.POSITIVE_INFINITY : steps);
    }
  }

  result(): MismatchCount {
    const largestSteps = Number.isFinite(this.#largest) ? this.#largest : null;
    return { count: this.#count, total: this.#total, largestSteps };
  }
}
