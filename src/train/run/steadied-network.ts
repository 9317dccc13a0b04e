// `--oscillation`: the network in training with weights that are dampened or held (steady-weights.ts). Owns when that
// counts, and its place in checkpoints; everything else is the network's.

import type { Batch } from "../data/batch.js";
import type { MethodState } from "../methods/method.js";
import type { StatisticsEstimate } from "../normalization-statistics.js";
import type { Evaluated, EvaluateOptions } from "../objective.js";
import { type SteadySettings, SteadyWeights } from "../steady-weights.js";
import { quantizedFrom } from "./complete-options.js";
import { prefixed, unprefixed } from "./state-parts.js";
import type { TrainOptions } from "./train-options.js";
import type { TrainedNetwork } from "./trainer-parts.js";

/** Parts of its state. */
const NETWORK = "steadied/";
const WATCH = "watch/";

type Disposable = TrainedNetwork & { dispose(): void };

/** The network as the trainer gets it: as it is without `--oscillation`. */
export function withSteadyWeights(network: Disposable, options: TrainOptions): Disposable {
  const { oscillation, dampening, oscillationThreshold, steps } = options;
  if (oscillation === "none") return network;
  return new SteadiedNetwork(network, {
    kind: oscillation as SteadySettings["kind"],
    dampening,
    threshold: oscillationThreshold,
    steps: steps - quantizedFrom(options),
  });
}

export class SteadiedNetwork implements TrainedNetwork {
  readonly #network: Disposable;
  readonly #weights: SteadyWeights;
  #quantized = false;

  constructor(network: Disposable, settings: SteadySettings) {
    this.#network = network;
    this.#weights = new SteadyWeights(network.trainables, network.quantizers, settings);
  }

  get trainables(): TrainedNetwork["trainables"] {
    return this.#network.trainables;
  }

  get quantizers(): TrainedNetwork["quantizers"] {
    return this.#network.quantizers;
  }

  /** The loss is the network's own: that of dampening is in the gradients alone. */
  evaluate(batch: Batch, options: EvaluateOptions): Evaluated {
    const evaluated = this.#network.evaluate(batch, options);
    if (this.#quantized) this.#weights.dampen(evaluated.gradients);
    return evaluated;
  }

  /** Weights that are held follow their scales: at the perturbed point of a sharpness-aware step, too. */
  constrain(): void {
    this.#network.constrain();
    if (this.#quantized) this.#weights.hold();
  }

  stepped(): void {
    this.#network.stepped?.();
    if (this.#quantized) this.#weights.stepped();
  }

  setQuantized(on: boolean): void {
    this.#quantized = on;
    this.#network.setQuantized(on);
  }

  initialize(batch: Batch): void {
    this.#network.initialize(batch);
  }

  estimateStatistics(): StatisticsEstimate {
    return this.#network.estimateStatistics();
  }

  logits(x: Batch["x"]): ReturnType<TrainedNetwork["logits"]> {
    return this.#network.logits(x);
  }

  firstNotFinite(x: Batch["x"]): string | null {
    return this.#network.firstNotFinite(x);
  }

  weightIntegers(): ReturnType<TrainedNetwork["weightIntegers"]> {
    return this.#network.weightIntegers();
  }

  toModel(): ReturnType<TrainedNetwork["toModel"]> {
    return this.#network.toModel();
  }

  state(): MethodState {
    const { arrays, values } = this.#network.state();
    const own = this.#weights.state();
    return {
      arrays: { ...prefixed(arrays, NETWORK), ...prefixed(own.arrays, WATCH) },
      values: { ...values, oscillation: own.values },
    };
  }

  /** @throws QdgError `invalid-data` for the state of another network, or of one that was trained otherwise */
  restore({ arrays, values }: MethodState): void {
    const { oscillation, ...rest } = values;
    this.#weights.restore({
      arrays: unprefixed(arrays, WATCH),
      values: (oscillation ?? {}) as Record<string, unknown>,
    });
    this.#network.restore({ arrays: unprefixed(arrays, NETWORK), values: rest });
  }

  dispose(): void {
    this.#network.dispose();
  }
}
