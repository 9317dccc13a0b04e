// The exponential moving average of a vector. Knows no weights.

import type { StateReader, StateWriter } from "../methods/method-state.js";
import type { VectorAverage } from "./vector-average.js";

/**
 * `ema = d ema + (1 - d) x`, beginning as the first x: nothing of before is in it, and no correction is needed. Computed
 * in float64, kept in float32: off by at most `2^-24 / (1 - d)` of a number. Its memory is `1 / (1 - d)` vectors.
 */
export class Ema implements VectorAverage {
  readonly #decay: number;
  readonly #values: Float32Array;
  #count = 0;

  /** @param decay d, 0 <= d < 1 */
  constructor(length: number, decay: number) {
    this.#values = new Float32Array(length);
    this.#decay = decay;
  }

  get count(): number {
    return this.#count;
  }

  add(x: Float32Array): void {
    const d = this.#count === 0 ? 0 : this.#decay;
    const ema = this.#values;
    for (let i = 0; i < ema.length; i++) {
      ema[i] = d * (ema[i] as number) + (1 - d) * (x[i] as number);
    }
    this.#count += 1;
  }

  current(): Float32Array | null {
    return this.#count === 0 ? null : this.#values;
  }

  save(state: StateWriter): void {
    state.array("ema", this.#values);
    state.count("count", this.#count);
  }

  load(state: StateReader): void {
    this.#values.set(state.array("ema", this.#values.length, -Infinity));
    this.#count = state.count("count");
  }
}
