// How many values a real tensor takes, up to as many as make a quantized one alive. A tensor that is constant in float
// is constant as integers too, and that is no fault of quantization.

import type { Tensor } from "../../base/tensor.js";
import { LEAST_LEVELS } from "./levels-used.js";
import { numbersOf } from "./metric.js";

/** Nearer than this to each other, relative to the larger, two values are one that was added up in two orders. */
const SAME = 1e-5;

export class DistinctValues {
  readonly #values: number[] = [];

  add(tensor: Tensor): void {
    const values = numbersOf(tensor);
    for (let i = 0; i < values.length && this.#values.length < LEAST_LEVELS; i++) {
      const x = values[i] as number;
      if (!this.#values.some((each) => isSame(each, x))) this.#values.push(x);
    }
  }

  /** At most {@link LEAST_LEVELS}: what is beyond is not counted. */
  get count(): number {
    return this.#values.length;
  }
}

function isSame(a: number, b: number): boolean {
  return Object.is(a, b) || Math.abs(a - b) <= SAME * Math.max(Math.abs(a), Math.abs(b));
}
