// The methods that step every trainable with one gradient: all but gaqat. Each says only what that gradient is, in
// its own file. Owns the optimizer and its state.

import type { Objective, Trainable } from "../objective.js";
import { RoleAdam } from "../optimizer/role-adam.js";
import { clipFactor, sumOfSquares } from "../optimizer/trainable-vector.js";
import { erm } from "./erm.js";
import type { Method, MethodState, StepReport } from "./method.js";
import type { MethodSettings } from "./method-options.js";
import { readerOf, stateOf } from "./method-state.js";
import { GradientPasses } from "./perturb.js";

export interface GradientRule {
  readonly passes: 1 | 2;
  /** The losses, and the array of `passes` with the gradient to step with. */
  gradient<Batch>(
    passes: GradientPasses,
    objective: Objective<Batch>,
    batch: Batch,
    step: number,
    settings: MethodSettings,
  ): { readonly report: StepReport; readonly gradient: Float32Array };
}

export class GradientMethod<Batch> implements Method<Batch> {
  readonly #name: string;
  readonly #rule: GradientRule;
  readonly #settings: MethodSettings;
  readonly #passes: GradientPasses;
  readonly #adam: RoleAdam;

  /** @param name of the method; a state is only taken back by the same one */
  constructor(name: string, rule: GradientRule, trainables: readonly Trainable[], settings: MethodSettings) {
    this.#name = name;
    this.#rule = rule;
    this.#settings = settings;
    this.#passes = new GradientPasses(trainables, rule.passes);
    this.#adam = new RoleAdam(this.#passes.vector, settings);
  }

  step(objective: Objective<Batch>, batch: Batch, step: number, learningRate: number): StepReport {
    const rule = step < this.#settings.plainSteps ? erm : this.#rule;
    const { report, gradient } = rule.gradient(this.#passes, objective, batch, step, this.#settings);
    const { values, vector } = this.#passes;
    const factor = clipFactor(this.#settings.clipNorm, () => Math.sqrt(sumOfSquares(gradient)));
    this.#adam.stepWeights(values, gradient, factor, learningRate);
    this.#adam.stepScales(values, gradient, factor, learningRate);
    this.#adam.stepZeroPoints(values, gradient, factor, learningRate);
    vector.write(values);
    objective.constrain();
    return report;
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
