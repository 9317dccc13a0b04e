// Adam for a network for several bits: RoleAdam in which scales and zero points that count at some bits alone have moments of
// their own for them, and move in steps of these bits alone. Momentum would else move them by gradients of other steps.

import type { StateReader, StateWriter } from "../methods/method-state.js";
import { Adam } from "./adam.js";
import { RoleAdam, type RoleAdamOptions } from "./role-adam.js";
import type { Range, TrainableVector } from "./trainable-vector.js";

interface Own {
  readonly ranges: readonly Range[];
  readonly adam: Adam;
}

export class BitsAdam {
  readonly #weights: RoleAdam;
  readonly #own: ReadonlyMap<number | null, readonly [scales: Own, zeroPoints: Own]>;
  readonly #options: RoleAdamOptions;

  constructor(vector: TrainableVector, options: RoleAdamOptions) {
    const own = (ranges: readonly Range[]): Own => ({
      ranges,
      adam: new Adam(lengthOf(ranges), options),
    });
    this.#options = options;
    this.#weights = new RoleAdam(vector, options);
    this.#own = new Map(
      [...vector.byBits()].map(([bits, { scales, zeroPoints }]) => [bits, [own(scales), own(zeroPoints)]]),
    );
  }

  /**
   * Moves `values` by a gradient, in place, as RoleAdam does. Adds the decay to its part of weights.
   *
   * @param bits those of the step; what counts at others stays as it is
   */
  step(
    values: Float32Array,
    gradient: Float32Array,
    factor: number,
    learningRate: number,
    bits: ReadonlySet<number | undefined>,
  ): void {
    this.#weights.stepWeights(values, gradient, factor, learningRate);
    const rate = learningRate * this.#options.scaleRate;
    for (const [at, both] of this.#own) {
      if (at !== null && !bits.has(at)) continue;
      for (const { ranges, adam } of both) {
        const theta = gathered(values, ranges);
        adam.record(gathered(gradient, ranges), factor);
        adam.move(theta, rate);
        let from = 0;
        for (const { start, end } of ranges) values.set(theta.subarray(from, (from += end - start)), start);
      }
    }
  }

  save(state: StateWriter): void {
    this.#weights.weights.save("weights", state);
    for (const [bits, [scales, zeroPoints]] of this.#own) {
      scales.adam.save(`scales@${bits ?? "all"}`, state);
      zeroPoints.adam.save(`zero-points@${bits ?? "all"}`, state);
    }
  }

  /** @throws QdgError `invalid-data` */
  load(state: StateReader): void {
    this.#weights.weights.load("weights", state);
    for (const [bits, [scales, zeroPoints]] of this.#own) {
      scales.adam.load(`scales@${bits ?? "all"}`, state);
      zeroPoints.adam.load(`zero-points@${bits ?? "all"}`, state);
    }
  }
}

function lengthOf(ranges: readonly Range[]): number {
  return ranges.reduce((sum, { start, end }) => sum + end - start, 0);
}

function gathered(values: Float32Array, ranges: readonly Range[]): Float32Array {
  const all = new Float32Array(lengthOf(ranges));
  let to = 0;
  for (const { start, end } of ranges) {
    all.set(values.subarray(start, end), to);
    to += end - start;
  }
  return all;
}
