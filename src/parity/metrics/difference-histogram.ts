// How often integers differ by how much, with sign: a bias shows as a lopsided histogram.

import type { Tensor } from "../../base/tensor.js";
import type { Metric } from "./metric.js";
import { numbersOf } from "./metric.js";

/** `[candidate - reference, elements]` for each difference that is there but 0, in ascending order. */
export type Histogram = readonly (readonly [steps: number, count: number])[];

export class DifferenceHistogram implements Metric<Histogram> {
  readonly #counts = new Map<number, number>();

  add(reference: Tensor, candidate: Tensor): void {
    const a = numbersOf(reference);
    const b = numbersOf(candidate);
    for (let i = 0; i < a.length; i++) {
      const steps = (b[i] as number) - (a[i] as number);
      if (steps !== 0) this.#counts.set(steps, (this.#counts.get(steps) ?? 0) + 1);
    }
  }

  result(): Histogram {
    return [...this.#counts].sort(([a], [b]) => a - b);
  }
}
