// Adam for each role apart: weights, scales and zero points differ in rate and decay, and scales may begin later.
// Owns no gradient and no variable.

import type { StateReader, StateWriter } from "../methods/method-state.js";
import type { AdamOptions } from "./adam.js";
import { Adam } from "./adam.js";
import type { TrainableVector } from "./trainable-vector.js";
import { part } from "./trainable-vector.js";

export interface RoleAdamOptions extends AdamOptions {
  /** Added to the gradient of weights as `weightDecay * theta` (L2, as DomainBed's Adam has it), before the moments. */
  readonly weightDecay: number;
  /** Multiplies the learning rate of scales and zero points. */
  readonly scaleRate: number;
}

export class RoleAdam {
  readonly weights: Adam;
  readonly scales: Adam;
  readonly zeroPoints: Adam;
  readonly #vector: TrainableVector;
  readonly #options: RoleAdamOptions;

  constructor(vector: TrainableVector, options: RoleAdamOptions) {
    const adam = ({ start, end }: { start: number; end: number }): Adam => new Adam(end - start, options);
    this.#vector = vector;
    this.#options = options;
    this.weights = adam(vector.weights);
    this.scales = adam(vector.scales);
    this.zeroPoints = adam(vector.zeroPoints);
  }

  /** Steps the weights in `values`. Adds the decay to their part of `gradient`, in place. */
  stepWeights(values: Float32Array, gradient: Float32Array, factor: number, learningRate: number): void {
    const theta = part(values, this.#vector.weights);
    const g = part(gradient, this.#vector.weights);
    const { weightDecay } = this.#options;
    if (weightDecay > 0) {
      for (let i = 0; i < g.length; i++) {
        g[i] = (g[i] as number) * factor + weightDecay * (theta[i] as number);
      }
    }
    this.weights.record(g, weightDecay > 0 ? 1 : factor);
    this.weights.move(theta, learningRate);
  }

  stepScales(values: Float32Array, gradient: Float32Array, factor: number, learningRate: number): void {
    this.scales.record(part(gradient, this.#vector.scales), factor);
    this.scales.move(part(values, this.#vector.scales), learningRate * this.#options.scaleRate);
  }

  stepZeroPoints(values: Float32Array, gradient: Float32Array, factor: number, learningRate: number): void {
    this.zeroPoints.record(part(gradient, this.#vector.zeroPoints), factor);
    this.zeroPoints.move(part(values, this.#vector.zeroPoints), learningRate * this.#options.scaleRate);
  }

  save(state: StateWriter): void {
    this.weights.save("weights", state);
    this.scales.save("scales", state);
    this.zeroPoints.save("zero-points", state);
  }

  /** @throws QdgError `invalid-data` */
  load(state: StateReader): void {
    this.weights.load("weights", state);
    this.scales.load("scales", state);
    this.zeroPoints.load("zero-points", state);
  }
}
