// The two gradients of a step with two passes: at theta, and at a point near it, with the variables back at theta bit for
// bit afterwards. Takes no step, and lets no number that is not finite reach a method.

import { QdgError } from "../../base/error.js";
import type { Evaluated, Objective, Trainable } from "../objective.js";
import { part, sumOfSquares, TrainableVector } from "../optimizer/trainable-vector.js";

export class GradientPasses {
  readonly vector: TrainableVector;
  /** theta, as the first pass found it. A method steps it and writes it back. */
  readonly values: Float32Array;
  /** Of the loss at theta. */
  readonly task: Float32Array;
  /** Of the loss at the point near theta. */
  readonly smoothness: Float32Array;

  constructor(trainables: readonly Trainable[], passes: 1 | 2) {
    this.vector = new TrainableVector(trainables);
    this.values = new Float32Array(this.vector.length);
    this.task = new Float32Array(this.vector.length);
    this.smoothness = new Float32Array(passes === 2 ? this.vector.length : 0);
  }

  /**
   * The loss and its gradient at theta, into `values` and `task`.
   *
   * @param bits of a network for several: at which
   * @throws QdgError `runtime` naming the trainable, or "loss", where a number is not finite; nothing has moved
   */
  atTheta<Batch>(objective: Objective<Batch>, batch: Batch, step: number, bits?: number): number {
    this.vector.read(this.values);
    const options = { updateStatistics: true, ...(bits === undefined ? {} : { bits }) };
    return this.#take(objective.evaluate(batch, options), this.task, step);
  }

  /**
   * The loss and its gradient at `theta' = theta + c*g`, into `smoothness`; g from {@link atTheta}. Statistics of
   * batch normalization stay as they are. theta' is constrained as any other point: a scale that the perturbation
   * took below its floor would be no scale.
   *
   * @param coefficient c, from the norm of g over what is perturbed
   * @param perturbScales whether scales and zero points move, too
   * @throws QdgError `runtime`, as atTheta; the variables hold theta again, whatever was thrown
   */
  atPerturbed<Batch>(
    objective: Objective<Batch>,
    batch: Batch,
    step: number,
    coefficient: (norm: number) => number,
    perturbScales: boolean,
  ): number {
    const moved = perturbScales ? { start: 0, end: this.vector.length } : this.vector.weights;
    const c = coefficient(Math.sqrt(sumOfSquares(part(this.task, moved))));
    const point = this.smoothness;
    point.set(this.values);
    for (let i = moved.start; i < moved.end; i++) {
      point[i] = (this.values[i] as number) + c * (this.task[i] as number);
    }
    return this.#atPoint(objective, batch, step, perturbScales);
  }

  /**
   * The loss and its gradient at `theta + h sign(g)`, weights alone, into `smoothness`; g from {@link atTheta}. All else is
   * as of {@link atPerturbed}.
   *
   * @param length of h, how far each weight moves, from the number of weights whose gradient is not 0
   */
  atSigns<Batch>(
    objective: Objective<Batch>,
    batch: Batch,
    step: number,
    length: (moving: number) => number,
  ): { readonly loss: number; readonly length: number } {
    const { start, end } = this.vector.weights;
    const point = this.smoothness;
    point.set(this.values);
    const g = part(this.task, { start, end });
    const h = length(g.reduce((count, x) => count + (x === 0 ? 0 : 1), 0));
    for (let i = start; i < end; i++) {
      point[i] = (this.values[i] as number) + h * Math.sign(this.task[i] as number);
    }
    return { loss: this.#atPoint(objective, batch, step, false), length: h };
  }

  /** At the point that `smoothness` holds, until the gradient there takes its place. */
  #atPoint<Batch>(objective: Objective<Batch>, batch: Batch, step: number, constrained: boolean): number {
    const release = this.vector.hold();
    let evaluated: Evaluated;
    try {
      this.vector.write(this.smoothness);
      if (constrained) objective.constrain();
      evaluated = objective.evaluate(batch, { updateStatistics: false });
    } finally {
      release();
    }
    return this.#take(evaluated, this.smoothness, step);
  }

  #take(evaluated: Evaluated, gradient: Float32Array, step: number): number {
    this.vector.readGradients(evaluated, gradient);
    const { loss } = evaluated;
    if (!Number.isFinite(loss)) throw notFinite("loss", `the loss is ${loss}`, step);
    if (!Number.isFinite(sumOfSquares(gradient))) {
      const first = this.vector.firstNotFinite(gradient);
      throw notFinite(first?.name ?? "gradient", "its gradient is not finite", step);
    }
    return loss;
  }
}

function notFinite(where: string, what: string, step: number): QdgError {
  return new QdgError(
    "runtime",
    where,
    `${what} at step ${step}; nothing was moved; try a lower learning rate, or clip the gradient's norm`,
  );
}
