// Which classes a classifier predicts, and how often: one class for all inputs may be a network that is dead.

import type { Tensor } from "../../base/tensor.js";
import { isClassifier, predictions } from "./top1.js";

/** Rows by the class that is predicted for them. */
export type ClassCounts = ReadonlyMap<number, number>;

export class ClassesPredicted {
  readonly #counts = new Map<number, number>();

  /** @param output of a classifier; anything else is left out */
  add(output: Tensor): void {
    if (!isClassifier(output.shape)) return;
    for (const best of predictions(output)) this.#counts.set(best, (this.#counts.get(best) ?? 0) + 1);
  }

  /** Empty where the output is no classifier's. */
  get counts(): ClassCounts {
    return this.#counts;
  }
}
