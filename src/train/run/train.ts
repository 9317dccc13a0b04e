// A training run from its options to its result: opens what is asked for, checks it against a checkpoint where the
// run goes on, and hands it to the trainer. The parts know nothing of each other; here they meet.

import { dirname, join, resolve } from "node:path";
import { QdgError } from "../../base/error.js";
import { type BackendChoice, type UsedBackend, useBackend } from "../backends/backends.js";
import type { Augmentation } from "../data/augment.js";
import type { Batch } from "../data/batch.js";
import { BatchSource } from "../data/batch-source.js";
import { createMethod } from "../methods/create-method.js";
import type { MethodName } from "../methods/methods.js";
import { TrainingNetwork } from "../network.js";
import type { ScaleParameterization } from "../quantizers/quantizer.js";
import { countWeights, fileNameOf, loadModel } from "../trainable-model.js";
import { estimatesOf } from "./averaging.js";
import { loadRunCheckpoint, type RunCheckpoint } from "./checkpoint.js";
import type { WriteFile } from "./checkpoint-file.js";
import { completeOptions, methodOptions, resumedOptions } from "./complete-options.js";
import { withDataDefaults } from "./data-defaults.js";
import { evaluatedDomain, type Evaluation, imagesOf } from "./evaluate-domains.js";
import { estimatedImages } from "./estimated-statistics.js";
import { evaluationInterval } from "./evaluation-interval.js";
import { type OscillationSummary, oscillationSummary } from "./oscillation-summary.js";
import { learnerOf } from "./learner-of.js";
import { silentObserver, type TrainObserver } from "./observer.js";
import {
  describeDomain,
  inputSize,
  openImages,
  prepareModel,
  chosenPreprocessing,
  recipeOfRun,
  recipesByBits,
  rateWithoutNormalization,
  runDescription,
  sourceNotes,
  splitDomains,
} from "./prepare-run.js";
import { checkDataset, checkModel, datasetFacts, modelFacts } from "./run-facts.js";
import { RunFolder } from "./run-folder.js";
import { teacherOf } from "./taught-network.js";
import {
  type AskedTrainOptions,
  isForSeveralBits,
  isPretrained,
  methodOf,
  type TrainOptions,
} from "./train-options.js";
import { Trainer } from "./trainer.js";
import { labelledBy } from "./unlabeled.js";

export interface TrainRequest {
  readonly options: AskedTrainOptions;
  /** The folder of the run. */
  readonly out: string;
  /** Go on from the checkpoint in `out`; options that are not given are those of the run. */
  readonly resume?: boolean;
  /** Replace the run in `out`. */
  readonly force?: boolean;
  readonly observer?: TrainObserver;
  /** Aborted: the step is finished, a checkpoint saved. */
  readonly signal?: AbortSignal;
  /** For tests: how checkpoints are written. */
  readonly write?: WriteFile;
}

export interface TrainResult {
  /** False: stopped by the signal, and goes on with `resume`. */
  readonly finished: boolean;
  /** Steps finished. */
  readonly step: number;
  readonly steps: number;
  readonly out: string;
  readonly checkpoint: string;
  readonly backend: string;
  /** The path of the kept model; null where none has been evaluated yet. */
  readonly model: string | null;
  /** Of the kept model. */
  readonly kept: Evaluation | null;
  readonly options: TrainOptions;
  /** null where no quantized weights have been evaluated. */
  readonly oscillating: OscillationSummary | null;
}

/**
 * Trains, or goes on training.
 *
 * @throws QdgError `usage` for options; `exists`, `not-found`, `io` for the folder; `unavailable` for the backend and for
 * a folder that another process trains in;
 * `invalid-data` for images, or a checkpoint of other data, another model or a damaged one; `runtime` when training
 * diverges; and what reading and quantizing a model throws
 */
export async function train(request: TrainRequest): Promise<TrainResult> {
  const { out, resume = false, force = false, observer = silentObserver } = request;
  if (resume && force)
    throw new QdgError("usage", "--force", "replaces the run that --resume would go on with; give one");
  if (resume) await RunFolder.open(out);
  // Whether there is a run already is asked of the folder that nobody else writes to.
  else await RunFolder.check(out, true);
  const lock = await RunFolder.lock(out, (note) => observer.note(note));
  try {
    return await trainLocked(request);
  } finally {
    await lock.release();
  }
}

async function trainLocked(request: TrainRequest): Promise<TrainResult> {
  const { out, resume = false, force = false, observer = silentObserver, signal, write } = request;
  const where = join(out, "checkpoint.bin");
  let checkpoint: RunCheckpoint | null = null;
  if (resume) checkpoint = await loadRunCheckpoint((await RunFolder.open(out)).checkpoint);
  else await RunFolder.check(out, force);
  const asked = checkpoint
    ? resumedOptions(checkpoint.options, request.options, where)
    : completeOptions(await withDataDefaults(request.options));
  if (
    isPretrained(asked) &&
    [dirname(asked.model), asked.model].some((path) => resolve(path) === resolve(out))
  ) {
    throw new QdgError(
      "usage",
      "--out",
      `got the folder of --model ${asked.model}, which the run would replace; give another`,
    );
  }
  const backend = await chooseBackend(asked, request.options, checkpoint, observer);
  const backendName = nameOf(backend);

  const source = isPretrained(asked)
    ? await loadModel(asked.model, (warning) => observer.note(warning))
    : null;
  const imageSize = asked.imageSize ?? inputSize(source, asked.model);
  const preprocessing = chosenPreprocessing(asked, source);
  const images = await openImages(asked, imageSize, preprocessing, observer);
  const teacher = await teacherOf(asked, { classes: images.classes, imageSize, preprocessing });
  const dataset =
    asked.unlabeled && teacher
      ? await labelledBy(teacher, images, { preprocessing, batchSize: asked.evalBatch }, observer.progress)
      : images;
  const domains = splitDomains(dataset, asked);
  const sources = domains.filter(({ role }) => role === "source");
  const evaluated = domains.map(({ domain, role, split }) =>
    evaluatedDomain(domain, role, split, asked.evalImages),
  );
  const imagesOfAStep = sources.length * asked.batchSize;
  const evalEvery =
    asked.evalEvery ??
    evaluationInterval(
      asked.steps,
      evaluatedImages(asked, imagesOf(evaluated), imagesOfAStep),
      imagesOfAStep,
      methodOf(asked).passes ?? methodOf(asked).rule?.passes ?? 2,
    );
  const learningRate =
    checkpoint || request.options.learningRate !== undefined || !source
      ? asked.learningRate
      : rateWithoutNormalization(asked, source, observer);
  const options: TrainOptions = { ...asked, imageSize, evalEvery, learningRate };
  const model = prepareModel(source, options, imageSize, dataset.classes.length);
  // What a teacher says may differ in its last bit on another machine.
  const facts = { dataset: datasetFacts(images), model: modelFacts(model) };
  if (checkpoint) {
    checkDataset(checkpoint.dataset, facts.dataset, where);
    checkModel(checkpoint.model, facts.model, where);
  }

  const labels = asked.unlabeled ? teacher?.labels : dataset.classes;
  const byBits = recipesByBits(options);
  const network = TrainingNetwork.create(model, {
    recipe: recipeOfRun(options),
    ...(byBits && { byBits }),
    granularity: options.granularity as "channel" | "tensor",
    weightsOnly: methodOf(options).weightsOnly,
    statistics: options.statistics as "frozen" | "batch",
    scaleParameterization: options.scaleParameterization as ScaleParameterization,
    preprocessing,
    ...(labels && { labels }),
  });
  const learner = learnerOf(network, options, teacher, sources);
  for (const note of [...sourceNotes(domains, options), ...network.notes, ...(teacher?.notes ?? [])])
    observer.note(note);
  const method = createMethod<Batch>(
    options.method as MethodName,
    network.trainables,
    methodOptions(options),
  );
  const batches = new BatchSource(
    dataset,
    sources.map(({ domain, split }) => ({ domain, indices: split.training })),
    {
      batchSize: options.batchSize,
      preprocessing,
      augmentation: options.augmentation as Augmentation,
      seed: options.seed,
      ...(options.threads === null ? {} : { threads: options.threads }),
    },
  );
  try {
    const folder = checkpoint ? await RunFolder.open(out) : await RunFolder.create(out, force);
    const created = checkpoint?.created ?? new Date().toISOString();
    const trainer = new Trainer({
      options,
      folder,
      created,
      backend: backendName,
      datasetFacts: facts.dataset,
      modelFacts: facts.model,
      model,
      imageSize,
      preprocessing,
      evalEvery,
      classes: dataset.classes.length,
      domains: evaluated,
      network: learner,
      method,
      batches,
      observer,
      ...(signal && { signal }),
      ...(write && { write }),
    });
    if (checkpoint) await trainer.restore(checkpoint);
    await folder.writeRun(
      runDescription({ options, out, created, backend, preprocessing }, model, dataset, domains, learner),
    );
    observer.started({
      backend: backendName,
      ...(backend.note === undefined ? {} : { backendNote: backend.note }),
      model: options.model,
      parameters: countWeights(model),
      quantizers: learner.quantizers.length,
      classes: dataset.classes.length,
      domains: domains.map(describeDomain),
      step: trainer.progress.step,
      steps: options.steps,
    });
    const finished = await trainer.run();
    const { step, best } = trainer.progress;
    return {
      finished,
      step,
      steps: options.steps,
      out,
      checkpoint: folder.checkpoint,
      backend: backendName,
      model: best ? join(out, fileNameOf(model)) : null,
      kept: best?.evaluation ?? null,
      options,
      oscillating: await oscillationSummary(join(out, "results.jsonl"), network.trainables),
    };
  } finally {
    batches.dispose();
    method.dispose();
    learner.dispose();
  }
}

/** Those that go through the network at an evaluation, statistics included. */
function evaluatedImages(options: TrainOptions, images: number, imagesOfAStep: number): number {
  const { bitSet, evaluateBits } = options;
  const [estimates, evaluations] = isForSeveralBits(options)
    ? [bitSet.length, evaluateBits.length]
    : [estimatesOf(options), 1];
  return evaluations * images + estimates * estimatedImages(imagesOfAStep);
}

function nameOf({ name, version }: UsedBackend): string {
  return `${name} ${version}`;
}

/** A run goes on with the backend that it was started with: another computes other last bits. */
async function chooseBackend(
  { backend }: TrainOptions,
  asked: AskedTrainOptions,
  checkpoint: RunCheckpoint | null,
  observer: TrainObserver,
): Promise<UsedBackend> {
  if (!checkpoint) return useBackend(backend as BackendChoice);
  const [before = ""] = checkpoint.backend.split(" ");
  if (asked.backend !== undefined && asked.backend !== "auto" && asked.backend !== before) {
    throw new QdgError(
      "usage",
      "--backend",
      `got ${asked.backend}, but the run was started with ${before}, and numbers would differ; leave it out, or start a new run`,
    );
  }
  const used = await useBackend(before as BackendChoice);
  if (nameOf(used) !== checkpoint.backend) {
    observer.note(
      `the run was started with ${checkpoint.backend}, and goes on with ${nameOf(used)}: last bits may differ`,
    );
  }
  return used;
}
