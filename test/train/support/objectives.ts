// Objectives small enough to compute by hand, for tests of training methods.

import * as tf from "@tensorflow/tfjs";
import type { EvaluateOptions, Evaluated, Objective, Role, Trainable } from "../../../src/train/objective.js";

export interface TrainableSketch {
  readonly name: string;
  readonly role?: Role;
  /** Default: the name up to its first slash. */
  readonly layer?: string;
  readonly start: readonly number[];
  readonly shape?: readonly number[];
}

export function trainablesOf(sketches: readonly TrainableSketch[]): Trainable[] {
  return sketches.map(({ name, role = "weight", layer = name.split("/", 1)[0] as string, start, shape }) => ({
    name,
    role,
    layer,
    variable: tf.variable(tf.tensor(Float32Array.from(start), [...(shape ?? [start.length])], "float32")),
  }));
}

abstract class SmallObjective<Batch> implements Objective<Batch> {
  readonly trainables: readonly Trainable[];
  /** What was asked at each evaluation. */
  readonly calls: { readonly point: number[][]; readonly updateStatistics: boolean }[] = [];
  constrained = 0;

  constructor(sketches: readonly TrainableSketch[]) {
    this.trainables = trainablesOf(sketches);
  }

  evaluate(batch: Batch, options: EvaluateOptions): Evaluated {
    this.calls.push({ point: this.point(), updateStatistics: options.updateStatistics });
    return this.gradientsAt(batch, options);
  }

  protected abstract gradientsAt(batch: Batch, options: EvaluateOptions): Evaluated;

  constrain(): void {
    this.constrained += 1;
  }

  point(): number[][] {
    return this.trainables.map(({ variable }) => [...variable.dataSync()]);
  }

  dispose(): void {
    for (const { variable } of this.trainables) variable.dispose();
  }
}

/** `L(theta) = sum_i a_i (theta_i - c_i)^2 / 2`; the batch is c, one list a trainable. */
export class Quadratic extends SmallObjective<readonly (readonly number[])[]> {
  readonly #curvature: readonly (readonly number[])[];

  constructor(sketches: readonly (TrainableSketch & { readonly curvature: readonly number[] })[]) {
    super(sketches);
    this.#curvature = sketches.map(({ curvature }) => curvature);
  }

  protected gradientsAt(centres: readonly (readonly number[])[]): Evaluated {
    let loss = 0;
    const gradients = this.trainables.map(({ variable }, i) => {
      const curvature = this.#curvature[i] as readonly number[];
      const centre = centres[i] as readonly number[];
      variable.dataSync().forEach((x, j) => {
        loss += ((curvature[j] as number) * (x - (centre[j] as number)) ** 2) / 2;
      });
      const shaped = (list: readonly number[]): tf.Tensor => tf.tensor([...list], variable.shape);
      return tf.tidy(() => tf.mul(shaped(curvature), tf.sub(variable, shaped(centre))));
    });
    return { loss, gradients };
  }
}

/** Gradients as written, whatever the point: one list a trainable, for each of the two passes. */
export interface Script {
  readonly task: readonly (readonly number[])[];
  readonly smoothness?: readonly (readonly number[])[];
  readonly loss?: number;
  readonly smoothLoss?: number;
}

export class Scripted extends SmallObjective<Script> {
  protected gradientsAt(script: Script, { updateStatistics }: EvaluateOptions): Evaluated {
    const lists = updateStatistics ? script.task : (script.smoothness ?? script.task);
    const loss = updateStatistics ? script.loss : script.smoothLoss;
    return {
      loss: loss ?? 1,
      gradients: this.trainables.map(({ variable }, i) =>
        tf.tensor(Float32Array.from(lists[i] as number[]), variable.shape, "float32"),
      ),
    };
  }
}

/** Numbers in -1..1 from a seed, always the same. */
export function noise(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}
