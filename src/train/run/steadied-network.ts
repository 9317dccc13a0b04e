// `--oscillation`: the network in training with weights that are dampened or held (steady-weights.ts). Owns when that
// counts, and its place in checkpoints; everything else is the network's.

import type { Batch } from "../data/batch.js";
import type { MethodState } from "../methods/method.js";
import type { Evaluated, EvaluateOptions } from "../objective.js";
import { type SteadySettings, SteadyWeights } from "../steady-weights.js";
import { quantizedFrom } from "./complete-options.js";
import { type Learner, LearnerAround } from "./learner-around.js";
import { prefixed, unprefixed } from "./state-parts.js";
import type { TrainOptions } from "./train-options.js";

/** Parts of its state. */
const NETWORK = "steadied/";
const WATCH = "watch/";

/** The network as the trainer gets it: as it is without `--oscillation`. */
export function withSteadyWeights(network: Learner, options: TrainOptions): Learner {
  const { oscillation, dampening, oscillationThreshold, steps } = options;
  if (oscillation === "none") return network;
  return new SteadiedNetwork(network, {
    kind: oscillation as SteadySettings["kind"],
    dampening,
    threshold: oscillationThreshold,
    steps: steps - quantizedFrom(options),
  });
}

export class SteadiedNetwork extends LearnerAround {
  readonly #weights: SteadyWeights;
  #quantized = false;

  constructor(network: Learner, settings: SteadySettings) {
    super(network);
    this.#weights = new SteadyWeights(network.trainables, network.quantizers, settings);
  }

  /** The loss is the network's own: that of dampening is in the gradients alone. */
  override evaluate(batch: Batch, options: EvaluateOptions): Evaluated {
    const evaluated = super.evaluate(batch, options);
    if (this.#quantized) this.#weights.dampen(evaluated.gradients);
    return evaluated;
  }

  /** Weights that are held follow their scales: at the perturbed point of a sharpness-aware step, too. */
  override constrain(): void {
    super.constrain();
    if (this.#quantized) this.#weights.hold();
  }

  override stepped(): void {
    super.stepped();
    if (this.#quantized) this.#weights.stepped();
  }

  override setQuantized(on: boolean): void {
    this.#quantized = on;
    super.setQuantized(on);
  }

  override state(): MethodState {
    const { arrays, values } = super.state();
    const own = this.#weights.state();
    return {
      arrays: { ...prefixed(arrays, NETWORK), ...prefixed(own.arrays, WATCH) },
      values: { ...values, oscillation: own.values },
    };
  }

  /** @throws QdgError `invalid-data` for the state of another network, or of one that was trained otherwise */
  override restore({ arrays, values }: MethodState): void {
    const { oscillation, ...rest } = values;
    this.#weights.restore({
      arrays: unprefixed(arrays, WATCH),
      values: (oscillation ?? {}) as Record<string, unknown>,
    });
    super.restore({ arrays: unprefixed(arrays, NETWORK), values: rest });
  }
}
