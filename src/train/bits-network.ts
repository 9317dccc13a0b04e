// One network for several bits of its inner layers (eq-net): the network in training with a set of quantizers and of
// statistics for each. Owns which of them is in use, and what one's outputs teach the others; the step is the method's.

import * as tf from "@tensorflow/tfjs";
import { type LearnedAtBits, learnedToJson, parseLearned } from "../quant/learned.js";
import { learnedAtBits, withStatistics } from "../quant/learned-bits.js";
import { classLoss, onehot } from "./cross-entropy.js";
import type { Batch } from "./data/batch.js";
import type { Guidance } from "./methods/method-options.js";
import type { MethodState } from "./methods/method.js";
import type { TrainingNetwork } from "./network.js";
import type { StatisticsEstimate } from "./normalization-statistics.js";
import type { Evaluated, EvaluateOptions, Objective } from "./objective.js";
import type { Quantizer } from "./quantizers/quantizer.js";
import { StatisticsByBits } from "./statistics-by-bits.js";
import type { TrainableModel } from "./trainable-model.js";

/** The part of its state. */
const STATISTICS = "statistics-by-bits/";

export class BitsNetwork implements Objective<Batch> {
  readonly trainables: TrainingNetwork["trainables"];
  /** Those of the fewest bits, which logs tell of. */
  readonly quantizers: readonly Quantizer[];
  readonly #network: TrainingNetwork;
  /** Ascending. */
  readonly #bits: readonly number[];
  readonly #guidance: Guidance;
  readonly #statistics: StatisticsByBits;
  #quantized = false;
  /** What was said of the last batch at the bits that guide. */
  #said: { readonly x: tf.Tensor4D; readonly probabilities: Float32Array } | null = null;

  /**
   * @param network made with `byBits`, which it takes over
   * @param bits ascending
   */
  constructor(network: TrainingNetwork, bits: readonly number[], guidance: Guidance) {
    this.#network = network;
    this.#bits = bits;
    this.#guidance = guidance;
    this.trainables = network.trainables;
    this.#statistics = new StatisticsByBits(network.statistics, this.#most);
    const fewest = new Set(network.trainables.filter((each) => each.bits === bits[0]));
    this.quantizers = network.quantizers.filter(({ trainables }) => fewest.has(trainables[0] as never));
  }

  get #most(): number {
    return this.#bits.at(-1) as number;
  }

  #use(bits: number): void {
    this.#network.useBits(bits);
    this.#statistics.use(bits);
  }

  /**
   * The loss at `options.bits`, and its gradients: zeros for what counts at others.
   *
   * The target of the first bits that are asked of a batch is that of the batch, t. Of the next ones it is `(t + q) / 2`, q the
   * probabilities at the first (guidance `most`), or at the ones before (`next`: EQ-Net's group progressive guidance); or
   * t (`none`). Equal weights and temperature 1, as of a teacher.
   */
  evaluate(batch: Batch, { bits, ...options }: EvaluateOptions): Evaluated {
    if (!this.#quantized || bits === undefined) return this.#network.evaluate(batch, options);
    this.#use(bits);
    const { x } = batch;
    const guide = this.#said?.x === x ? this.#said.probabilities : null;
    const loss: NonNullable<Batch["loss"]> = (logits, { labels, target }) => {
      if (!guide || this.#guidance === "next") {
        const probabilities = Float32Array.from(tf.softmax(logits).dataSync<"float32">());
        if (this.#guidance !== "none") this.#said = { x, probabilities };
      }
      const own = target ?? labels;
      const t = own.rank === 2 ? (own as tf.Tensor2D) : onehot(own as tf.Tensor1D, logits.shape[1]);
      if (!guide) return classLoss(logits, { labels, target: t });
      const q = tf.tensor2d(guide, logits.shape);
      return classLoss(logits, { labels, target: tf.div<tf.Tensor2D>(tf.add(t, q), 2) });
    };
    return this.#network.evaluate({ ...batch, loss }, options);
  }

  constrain(): void {
    this.#network.constrain();
  }

  setQuantized(on: boolean): void {
    this.#quantized = on;
    this.#network.setQuantized(on);
  }

  /** The first scales at all bits. */
  initialize(batch: Batch): void {
    this.#atEach(() => this.#network.initialize(batch));
  }

  /** Of each bits' own statistics. */
  estimateStatistics(): Pick<StatisticsEstimate, "add" | "hold" | "apply"> {
    if (!this.#quantized) return this.#network.estimateStatistics();
    const estimates = new Map(this.#bits.map((bits) => [bits, this.#network.estimateStatistics()]));
    const each = <T>(work: (estimate: StatisticsEstimate, bits: number) => T): T[] =>
      this.#atEach((bits) => work(estimates.get(bits) as StatisticsEstimate, bits));
    return {
      add: (x) => void each((estimate) => estimate.add(x)),
      apply: () => void each((estimate) => estimate.apply()),
      hold: () => {
        const held = new Map(each((estimate, bits) => [bits, estimate.hold()] as const));
        return () => void each((_, bits) => held.get(bits)?.());
      },
    };
  }

  /** From the most bits to the fewest, and leaves those of the most in use. */
  #atEach<T>(work: (bits: number) => T): T[] {
    const results = this.#bits.toReversed().map((bits) => {
      this.#use(bits);
      return work(bits);
    });
    this.#use(this.#most);
    return results;
  }

  /** At the most bits. */
  logits(x: tf.Tensor4D): tf.Tensor2D {
    this.#use(this.#most);
    return this.#network.logits(x);
  }

  firstNotFinite(x: tf.Tensor4D): string | null {
    return this.#atEach(() => this.#network.firstNotFinite(x)).find((layer) => layer !== null) ?? null;
  }

  /** At the fewest bits, where they go to and fro most. */
  weightIntegers(): Map<string, tf.Tensor> {
    this.#use(this.#bits[0] as number);
    return this.#network.weightIntegers();
  }

  /** The model as it stands, with the scales and statistics of all bits; its weights hold the statistics of the most. */
  toModel(): TrainableModel {
    this.#use(this.#most);
    const model = this.#network.toModel();
    if (!this.#quantized) return model;
    const names = this.#network.statistics;
    const byBits = new Map<number, LearnedAtBits>();
    for (const bits of this.#bits) {
      this.#use(bits);
      const { userDefinedMetadata } = this.#network.toModel();
      const { quantizers = new Map<string, never>() } = parseLearned(userDefinedMetadata) ?? {};
      const statistics = names.map(
        ({ weight, variable }) => [weight, Float32Array.from(variable.dataSync<"float32">())] as const,
      );
      byBits.set(bits, { quantizers, statistics: new Map(statistics) });
    }
    this.#use(this.#most);
    const { quantizers: _, ...facts } = parseLearned(model.userDefinedMetadata) ?? { quantizers: new Map() };
    const qdg = learnedToJson({ ...facts, quantizers: new Map(), byBits });
    return { ...model, userDefinedMetadata: { ...model.userDefinedMetadata, qdg } };
  }

  state(): MethodState {
    this.#use(this.#most);
    const { arrays, values } = this.#network.state();
    const waiting = Object.entries(this.#statistics.state());
    const own = waiting.map(([name, array]) => [STATISTICS + name, array] as const);
    return { arrays: { ...arrays, ...Object.fromEntries(own) }, values };
  }

  /** @throws QdgError `invalid-data` for the state of another network, or of other bits */
  restore({ arrays, values }: MethodState): void {
    const all = Object.entries(arrays);
    const own = all.filter(isOwn).map(([name, array]) => [name.slice(STATISTICS.length), array] as const);
    this.#network.useBits(this.#most);
    this.#network.restore({ arrays: Object.fromEntries(all.filter((entry) => !isOwn(entry))), values });
    this.#statistics.restore(Object.fromEntries(own), this.#bits, this.#most);
  }

  dispose(): void {
    this.#statistics.dispose();
    this.#network.dispose();
  }
}

/**
 * A model that was trained for several bits as one that was trained for these alone: its scales and its statistics.
 *
 * @throws QdgError `usage` for bits of which it has none, `invalid-quantization` for a model that was changed
 */
export function modelAtBits<M extends TrainableModel>(model: M, bits: number): M {
  const all = parseLearned(model.userDefinedMetadata);
  if (!all?.byBits) return model;
  const { learned, statistics } = learnedAtBits(all, bits, "bits");
  const weights = withStatistics(model.weights, statistics);
  const qdg = learnedToJson(learned);
  return { ...model, weights, userDefinedMetadata: { ...model.userDefinedMetadata, qdg } };
}

function isOwn([name]: readonly [string, Float32Array]): boolean {
  return name.startsWith(STATISTICS);
}
