// The statistics of batch normalization of a network for several bits: one set of variables, which holds those of the bits
// that are in use; the others wait beside it. Values of few bits have other means and variances than those of many.

import * as tf from "@tensorflow/tfjs";
import { QdgError } from "../base/error.js";

export interface NamedVariable {
  readonly name: string;
  readonly variable: tf.Variable;
}

export class StatisticsByBits {
  readonly #variables: readonly NamedVariable[];
  readonly #waiting = new Map<number, tf.Tensor[]>();
  #inUse: number;

  /** @param inUse whose statistics the variables hold */
  constructor(variables: readonly NamedVariable[], inUse: number) {
    this.#variables = variables;
    this.#inUse = inUse;
  }

  /** Gives the variables the statistics of these bits: of bits that are new, those that they hold. */
  use(bits: number): void {
    if (bits === this.#inUse) return;
    // A clone shares the data of its variable, and assigning to the variable leaves it alone. Kept, since whoever runs the
    // network may tidy up behind it.
    this.#waiting.set(
      this.#inUse,
      this.#variables.map(({ variable }) => tf.keep(variable.clone())),
    );
    this.#inUse = bits;
    const next = this.#waiting.get(bits);
    if (!next) return;
    this.#variables.forEach(({ variable }, i) => variable.assign(next[i] as tf.Tensor));
    tf.dispose(next);
    this.#waiting.delete(bits);
  }

  /** Those that wait, by bits and name. */
  state(): Record<string, Float32Array> {
    return Object.fromEntries(
      [...this.#waiting].flatMap(([bits, tensors]) =>
        tensors.map((tensor, i) => [
          `${bits}/${this.#variables[i]?.name}`,
          Float32Array.from(tensor.dataSync<"float32">()),
        ]),
      ),
    );
  }

  /**
   * @param all bits that there are; @param inUse whose statistics the variables hold
   * @throws QdgError `invalid-data` for what no state of this network has
   */
  restore(state: Readonly<Record<string, Float32Array>>, all: readonly number[], inUse: number): void {
    this.dispose();
    this.#inUse = inUse;
    let taken = 0;
    for (const bits of all) {
      if (!Object.keys(state).some((key) => key.startsWith(`${bits}/`))) continue;
      const tensors = this.#variables.map(({ name, variable }) => {
        const array = state[`${bits}/${name}`];
        if (array?.length === variable.size) return tf.tensor(array.slice(), variable.shape, "float32");
        const got = array ? `${array.length} numbers` : "nothing";
        throw new QdgError(
          "invalid-data",
          `${name} at ${bits} bits`,
          `got ${got}, expected ${variable.size}; the state is of another model`,
        );
      });
      taken += tensors.length;
      this.#waiting.set(bits, tensors);
    }
    if (taken !== Object.keys(state).length) {
      throw new QdgError("invalid-data", "statistics", "are of other bits than those of the run");
    }
  }

  dispose(): void {
    for (const tensors of this.#waiting.values()) tf.dispose(tensors);
    this.#waiting.clear();
  }
}
