// Which integers a quantized tensor takes. Equality says nothing of a network whose tensors take one or two.

import type { Tensor } from "../../base/tensor.js";
import { numbersOf } from "./metric.js";

/** Fewer levels than this carry no more than a sign. */
export const LEAST_LEVELS = 3;

export class LevelsUsed {
  readonly #levels = new Set<number>();
  #elements = 0;

  add(tensor: Tensor): void {
    const values = numbersOf(tensor);
    this.#elements += values.length;
    for (let i = 0; i < values.length; i++) this.#levels.add(values[i] as number);
  }

  get count(): number {
    return this.#levels.size;
  }

  /** Too few levels, though there were elements enough to take more. */
  get dead(): boolean {
    return this.#elements >= LEAST_LEVELS && this.#levels.size < LEAST_LEVELS;
  }
}
