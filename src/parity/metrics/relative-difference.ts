// How far two real outputs are apart.

import type { Tensor } from "../../base/tensor.js";
import type { Metric } from "./metric.js";
import { numbersOf } from "./metric.js";

/**
 * `max |a - b| / max(max |a|, floor)` within one pair of tensors, the worst over all pairs; null when a side has an
 * element that is not finite, or differs from all zeros where there is no floor: no tolerance covers that.
 */
export class RelativeDifference implements Metric<number | null> {
  readonly #floor: number;
  #worst: number | null = 0;

  /** @param floor of what differences are relative to; 0: none */
  constructor(floor = 0) {
    this.#floor = floor;
  }

  add(reference: Tensor, candidate: Tensor): void {
    const a = numbersOf(reference);
    const b = numbersOf(candidate);
    let difference = 0;
    let largest = this.#floor;
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
