// What a training method sees of a network: variables, and a loss whose gradients it can ask for at any point.
// No method knows layers, quantizers or data, so that each can be tested on a quadratic.

import type { Tensor, Variable } from "@tensorflow/tfjs";

/**
 * `weight`: of the network. `scale`, `zero-point`: learned by a quantizer.
 */
export type Role = "weight" | "scale" | "zero-point";

export interface Trainable {
  /** Unique: a weight as tfjs names it (`conv1/kernel`), a quantizer's by its id (`relu1/scale`). */
  readonly name: string;
  readonly role: Role;
  /** The layer that reports speak of. */
  readonly layer: string;
  readonly variable: Variable;
  /** Of a scale or zero point of a network for several bits: at which of them it counts. Absent: always. */
  readonly bits?: number;
}

/** The loss at one point and its gradients, one a trainable in their order; the caller disposes of them. */
export interface Evaluated {
  readonly loss: number;
  readonly gradients: Tensor[];
}

export interface EvaluateOptions {
  /** Move the statistics of batch normalization along: false in the second pass of a sharpness-aware step. */
  readonly updateStatistics: boolean;
  /** Of a network for several bits: at which. An objective that knows none of them is the same at all. */
  readonly bits?: number;
}

/** A batch as the trainer makes it; what is in it is the objective's business. */
export interface Objective<Batch> {
  /** The same list, in the same order, for the life of the objective. */
  readonly trainables: readonly Trainable[];
  /** The mean loss over the batch, and its gradient by each trainable, zeros where none reaches it. */
  evaluate(batch: Batch, options: EvaluateOptions): Evaluated;
  /**
   * The constraints: scales back above their floor. Called whenever a method has moved the variables: after a step,
   * and at the perturbed point of a sharpness-aware one, before it is evaluated.
   */
  constrain(): void;
}
