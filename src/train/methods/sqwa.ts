// SQWA: what the low points of a cyclic learning rate have in common is averaged, rounded again, and fine-tuned. The
// rates are the schedule's (cycles.ts); a step is erm's.

import type { Objective, Trainable } from "../objective.js";
import { fineTuningStart, isLowPoint } from "../optimizer/cycles.js";
import { RunningMean } from "../optimizer/running-mean.js";
import { TrainableVector } from "../optimizer/trainable-vector.js";
import { erm } from "./erm.js";
import { GradientMethod } from "./gradient-method.js";
import type { Method, MethodState, StepReport } from "./method.js";
import type { MethodSettings } from "./method-options.js";
import { StateReader, StateWriter } from "./method-state.js";

/**
 * Shin, Boo and Sung, 2020: `theta_avg = (1/C) sum_c theta_c`, theta_c as the c-th of C cycles of the learning rate ends,
 * at its low point. Fine-tuning begins with theta_avg, which the forward pass rounds again, and with fresh moments: those
 * of the last cycle belong to another point.
 *
 * The paper averages the rounded weights; here it is what training moves that is averaged, latent weights, scales and
 * zero points, since rounding theta_avg is the forward pass's business, and every quantizer has its scale already. One
 * pass a step; a copy of the weights at a low point. Errors of the mean are RunningMean's.
 */
export class Sqwa<Batch> implements Method<Batch> {
  readonly #name: string;
  readonly #settings: MethodSettings;
  readonly #trainables: readonly Trainable[];
  readonly #vector: TrainableVector;
  #inner: GradientMethod<Batch>;
  #captured: RunningMean;

  constructor(name: string, trainables: readonly Trainable[], settings: MethodSettings) {
    this.#name = name;
    this.#settings = settings;
    this.#trainables = trainables;
    this.#vector = new TrainableVector(trainables);
    this.#inner = this.#fresh();
    this.#captured = RunningMean.empty(this.#vector.length);
  }

  #fresh(): GradientMethod<Batch> {
    return new GradientMethod(this.#name, erm, this.#trainables, this.#settings);
  }

  /** Low points captured so far. */
  get captured(): number {
    return this.#captured.count;
  }

  step(objective: Objective<Batch>, batch: Batch, step: number, learningRate: number): StepReport {
    const { steps, plainSteps: from, cycles, fineTuning } = this.#settings;
    const plan = { steps, from, cycles, fineTuning };
    const report = this.#inner.step(objective, batch, step, learningRate);
    if (isLowPoint(plan, step)) {
      const values = new Float32Array(this.#vector.length);
      this.#vector.read(values);
      this.#captured.add(values);
    }
    // With the last step before it, so that what is evaluated then is the average.
    if (step + 1 === fineTuningStart(plan) && this.#captured.count > 0) {
      this.#vector.write(this.#captured.values);
      objective.constrain();
      this.#inner = this.#fresh();
    }
    return report;
  }

  state(): MethodState {
    const inner = this.#inner.state();
    const own = new StateWriter();
    own.array("captured", this.#captured.values);
    own.count("captured/count", this.#captured.count);
    const { arrays, values } = own.state();
    return { arrays: { ...inner.arrays, ...arrays }, values: { ...inner.values, ...values } };
  }

  restore(state: MethodState): void {
    this.#inner.restore(state);
    const reader = new StateReader(state);
    const values = reader.array("captured", this.#vector.length, -Infinity);
    this.#captured = new RunningMean(values.slice(), reader.count("captured/count"));
  }

  dispose(): void {
    this.#inner.dispose();
  }
}
