// How far two real outputs are apart.

import type { Tensor } from "../../base/tensor.js";
import type { Metric } from "./metric.js";
import { numbersOf } from "./metric.js";

/**
 * `max |a - b| / max |a|` within one pair of tensors, the worst over all pairs; null when a side has an
 * element that is not finite, or differs from all zeros: no tolerance covers that.
 */
export class RelativeDifference implements Metric<number | null> {
  #worst: number | null = 0;

  add(reference: Tensor, candidate: Tensor): void {
    const a = numbersOf(reference);
    const b = numbersOf(candidate);
    let difference = 0;
    let largest = 0;
    for (let i = 0; i < a.length; i++) {
      const [x, y] = [a[i] as number, b[i] as number];
      if (!Number.isFinite(x) || !Number.isFinite(y)) {
        this.#worst = null;
        return;
      }
      difference = Math.max(difference, Math.abs(x - y));
      largest = Math.max(largest, Math.abs(x));
    }
    if (this.#worst === null || difference === 0) return;
    this.#worst = largest === 0 ? null : Math.max(this.#worst, difference / largest);
  }

  result(): number | null {
    return this.#worst;
  }
}
