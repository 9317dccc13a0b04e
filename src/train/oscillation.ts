// Counts weights whose integers flip back and forth between two levels (Nagel et al. 2022, "Overcoming Oscillations
// in Quantization-Aware Training"). Looks at integers only; never touches a weight.

import { QdgError } from "../base/error.js";

/** A look every so many steps: reading every weight in every step would cost more than it tells. */
export const STEPS_BETWEEN_LOOKS = 5;

/** A weight oscillates when it flips back more often than this, in flips a step (the paper's threshold). */
export const OSCILLATING_ABOVE = 0.005;

/** Of the exponential average, a step (the paper's 0.01). */
const MOMENTUM = 0.01;

/** The integers of one weight, as its quantizer has them. */
export interface WeightIntegers {
  readonly id: string;
  readonly integers: ArrayLike<number>;
}

interface Watched {
  /** At the last look. */
  readonly integers: Int8Array;
  /** The sign of the last change: 0 before the first. */
  readonly direction: Int8Array;
  /** Exponential average of flips a step. */
  readonly frequency: Float32Array;
}

/** By id: what {@link Oscillation.restore} needs to go on. */
export interface OscillationState {
  readonly [id: string]: Watched;
}

/**
 * At a look, `o = 1` where the integer has changed in the direction opposite to its last change (eq. 3); the
 * frequency is `f = m o / k + (1 - m) f`, k steps between looks and `m = 1 - (1 - 0.01)^k` (eq. 4). Flips
 * between two looks are not seen, so that f is a lower bound of the paper's, which looks at each step.
 */
export class Oscillation {
  readonly #watched = new Map<string, Watched>();
  readonly #momentum: number;
  readonly #stepsBetween: number;

  constructor(stepsBetween: number = STEPS_BETWEEN_LOOKS) {
    this.#stepsBetween = stepsBetween;
    this.#momentum = 1 - (1 - MOMENTUM) ** stepsBetween;
  }

  look(weights: readonly WeightIntegers[]): void {
    for (const { id, integers } of weights) {
      const watched = this.#watched.get(id);
      if (!watched) {
        const { length } = integers;
        this.#watched.set(id, {
          integers: Int8Array.from(integers),
          direction: new Int8Array(length),
          frequency: new Float32Array(length),
        });
      } else {
        this.#compare(id, watched, integers);
      }
    }
  }

  #compare(id: string, { integers: last, direction, frequency }: Watched, now: ArrayLike<number>): void {
    if (now.length !== last.length) {
      throw new QdgError("internal", id, `got ${now.length} integers, expected ${last.length}`);
    }
    const kept = 1 - this.#momentum;
    const gain = this.#momentum / this.#stepsBetween;
    for (let i = 0; i < last.length; i++) {
      const change = Math.sign((now[i] as number) - (last[i] as number));
      const flipped = change !== 0 && change === -(direction[i] as number);
      frequency[i] = kept * (frequency[i] as number) + (flipped ? gain : 0);
      if (change === 0) continue;
      direction[i] = change;
      last[i] = now[i] as number;
    }
  }

  /** By id of the weight: the fraction of its elements that oscillate, 0..1. */
  fractions(): Record<string, number> {
    return Object.fromEntries(
      [...this.#watched].map(([id, { frequency }]) => {
        const count = frequency.reduce((sum, f) => sum + (f > OSCILLATING_ABOVE ? 1 : 0), 0);
        return [id, frequency.length === 0 ? 0 : count / frequency.length];
      }),
    );
  }

  /** The arrays themselves, not copies. */
  state(): OscillationState {
    return Object.fromEntries(this.#watched);
  }

  restore(state: OscillationState): void {
    this.#watched.clear();
    for (const [id, { integers, direction, frequency }] of Object.entries(state)) {
      this.#watched.set(id, {
        integers: integers.slice(),
        direction: direction.slice(),
        frequency: frequency.slice(),
      });
    }
  }
}
