// `--average`: the average of all that a run learns, beside the run itself. Takes the weights in after each step, and puts
// their average into the network for an evaluation; training itself never sees it.

import type { MethodState } from "../methods/method.js";
import { StateReader, StateWriter } from "../methods/method-state.js";
import { Ema } from "../optimizer/ema.js";
import { Swad } from "../optimizer/swad.js";
import { TrainableVector } from "../optimizer/trainable-vector.js";
import { deployedStatistics } from "./estimated-statistics.js";
import { isFloatMethod, type TrainOptions } from "./train-options.js";
import type { TrainerParts } from "./trainer-parts.js";
import { validationLoss } from "./validation-loss.js";

type AveragedParts = Pick<
  TrainerParts,
  "options" | "network" | "batches" | "domains" | "imageSize" | "preprocessing" | "signal" | "observer"
>;

/** @returns null where nothing is averaged */
export function averagingOf(parts: AveragedParts): Averaging | null {
  return parts.options.average === "none" ? null : new Averaging(parts);
}

/** How often an evaluation estimates statistics: of each network that it looks at with others than those it trains with. */
export function estimatesOf(options: TrainOptions): number {
  const quantized = isFloatMethod(options) ? 0 : 1;
  return options.average === "none" ? quantized : options.average === "swad" ? 1 + quantized : 1;
}

/**
 * Of weights, scales (in the parameterization that is learned) and zero points, from the first step with quantizers; of a
 * method without any from the first step. Statistics of batch normalization are in no average: they are estimated of it.
 */
export class Averaging {
  readonly #parts: AveragedParts;
  readonly #vector: TrainableVector;
  readonly #values: Float32Array;
  #average: Ema | Swad;
  /** By the losses of an evaluation that is not over. */
  #next: Swad | null = null;

  constructor(parts: AveragedParts) {
    const { average, averageDecay, swadStart, swadEnd, swadTolerance } = parts.options;
    this.#parts = parts;
    this.#vector = new TrainableVector(parts.network.trainables);
    const { length } = this.#vector;
    this.#values = new Float32Array(length);
    this.#average =
      average === "swad"
        ? new Swad(length, { start: swadStart, end: swadEnd, tolerance: swadTolerance })
        : new Ema(length, averageDecay);
  }

  #isOn(quantized: boolean): boolean {
    return quantized || isFloatMethod(this.#parts.options);
  }

  /** After a step. */
  stepped(quantized: boolean): void {
    if (!this.#isOn(quantized)) return;
    this.#vector.read(this.#values);
    this.#average.add(this.#values);
  }

  /**
   * At the start of an evaluation: what swad decides by the loss on the images that validate, of the plain weights, with
   * the statistics and the rounded values that they would be deployed with. {@link decided} makes it count.
   *
   * @returns false when the run was stopped meanwhile
   */
  async decide(step: number, quantized: boolean): Promise<boolean> {
    this.#next = null;
    if (!(this.#average instanceof Swad) || this.#average.hasEnded || !this.#isOn(quantized)) return true;
    const { network, batches, options, domains, imageSize, preprocessing, signal } = this.#parts;
    const putBack = quantized ? await deployedStatistics(network, batches, step) : null;
    try {
      const loss = await validationLoss((x) => network.logits(x), domains, {
        imageSize,
        batchSize: options.evalBatch,
        preprocessing,
        isStopped: () => signal?.aborted === true,
      });
      if (loss === null) return false;
      this.#next = this.#average.judged(loss);
    } finally {
      putBack?.();
    }
    return true;
  }

  /** When the evaluation is over. */
  decided(): void {
    const before = this.#average;
    const next = this.#next;
    if (!next || !(before instanceof Swad)) return;
    this.#average = next;
    this.#next = null;
    const { observer } = this.#parts;
    if (!before.hasBegun && next.hasBegun) {
      observer.note(`swad: the last ${next.count} steps begin the average that is kept`);
    }
    if (!before.hasEnded && next.hasEnded) {
      observer.note(`swad: overfitting begins, so that the average of ${next.count} steps is final`);
    }
  }

  /** Steps that the average is of; 0 where there is none yet. */
  get count(): number {
    return (this.#next ?? this.#average).count;
  }

  /**
   * Puts the average into the network.
   *
   * @returns gives the network back its own weights, bit for bit, to be called once; null where there is no average yet
   */
  apply(): (() => void) | null {
    const values = (this.#next ?? this.#average).current();
    if (!values) return null;
    const putBack = this.#vector.hold();
    this.#vector.write(values);
    return putBack;
  }

  state(): MethodState {
    const state = new StateWriter();
    state.text("average", this.#parts.options.average);
    state.text("trainables", this.#vector.describe());
    this.#average.save(state);
    return state.state();
  }

  /** @throws QdgError `invalid-data` for a state of another average, or of other trainables */
  restore(state: MethodState): void {
    const reader = new StateReader(state);
    reader.expectText("average", this.#parts.options.average);
    reader.expectText("trainables", this.#vector.describe());
    this.#average.load(reader);
  }
}
