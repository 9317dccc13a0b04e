// Share of inputs whose predicted class is the label of their folder, by group (domain) and over all.

import type { Tensor } from "../../base/tensor.js";
import { isClassifier, predictions } from "./top1.js";

export interface GroupAccuracy {
  /** The folders above the label; "" for all groups together. */
  readonly group: string;
  readonly inputs: number;
  readonly accuracy: number;
}

export class Accuracy {
  readonly #groups = new Map<string, { inputs: number; right: number }>();

  /**
   * @param output of a classifier for one input; anything else is left out
   * @param expected the class of the input's folder; null: not known, left out
   */
  add(group: string, output: Tensor | undefined, expected: number | null): void {
    if (expected === null || !output || !isClassifier(output.shape)) return;
    const right = predictions(output)[0] === expected;
    const counts = this.#groups.get(group) ?? { inputs: 0, right: 0 };
    counts.inputs++;
    if (right) counts.right++;
    this.#groups.set(group, counts);
  }

  /** All together first, then each group where there are several; empty when nothing was added. */
  result(): GroupAccuracy[] {
    if (this.#groups.size === 0) return [];
    const list = [...this.#groups].map(([group, { inputs, right }]) => ({ group, inputs, right }));
    const all = list.reduce(
      (sum, { inputs, right }) => ({ group: "", inputs: sum.inputs + inputs, right: sum.right + right }),
      { group: "", inputs: 0, right: 0 },
    );
    return [all, ...(list.length > 1 ? list : [])].map(({ group, inputs, right }) => ({
      group,
      inputs,
      accuracy: right / inputs,
    }));
  }
}
