// The loop of a run: steps, lines in the logs, evaluation, the model that is kept, checkpoints. What it does after
// step n is a function of what the checkpoint of step n holds, so that a run that goes on ends as if never stopped.

import * as tf from "@tensorflow/tfjs";
import { QdgError } from "../../base/error.js";
import { type Batch, disposeBatch } from "../data/batch.js";
import { IntegerNetwork } from "../integer-network.js";
import type { StepReport, WindowReport } from "../methods/method.js";
import { learningRateAt, type ScheduleName } from "../optimizer/schedule.js";
import { Oscillation, STEPS_BETWEEN_LOOKS } from "../oscillation.js";
import { saveModel, type TrainableModel } from "../trainable-model.js";
import { type Averaging, averagingOf } from "./averaging.js";
import { type RunCheckpoint, type RunProgress, saveRunCheckpoint, type SelectedModel } from "./checkpoint.js";
import { cyclesOf, quantizedFrom } from "./complete-options.js";
import { deployedStatistics, estimatedStatistics } from "./estimated-statistics.js";
import { evaluateAtBits } from "./evaluate-bits.js";
import {
  type EvaluatedDomain,
  evaluateDomains,
  type Evaluation,
  firstEvaluated,
  imagesOf,
  selectionAccuracy,
} from "./evaluate-domains.js";
import { LearningWatch, saidOf } from "./learning-watch.js";
import { addLoss, meanLoss, NO_LOSSES } from "./loss-sum.js";
import { notFiniteError } from "./not-finite-error.js";
import { resultLine } from "./result-line.js";
import { isFloatMethod } from "./train-options.js";
import type { TrainerParts } from "./trainer-parts.js";

const NOTHING: RunProgress = {
  step: 0,
  quantized: false,
  sinceLog: NO_LOSSES,
  sinceEvaluation: NO_LOSSES,
  frozen: null,
  best: null,
  last: null,
};

export class Trainer {
  readonly #parts: TrainerParts;
  readonly #oscillation = new Oscillation();
  readonly #watch: LearningWatch;
  readonly #averaging: Averaging | null;
  #progress: RunProgress = NOTHING;
  /** As the last whole checkpoint has it. */
  #saved: RunProgress | null = null;
  // Times are of this process and of no checkpoint.
  #stepMs = 0;
  #timedSteps = 0;
  #evaluationStepMs = 0;
  #evaluationTimedSteps = 0;

  constructor(parts: TrainerParts) {
    this.#parts = parts;
    this.#watch = new LearningWatch(parts.options, parts.classes);
    this.#averaging = averagingOf(parts);
    parts.network.setQuantized(false);
  }

  /** Goes back to a checkpoint: variables, moments, the logs and the model that is kept. */
  async restore(checkpoint: RunCheckpoint): Promise<void> {
    const { network, method, folder } = this.#parts;
    network.restore(checkpoint.network);
    method.restore(checkpoint.method);
    this.#oscillation.restore(checkpoint.oscillation);
    if (checkpoint.averaging) this.#averaging?.restore(checkpoint.averaging);
    this.#progress = checkpoint.progress;
    this.#saved = checkpoint.progress;
    network.setQuantized(checkpoint.progress.quantized);
    await folder.cutBack(checkpoint.lines);
    const { best } = checkpoint.progress;
    if (best) await this.#keep(best);
  }

  get progress(): RunProgress {
    return this.#progress;
  }

  /**
   * Trains to the last step, or until the signal; a checkpoint is saved in both cases.
   *
   * @returns whether the run is finished
   * @throws QdgError `runtime` when a number is not finite, `io` when a file cannot be written: the last checkpoint
   * stays as it is
   */
  async run(): Promise<boolean> {
    const { options, signal } = this.#parts;
    const isStopped = (): boolean => signal?.aborted === true;
    const begun = performance.now();
    const first = this.#progress.step;
    for (;;) {
      if (!isStopped() && this.#isEvaluationDue()) await this.#evaluate();
      const { step } = this.#progress;
      const isOver = isStopped() || step === options.steps;
      if ((isOver || step % options.checkpointEvery === 0) && this.#saved !== this.#progress)
        await this.#save();
      if (isOver) break;
      const loss = await this.#step(step);
      this.#tell(loss, (performance.now() - begun) / (step + 1 - first));
      // Lets signals through: a step may wait for nothing.
      await new Promise((resolve) => setImmediate(resolve));
    }
    const isFinished = this.#progress.step === options.steps && !this.#isEvaluationDue();
    if (isFinished) await this.#settleModel();
    return isFinished;
  }

  /** @returns the loss */
  async #step(step: number): Promise<number> {
    const { options, folder, network, batches } = this.#parts;
    const begun = performance.now();
    const batch = await batches.next(step);
    let report: StepReport;
    try {
      if (!this.#progress.quantized && step >= quantizedFrom(options)) {
        network.setQuantized(true);
        network.initialize(batch);
        // Those of the network without quantizers would take many steps to leave.
        (await estimatedStatistics(network, batches, step)).apply();
        this.#progress = { ...this.#progress, quantized: true };
      }
      report = this.#takeStep(batch, step);
      network.stepped?.();
      this.#averaging?.stepped(this.#progress.quantized);
      if (this.#watch.stepped(report.loss, this.#progress.quantized)) this.#judge(batch);
    } finally {
      disposeBatch(batch);
    }
    if (this.#progress.quantized && step % STEPS_BETWEEN_LOOKS === 0) this.#lookAtIntegers();
    const ms = performance.now() - begun;
    this.#stepMs += ms;
    this.#timedSteps++;
    this.#evaluationStepMs += ms;
    this.#evaluationTimedSteps++;

    const { sinceLog, sinceEvaluation, frozen } = this.#progress;
    this.#progress = {
      ...this.#progress,
      step: step + 1,
      sinceLog: addLoss(sinceLog, report),
      sinceEvaluation: addLoss(sinceEvaluation, report),
      frozen: report.window && report.frozen !== undefined ? frozenShare(report.window) : frozen,
    };
    if (report.window) await folder.append("freezing", report.window);
    if ((step + 1) % options.logEvery === 0 || step + 1 === options.steps) await this.#log(report);
    return report.loss;
  }

  #takeStep(batch: Batch, step: number): StepReport {
    const { method, network } = this.#parts;
    let report: StepReport;
    try {
      report = method.step(network, batch, step, this.#learningRate(step));
    } catch (thrown) {
      if (!(thrown instanceof QdgError) || thrown.code !== "runtime") throw thrown;
      throw this.#notFinite(step, thrown.where, network.firstNotFinite(batch.x), thrown);
    }
    const { loss, smoothLoss = 0 } = report;
    if (Number.isFinite(loss + smoothLoss)) return report;
    throw this.#notFinite(step, "loss", network.firstNotFinite(batch.x));
  }

  /** @param where it was first seen; @param layer the first one whose output is not finite */
  #notFinite(step: number, where: string, layer: string | null, cause?: unknown): QdgError {
    const { folder, options } = this.#parts;
    const saved = this.#saved && { step: this.#saved.step, path: folder.checkpoint };
    return notFiniteError({ step, where, layer, saved, options }, cause);
  }

  /** Statistics of batch normalization can overflow while the loss is finite still. */
  #requireFinite(arrays: readonly (readonly [name: string, data: Float32Array])[]): void {
    const broken = arrays.find(([, data]) => !data.every(Number.isFinite));
    if (broken) throw this.#notFinite(this.#progress.step, broken[0], null);
  }

  #learningRate(step: number): number {
    const { options } = this.#parts;
    const { schedule, learningRate, steps, warmup, cooldown } = options;
    const name = schedule as ScheduleName;
    return learningRateAt({ name, learningRate, steps, warmup, cooldown, cycles: cyclesOf(options) }, step);
  }

  /** Whether the run learns, by the losses so far and by what the network says of this batch. */
  #judge({ x, labels }: Batch): void {
    const found = tf.tidy(() => tf.argMax(this.#parts.network.logits(x), 1).dataSync<"int32">());
    const said = saidOf(found, labels.dataSync<"int32">());
    this.#note(this.#watch.judgeLoss(said));
  }

  #note(text: string | null): void {
    if (text !== null) this.#parts.observer.note(text);
  }

  #lookAtIntegers(): void {
    const integers = this.#parts.network.weightIntegers();
    this.#oscillation.look(
      [...integers].map(([id, tensor]) => ({ id, integers: tensor.dataSync<"float32">() })),
    );
    for (const tensor of integers.values()) tensor.dispose();
  }

  async #log(report: StepReport): Promise<void> {
    const { folder, network } = this.#parts;
    const { step, sinceLog, frozen, quantized } = this.#progress;
    const scales = quantized
      ? network.quantizers.map((quantizer) => [quantizer.id, meanOf(quantizer.learned().scale)])
      : [];
    await folder.append("log", {
      step,
      loss: meanLoss(sinceLog),
      ...(report.smoothLoss === undefined ? {} : { smoothLoss: sinceLog.smooth / sinceLog.count }),
      learningRate: this.#learningRate(step - 1),
      imagesPerSecond: this.#imagesPerSecond(),
      ...(frozen === null ? {} : { frozen }),
      scales: Object.fromEntries(scales) as Record<string, number>,
    });
    this.#progress = { ...this.#progress, sinceLog: NO_LOSSES };
    this.#stepMs = 0;
    this.#timedSteps = 0;
  }

  #imagesPerSecond(): number {
    const { options, domains } = this.#parts;
    const images = options.batchSize * domains.filter(({ role }) => role === "source").length;
    return this.#timedSteps === 0 ? 0 : (1000 * images * this.#timedSteps) / this.#stepMs;
  }

  #tell(loss: number, msPerStep: number): void {
    const { options, observer } = this.#parts;
    const { step, frozen } = this.#progress;
    const { steps } = options;
    const secondsLeft = ((steps - step) * msPerStep) / 1000;
    observer.stepped({
      step,
      steps,
      loss,
      learningRate: this.#learningRate(step - 1),
      imagesPerSecond: this.#imagesPerSecond(),
      frozen,
      secondsLeft,
    });
  }

  #isEvaluationDue(): boolean {
    const { step, last } = this.#progress;
    const { evalEvery, options } = this.#parts;
    return (step % evalEvery === 0 || step === options.steps) && last?.step !== step;
  }

  /** Changes nothing when the signal comes meanwhile: it is due still, also for a run that goes on. */
  async #evaluate(): Promise<void> {
    const { network, batches } = this.#parts;
    const { step, quantized } = this.#progress;
    const averaging = step === 0 ? null : this.#averaging;
    if (averaging && !(await averaging.decide(step, quantized))) return;
    const putBack: (() => void)[] = [];
    try {
      const putWeightsBack = averaging?.apply();
      if (putWeightsBack) putBack.push(putWeightsBack);
      if (quantized || putWeightsBack) putBack.push(await deployedStatistics(network, batches, step));
      await this.#evaluateAsItStands(putWeightsBack ? averaging?.count : undefined);
    } finally {
      for (const each of putBack) each();
    }
  }

  /** @param averagedSteps steps that the weights are the average of */
  async #evaluateAsItStands(averagedSteps?: number): Promise<void> {
    const { folder, network, observer, options, batches } = this.#parts;
    const { step, quantized, sinceEvaluation } = this.#progress;
    const model = network.toModel();
    this.#requireFinite([...model.weights].map(([name, { data }]) => [name, data]));
    const domains = step === 0 ? this.#parts.domains.map(firstEvaluated) : this.#parts.domains;
    const found = await evaluateAtBits(model, options.evaluateBits, (each) =>
      this.#accuracies(each, quantized, domains),
    );
    if (!found) return;
    const { byBits } = found;
    const evaluation: Evaluation = { step, quantized, domains: found.domains, ...(byBits && { byBits }) };
    await folder.append(
      "results",
      resultLine({
        options,
        out: folder.path,
        evaluation,
        epoch: step / batches.stepsPerEpoch,
        loss: meanLoss(sinceEvaluation),
        stepSeconds:
          this.#evaluationTimedSteps === 0 ? 0 : this.#evaluationStepMs / 1000 / this.#evaluationTimedSteps,
        oscillating: this.#oscillation.fractions(),
        ...(averagedSteps !== undefined && { averagedSteps }),
      }),
    );
    this.#averaging?.decided();
    const isKept = this.#isBest(evaluation);
    const best = isKept ? { evaluation, model } : this.#progress.best;
    if (isKept && best) await this.#keep(best);
    this.#progress = {
      ...this.#progress,
      last: evaluation,
      best,
      sinceEvaluation: NO_LOSSES,
    };
    this.#evaluationStepMs = 0;
    this.#evaluationTimedSteps = 0;
    observer.evaluated(evaluation, isKept);
    // A head that nobody has trained yet may well say one class.
    if (step === 0) return;
    this.#note(this.#watch.judgeClasses({ images: imagesOf(domains), classes: found.classesSaid }));
    if (options.holdoutFraction > 0) this.#note(this.#watch.judgePlateau(evaluation));
  }

  async #accuracies(
    model: TrainableModel,
    quantized: boolean,
    domains: readonly EvaluatedDomain[],
  ): ReturnType<typeof evaluateDomains> {
    const { network, observer, options, imageSize, preprocessing, signal } = this.#parts;
    const integers = quantized ? await IntegerNetwork.create(model) : null;
    const predict = (x: tf.Tensor4D): tf.Tensor2D => (integers ? integers.predict(x) : network.logits(x));
    try {
      return await evaluateDomains(predict, domains, {
        imageSize,
        batchSize: options.evalBatch,
        preprocessing,
        onImages: (done, total) => observer.progress.report("evaluate", done, total),
        isStopped: () => signal?.aborted === true,
      });
    } finally {
      integers?.dispose();
    }
  }

  /**
   * The later of two equals. A network that has not been trained is no candidate, nor is one that is not yet quantized of
   * a quantized method.
   */
  #isBest(evaluation: Evaluation): boolean {
    const { options } = this.#parts;
    const { best } = this.#progress;
    if (evaluation.step === 0 || (!evaluation.quantized && !isFloatMethod(options))) return false;
    if (!best || options.select === "last") return true;
    return selectionAccuracy(evaluation) >= selectionAccuracy(best.evaluation);
  }

  async #save(): Promise<void> {
    const { options, folder, created, backend, datasetFacts, modelFacts, network, method, observer, write } =
      this.#parts;
    const state = network.state();
    this.#requireFinite(Object.entries(state.arrays));
    const checkpoint: RunCheckpoint = {
      created,
      options,
      backend,
      dataset: datasetFacts,
      model: modelFacts,
      progress: this.#progress,
      lines: await folder.lineSizes(),
      network: state,
      method: method.state(),
      oscillation: this.#oscillation.state(),
      averaging: this.#averaging?.state() ?? null,
    };
    await saveRunCheckpoint(folder.checkpoint, checkpoint, write);
    this.#saved = this.#progress;
    observer.saved(this.#progress.step);
  }

  /** Saves take turns between two names of the weights; the finished model has the first. */
  async #settleModel(): Promise<void> {
    const { folder } = this.#parts;
    const { best } = this.#progress;
    if (best && (await folder.hasSecondWeights())) await this.#keep(best);
  }

  async #keep({ model }: SelectedModel): Promise<void> {
    await saveModel(this.#parts.folder.path, { ...this.#parts.model, ...model }, { force: true });
  }
}

function frozenShare({ frozen }: WindowReport): number {
  const all = Object.values(frozen).flat();
  return meanOf(all);
}

function meanOf(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] as number;
  return values.length === 0 ? 0 : sum / values.length;
}
