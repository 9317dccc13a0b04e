// Adam on one flat array. Plain arithmetic, no tfjs: the same bits on every backend, no tensor to free, and for
// networks of many small tensors faster than a dozen tfjs operations for each of them.

import { QdgError } from "../../base/error.js";
import type { StateReader, StateWriter } from "../methods/method-state.js";

export interface AdamOptions {
  readonly beta1: number;
  readonly beta2: number;
  /** Added to the root of the second moment, outside of it. */
  readonly epsilon: number;
}

/**
 * Kingma and Ba, 2015, algorithm 1, in two halves: {@link record} takes a gradient in, {@link move} takes a step.
 * They are apart because a method may hold moments that it does not move by for a while.
 * `m = b1*m + (1 - b1)*g`, `v = b2*v + (1 - b2)*g^2`,
 * `theta -= rate * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon)`, t = gradients recorded, from the first
 * that is not all zeros: what takes part only later (scales, after steps in full precision) then begins with a first
 * step of Adam, not with one whose corrections have run out. Computed in float64, kept in float32.
 */
export class Adam {
  readonly #options: AdamOptions;
  readonly #first: Float32Array;
  readonly #second: Float32Array;
  #recorded = 0;

  /** @param length numbers in theta */
  constructor(length: number, options: AdamOptions) {
    this.#options = options;
    this.#first = new Float32Array(length);
    this.#second = new Float32Array(length);
  }

  /** Moves the moments along. @param gradient as long as theta; @param factor that multiplies it */
  record(gradient: Float32Array, factor: number): void {
    this.#checkLength(gradient);
    if (this.#recorded === 0 && gradient.every((g) => g === 0)) return;
    const { beta1, beta2 } = this.#options;
    const first = this.#first;
    const second = this.#second;
    for (let i = 0; i < first.length; i++) {
      const g = (gradient[i] as number) * factor;
      first[i] = beta1 * (first[i] as number) + (1 - beta1) * g;
      second[i] = beta2 * (second[i] as number) + (1 - beta2) * g * g;
    }
    this.#recorded += 1;
  }

  /**
   * Moves theta, in place, by the moments as they stand.
   *
   * @param chosen moves only the numbers that are 1 here; without it all
   */
  move(theta: Float32Array, rate: number, chosen?: Uint8Array): void {
    this.#checkLength(theta);
    // Without a gradient there is nothing to move by, and the correction would divide by 0.
    if (this.#recorded === 0) return;
    const { beta1, beta2, epsilon } = this.#options;
    const first = this.#first;
    const second = this.#second;
    const step = rate / (1 - beta1 ** this.#recorded);
    const correction = 1 / Math.sqrt(1 - beta2 ** this.#recorded);
    for (let i = 0; i < first.length; i++) {
      if (chosen !== undefined && chosen[i] !== 1) continue;
      const root = Math.sqrt(second[i] as number) * correction;
      theta[i] = (theta[i] as number) - (step * (first[i] as number)) / (root + epsilon);
    }
  }

  /** Adds its moments to a state under `name`. */
  save(name: string, state: StateWriter): void {
    state.array(`${name}/first`, this.#first);
    state.array(`${name}/second`, this.#second);
    state.count(`${name}/recorded`, this.#recorded);
  }

  /** @throws QdgError `invalid-data` */
  load(name: string, state: StateReader): void {
    this.#first.set(state.array(`${name}/first`, this.#first.length, -Infinity));
    this.#second.set(state.array(`${name}/second`, this.#second.length, 0));
    this.#recorded = state.count(`${name}/recorded`);
  }

  #checkLength(array: Float32Array): void {
    if (array.length !== this.#first.length) {
      throw new QdgError("internal", "Adam", `got ${array.length} numbers, expected ${this.#first.length}`);
    }
  }
}
