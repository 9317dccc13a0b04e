// The class that a classifier predicts, and how often two agree on it.

import type { Tensor } from "../../base/tensor.js";
import type { Metric } from "./metric.js";
import { numbersOf } from "./metric.js";

/** Whether a tensor is the output of a classifier: [N, classes] with at least two classes. */
export function isClassifier(shape: readonly number[]): boolean {
  return shape.length === 2 && (shape[1] as number) >= 2;
}

/** The index of the largest element of each row, the first of equal ones. */
export function predictions(output: Tensor): number[] {
  const values = numbersOf(output);
  const [N = 0, classes = 0] = output.shape;
  return Array.from({ length: N }, (_, n) => {
    let best = 0;
    for (let k = 1; k < classes; k++) {
      if ((values[n * classes + k] as number) > (values[n * classes + best] as number)) best = k;
    }
    return best;
  });
}

/** Share of rows with the same predicted class; null where the output is no classifier's. */
export class Top1Agreement implements Metric<number | null> {
  #rows = 0;
  #agreeing = 0;

  add(reference: Tensor, candidate: Tensor): void {
    if (!isClassifier(reference.shape)) return;
    const other = predictions(candidate);
    predictions(reference).forEach((best, n) => {
      this.#rows++;
      if (best === other[n]) this.#agreeing++;
    });
  }

  result(): number | null {
    return this.#rows === 0 ? null : this.#agreeing / this.#rows;
  }
}
