// What a training method implements. One file a method; methods.ts lists them.

import type { Objective } from "../objective.js";

/** Numbers of one step, for logs. */
export interface StepReport {
  /** The task loss: at the point where the step began. */
  readonly loss: number;
  /** Of the perturbed point, for methods with two passes. */
  readonly smoothLoss?: number;
  /** The fraction of scales with a part frozen in this step; absent where a method never freezes. */
  readonly frozen?: number;
  /** At the end of a window: what the two gradients of every scale did, and freezing. */
  readonly window?: WindowReport;
}

/** By the name of the trainable (`relu1/scale`): one entry a scale. */
export type ByTrainable<T = number> = Readonly<Record<string, readonly T[]>>;

export interface WindowReport {
  /** The step that ended the window, and its length. */
  readonly step: number;
  readonly steps: number;
  /** Of the task gradient (disorder.ts); null, here and below, of a scale that had no gradient in the window. */
  readonly disorder: ByTrainable<number | null>;
  /** 1: the part that freezing stops is stopped in the step after the window. */
  readonly frozen: ByTrainable;
  /** The same of the smoothness gradient, and of both together (conflict.ts). */
  readonly smoothnessDisorder: ByTrainable<number | null>;
  readonly opposed: ByTrainable<number | null>;
  readonly cosine: ByTrainable<number | null>;
  /** Of the scales of a layer as one vector, by the layer's name. */
  readonly layers: Readonly<Record<string, { readonly opposed: number; readonly cosine: number }>>;
}

/** Everything that a method must get back to go on bit for bit: arrays by name, and numbers. */
export interface MethodState {
  readonly arrays: Readonly<Record<string, Float32Array>>;
  /** JSON. */
  readonly values: Readonly<Record<string, unknown>>;
}

export interface Method<Batch> {
  /**
   * One step: evaluates, moves the variables, constrains them.
   *
   * @param step from 0; @param learningRate of this step
   */
  step(objective: Objective<Batch>, batch: Batch, step: number, learningRate: number): StepReport;
  state(): MethodState;
  /** @throws QdgError `invalid-data` when the state is of another method or other variables */
  restore(state: MethodState): void;
  /** Frees the tensors it holds. */
  dispose(): void;
}
