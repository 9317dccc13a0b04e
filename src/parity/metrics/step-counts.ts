// All elements by how far they are from the reference, those that are the same among them: the evidence of a
// certificate. Rounds away from equality, so that half a step is never counted as none.

import type { Tensor } from "../../base/tensor.js";
import type { Metric } from "./metric.js";
import { numbersOf } from "./metric.js";

/** Farther than any two integers of 8 bits are from each other; what is beyond is counted here. */
export const MOST_STEPS = 256;

export interface StepCountsResult {
  /** `[candidate - reference, elements]`, ascending. */
  readonly histogram: readonly (readonly [steps: number, count: number])[];
  /** Elements of which one side is no finite number. */
  readonly notFinite: number;
}

/**
 * `steps = sign(d) * min(ceil(|d|), 256)`, `d = candidate - reference`.
 */
export class StepCounts implements Metric<StepCountsResult> {
  readonly #counts = new Map<number, number>();
  #notFinite = 0;

  add(reference: Tensor, candidate: Tensor): void {
    const a = numbersOf(reference);
    const b = numbersOf(candidate);
    let same = 0;
    for (let i = 0; i < a.length; i++) {
      const difference = (b[i] as number) - (a[i] as number);
      if (difference === 0) same++;
      else if (!Number.isFinite(difference)) this.#notFinite++;
      else this.#count(Math.sign(difference) * Math.min(Math.ceil(Math.abs(difference)), MOST_STEPS), 1);
    }
    if (same > 0) this.#count(0, same);
  }

  #count(steps: number, elements: number): void {
    this.#counts.set(steps, (this.#counts.get(steps) ?? 0) + elements);
  }

  result(): StepCountsResult {
    return { histogram: [...this.#counts].sort(([a], [b]) => a - b), notFinite: this.#notFinite };
  }
}
