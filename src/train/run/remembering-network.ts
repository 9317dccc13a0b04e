// A network that learns from its own earlier outputs beside the labels (saf): the network in training, whose batches get
// that loss. Owns the memory and its place in checkpoints; what is in the memory is methods/saf.ts's.

import * as tf from "@tensorflow/tfjs";
import { QdgError } from "../../base/error.js";
import { classLoss } from "../cross-entropy.js";
import type { Batch } from "../data/batch.js";
import { divergence } from "../divergence.js";
import type { MethodState } from "../methods/method.js";
import { StateReader, StateWriter } from "../methods/method-state.js";
import { EarlierOutputs } from "../methods/saf.js";
import type { Evaluated, EvaluateOptions } from "../objective.js";
import { quantizedFrom } from "./complete-options.js";
import { type Learner, LearnerAround } from "./learner-around.js";
import { type RunDomain } from "./prepare-run.js";
import { prefixed, unprefixed } from "./state-parts.js";
import { methodOf, type TrainOptions } from "./train-options.js";

/** The part of its state. */
const EARLIER = "earlier/";

/** How the loss of saf is weighed: methods/saf.ts. */
export interface TrajectoryOptions {
  readonly weight: number;
  readonly epochs: number;
  readonly temperature: number;
}

/**
 * The network as the trainer gets it: with a memory where the method is saf.
 *
 * @param sources the domains that train
 * @throws QdgError `usage` naming `--saf-epochs` for a run in which no output would ever be so old
 */
export function withMemory(
  learner: Learner,
  options: TrainOptions,
  sources: readonly Pick<RunDomain, "split">[],
): Learner {
  if (!methodOf(options).settings.includes("safEpochs")) return learner;
  const { steps, batchSize, safEpochs: epochs, safWeight: weight, safTemperature: temperature } = options;
  const counts = sources.map(({ split }) => split.training.length);
  const ofAnEpoch = Math.min(...counts) / batchSize;
  const left = steps - quantizedFrom(options);
  if (left <= epochs * ofAnEpoch) {
    throw new QdgError(
      "usage",
      "--saf-epochs",
      `got ${epochs}, but the ${left} quantized steps are ${(left / ofAnEpoch).toFixed(2)} epochs of the smallest domain, so that no output would ever be so old; give fewer epochs, or more --steps`,
    );
  }
  const images = counts.reduce((sum, count) => sum + count, 0);
  return new RememberingNetwork(learner, images, { weight, epochs, temperature });
}

export class RememberingNetwork extends LearnerAround {
  readonly #earlier: EarlierOutputs;
  readonly #options: TrajectoryOptions;
  #quantized = false;

  /** @param images how many train, of all domains */
  constructor(learner: Learner, images: number, options: TrajectoryOptions) {
    super(learner);
    this.#options = options;
    this.#earlier = new EarlierOutputs(images, options.epochs);
  }

  /**
   * The loss of saf and its gradients, once there are quantizers. What is said to be the loss is its task part, which
   * tells whether the network learns.
   */
  override evaluate(batch: Batch, options: EvaluateOptions): Evaluated {
    const { images } = batch;
    if (!this.#quantized || !options.updateStatistics || !images)
      return this.learner.evaluate(batch, options);
    let task = 0;
    let said = new Float32Array(0);
    const past = this.#earlier.of(images);
    const loss: NonNullable<Batch["loss"]> = (logits, { labels, target }) => {
      said = Float32Array.from(logits.dataSync<"float32">());
      const own = classLoss(logits, target ? { labels, target } : { labels });
      task = own.dataSync<"float32">()[0] as number;
      if (!past) return own;
      const { weight, temperature } = this.#options;
      const outputs = tf.tensor2d(past.outputs, logits.shape);
      const other = { outputs, weights: tf.tensor1d(past.known) };
      return tf.add<tf.Scalar>(own, tf.mul(weight, divergence(logits, other, temperature)));
    };
    const { gradients } = this.learner.evaluate({ ...batch, loss }, options);
    this.#earlier.put(images, said);
    return { loss: task, gradients };
  }

  override setQuantized(on: boolean): void {
    this.#quantized = on;
    super.setQuantized(on);
  }

  override state(): MethodState {
    const { arrays, values } = super.state();
    const writer = new StateWriter();
    this.#earlier.save(writer);
    const own = writer.state();
    return {
      arrays: { ...arrays, ...prefixed(own.arrays, EARLIER) },
      values: { ...values, earlier: own.values },
    };
  }

  /** @throws QdgError `invalid-data` for the state of another network, other images or another number of epochs */
  override restore({ arrays, values }: MethodState): void {
    const others = Object.entries(arrays).filter(([name]) => !name.startsWith(EARLIER));
    super.restore({ arrays: Object.fromEntries(others), values });
    const kept = (values["earlier"] ?? {}) as Record<string, unknown>;
    this.#earlier.load(new StateReader({ arrays: unprefixed(arrays, EARLIER), values: kept }));
  }
}
