// Whether a run learns: looks at its losses, and at what its network says, and says at once where it seems to learn
// nothing, with the likeliest reason. It only speaks: nothing that is computed depends on it.

import { type Evaluation, selectionAccuracy } from "./evaluate-domains.js";
import { isPretrained, methodOf, type TrainOptions } from "./train-options.js";

/** A loss above this share of ln(classes) is one of guessing. */
const GUESSING = 0.95;
/** Fewer steps say nothing. */
const LEAST_STEPS = 20;
/** Evaluations without a better one that make a plateau. */
const PLATEAU = 3;
/** Rates beyond these find their own blame. */
const [LOW_RATE, HIGH_RATE] = [3e-4, 1e-2];

/** What a network says of images. */
export interface Said {
  readonly images: number;
  /** How many different classes. */
  readonly classes: number;
  /** Of how many images it finds the class. */
  readonly right: number;
}

/** @param found the class that it says of each image; @param labels the one that each has */
export function saidOf(found: Int32Array, labels: Int32Array): Said {
  const right = found.filter((one, i) => one === labels[i]).length;
  return { images: found.length, classes: new Set(found).size, right };
}

export class LearningWatch {
  readonly #options: TrainOptions;
  readonly #classes: number;
  /** Of the present phase: in full precision, or with quantizers. */
  #quantized = false;
  #losses: number[] = [];
  #saidOneClass = false;
  /** The best evaluation of its phase, and how many have been no better since. */
  #best: Evaluation | null = null;
  #notBetter = 0;

  /** @param classes of the data */
  constructor(options: TrainOptions, classes: number) {
    this.#options = options;
    this.#classes = classes;
  }

  /** Steps of a phase after which it is judged: a tenth of the run, a quarter where weights were random to begin with. */
  get #patience(): number {
    const share = isPretrained(this.#options) ? 10 : 4;
    return Math.max(LEAST_STEPS, Math.ceil(this.#options.steps / share));
  }

  /**
   * Takes the loss of a step.
   *
   * @returns whether this is the step at which the phase is to be judged
   */
  stepped(loss: number, quantized: boolean): boolean {
    if (quantized !== this.#quantized) {
      this.#quantized = quantized;
      this.#losses = [];
      this.#saidOneClass = false;
    }
    if (this.#losses.length >= this.#patience) return false;
    this.#losses.push(loss);
    return this.#losses.length === this.#patience;
  }

  /**
   * What is to be said of a phase that is judged now: the mean of the last half of its losses against ln(classes), unless
   * more images of the batch are right than two standard deviations of guessing allow.
   *
   * @param said of the last batch
   */
  judgeLoss(said: Said): string | null {
    if (this.#hasLeftGuessing() || (said.classes > 1 && said.right > this.#mostByChance(said.images)))
      return null;
    const phase = this.#quantized ? "with quantizers" : "in full precision";
    this.#saidOneClass = said.classes === 1;
    const one = this.#saidOneClass ? ", and the network says one class whatever it sees" : "";
    return `it does not learn: after ${this.#losses.length} steps ${phase} the loss is ${this.#lateLoss().toFixed(2)}, guessing among ${this.#classes} classes has ${this.#guess.toFixed(2)}${one}; ${this.#reason()}`;
  }

  /** What is to be said of a network that says one class whatever it sees; once a phase. */
  judgeClasses({ images, classes }: Omit<Said, "right">): string | null {
    if (classes > 1 || images < 2 * this.#classes || this.#saidOneClass) return null;
    this.#saidOneClass = true;
    const reason =
      this.#hasLeftGuessing() && this.#options.statistics === "batch"
        ? "the loss on batches has left guessing, so the likely reason is that the moving statistics of batch normalization lag behind; see the next evaluation, or take more --steps"
        : this.#reason();
    return `the network says one class for all of ${images} images; ${reason}`;
  }

  /** What is to be said of an evaluation after the first step: that it ends a stretch of three without a better one; once a plateau. */
  judgePlateau(evaluation: Evaluation): string | null {
    const best = this.#best;
    if (!best || best.quantized !== evaluation.quantized || isBetter(evaluation, best)) {
      this.#best = evaluation;
      this.#notBetter = 0;
      return null;
    }
    this.#notBetter += 1;
    if (this.#notBetter !== PLATEAU) return null;
    const percent = (100 * selectionAccuracy(best)).toFixed(1);
    return `a plateau: the last ${PLATEAU} evaluations were no better than that after step ${best.step}, ${percent} % of the sources' validation images`;
  }

  /** Of guessing: ln(classes). */
  get #guess(): number {
    return Math.log(this.#classes);
  }

  /** Mean of the last half of the losses of the phase that were taken; not a number before the first. */
  #lateLoss(): number {
    const late = this.#losses.slice(Math.floor(this.#losses.length / 2));
    return late.reduce((sum, loss) => sum + loss, 0) / late.length;
  }

  #hasLeftGuessing(): boolean {
    return this.#lateLoss() < GUESSING * this.#guess;
  }

  #mostByChance(images: number): number {
    const chance = 1 / this.#classes;
    return images * chance + 2 * Math.sqrt(images * chance * (1 - chance));
  }

  #reason(): string {
    const { learningRate, statistics, floatSteps, weightBits, bitSet, activationBits, steps } = this.#options;
    const pretrained = isPretrained(this.#options);
    if (pretrained && statistics === "frozen")
      return "the likely reason is --statistics frozen, whose normalization cannot follow the weights; take --statistics batch";
    if (learningRate < LOW_RATE)
      return `the likely reason is --learning-rate ${learningRate}, which is low; leave it out`;
    if (learningRate > HIGH_RATE)
      return `the likely reason is --learning-rate ${learningRate}, which is high; leave it out`;
    if (this.#quantized) {
      if (pretrained && floatSteps === 0 && methodOf(this.#options).quantizedFrom === "start")
        return "the likely reason is --float-steps 0: quantizers began before the new head had learned; leave it out";
      if (activationBits !== null && activationBits < 8)
        return `the likely reason is that activations have ${activationBits} bits; take --activation-bits 8, or more --steps than ${steps}`;
      return `the likely reason is that weights have ${weightBits ?? bitSet[0]} bits; take more, or more --steps than ${steps}`;
    }
    return "see whether the folders hold what their names say, and whether --preprocess is how the model was trained; else take more --steps";
  }
}

function isBetter(evaluation: Evaluation, best: Evaluation): boolean {
  return selectionAccuracy(evaluation) > selectionAccuracy(best);
}
