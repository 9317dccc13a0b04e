// A network in training inside another: everything is passed on, so that what changes one thing of it says that alone.

import type { Batch } from "../data/batch.js";
import type { MethodState } from "../methods/method.js";
import type { Evaluated, EvaluateOptions } from "../objective.js";
import type { TrainedNetwork } from "./trainer-parts.js";

/** What the trainer is given, and frees in the end. */
export type Learner = TrainedNetwork & { dispose(): void };

export class LearnerAround implements TrainedNetwork {
  protected readonly learner: Learner;

  /** @param learner which it takes over */
  constructor(learner: Learner) {
    this.learner = learner;
  }

  get trainables(): TrainedNetwork["trainables"] {
    return this.learner.trainables;
  }

  get quantizers(): TrainedNetwork["quantizers"] {
    return this.learner.quantizers;
  }

  evaluate(batch: Batch, options: EvaluateOptions): Evaluated {
    return this.learner.evaluate(batch, options);
  }

  setQuantized(on: boolean): void {
    this.learner.setQuantized(on);
  }

  constrain(): void {
    this.learner.constrain();
  }

  stepped(): void {
    this.learner.stepped?.();
  }

  initialize(batch: Batch): void {
    this.learner.initialize(batch);
  }

  estimateStatistics(): ReturnType<TrainedNetwork["estimateStatistics"]> {
    return this.learner.estimateStatistics();
  }

  logits(...given: Parameters<TrainedNetwork["logits"]>): ReturnType<TrainedNetwork["logits"]> {
    return this.learner.logits(...given);
  }

  firstNotFinite(...given: Parameters<TrainedNetwork["firstNotFinite"]>): string | null {
    return this.learner.firstNotFinite(...given);
  }

  weightIntegers(): ReturnType<TrainedNetwork["weightIntegers"]> {
    return this.learner.weightIntegers();
  }

  toModel(): ReturnType<TrainedNetwork["toModel"]> {
    return this.learner.toModel();
  }

  state(): MethodState {
    return this.learner.state();
  }

  restore(state: MethodState): void {
    this.learner.restore(state);
  }

  dispose(): void {
    this.learner.dispose();
  }
}
