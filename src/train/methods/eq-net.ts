// EQ-Net: one network for several bits. Each step learns at the most bits, at the fewest and at some between; what of the
// network counts at one of them alone moves only in steps that had it. Knows no quantizer: which is which, its trainables say.

import { Random } from "../data/random.js";
import type { Objective, Trainable } from "../objective.js";
import { BitsAdam } from "../optimizer/bits-adam.js";
import { clipFactor, sumOfSquares } from "../optimizer/trainable-vector.js";
import type { Method, MethodState, StepReport } from "./method.js";
import type { MethodSettings } from "./method-options.js";
import { readerOf, stateOf } from "./method-state.js";
import { GradientPasses } from "./perturb.js";

/**
 * The step is down `1/k sum over b of grad L_b`, L_b the loss of the network with inner layers of b bits: weights are the
 * same at all, scales, zero points and statistics of normalization each bits' own (Xu et al., ICCV 2023). Of which b a step is,
 * follows the sandwich rule (Yu and Huang, ICCV 2019): the most, the fewest, and one between by chance, so that both ends, whose
 * weights pull hardest against each other, are in every step, and what lies between is held by them: 3 passes a step, 2
 * where there are two bits, whatever their number. From the most to the fewest, so that what one says can guide the next
 * (bits-network.ts).
 *
 * Which b is between is drawn from (seed, step) alone. EQ-Net's loss on the skewness and kurtosis of weights, its elastic
 * granularity and symmetry, and its search for bits by layer are left out: a file has bits by layer by other ways.
 */
export class EqNet<Batch> implements Method<Batch> {
  readonly #name: string;
  readonly #settings: MethodSettings;
  readonly #passes: GradientPasses;
  readonly #adam: BitsAdam;

  /** @param name of the method; a state is only taken back by the same one */
  constructor(name: string, trainables: readonly Trainable[], settings: MethodSettings) {
    this.#name = name;
    this.#settings = settings;
    this.#passes = new GradientPasses(trainables, 2);
    this.#adam = new BitsAdam(this.#passes.vector, settings);
  }

  step(objective: Objective<Batch>, batch: Batch, step: number, learningRate: number): StepReport {
    const { plainSteps, bitSet, seed, clipNorm } = this.#settings;
    const { vector, values, task, smoothness: sum } = this.#passes;
    const all = step < plainSteps ? [undefined] : bitsOfStep(bitSet, seed, step);
    let loss = 0;
    all.forEach((bits, i) => {
      loss += this.#passes.atTheta(objective, batch, step, bits) / all.length;
      for (let k = 0; k < sum.length; k++) {
        sum[k] = (i === 0 ? 0 : (sum[k] as number)) + (task[k] as number) / all.length;
      }
    });
    const factor = clipFactor(clipNorm, () => Math.sqrt(sumOfSquares(sum)));
    this.#adam.step(values, sum, factor, learningRate, new Set(all));
    vector.write(values);
    objective.constrain();
    return { loss };
  }

  state(): MethodState {
    const state = stateOf(this.#name, this.#passes.vector.describe());
    this.#adam.save(state);
    return state.state();
  }

  restore(state: MethodState): void {
    const reader = readerOf(state, this.#name, this.#passes.vector.describe());
    this.#adam.load(reader);
  }

  dispose(): void {
    // It holds no tensors: a step frees its own.
  }
}

/** Descending: the most, one between, the fewest, as far as there are so many. @param bitSet ascending */
export function bitsOfStep(bitSet: readonly number[], seed: number, step: number): number[] {
  if (bitSet.length < 3) return bitSet.toReversed();
  const between = 1 + new Random(seed, "bits", 0, step).integer(bitSet.length - 2);
  return [bitSet.at(-1), bitSet[between], bitSet[0]] as number[];
}
