// The parts of a run, each from the options: images, domains and their splits, the model, its quantizers, and what
// run.json says of them. Starts nothing.

import { QdgError } from "../../base/error.js";
import { VERSION } from "../../base/version.js";
import { type Recipe, recipeOf } from "../../graph/recipe.js";
import { type Preprocessing, preprocessingToJson, rangePreprocessing } from "../../image/preprocessing.js";
import { preprocessingOf } from "../../model/layers-model-metadata.js";
import { checkSourceDomains, type Dataset, type Domain, findDomains } from "../data/dataset.js";
import { some } from "../data/list-domains.js";
import { openDataset } from "../data/open-dataset.js";
import { type Split, splitDomain } from "../data/split.js";
import { builtInModel } from "../models/built-in.js";
import type { ResnetStem } from "../models/resnet18.js";
import { replaceHead } from "../replace-head.js";
import { resizeInput } from "../resize-input.js";
import {
  countWeights,
  graphOf,
  isOnnxNetwork,
  namedGraphOf,
  type TrainableModel,
} from "../trainable-model.js";
import { checkRuns } from "../check-runs.js";
import { heldOut } from "./data-defaults.js";
import type { RunFacts, TrainObserver } from "./observer.js";
import type { TrainedNetwork } from "./trainer-parts.js";
import {
  isFloatMethod,
  isForSeveralBits,
  isPretrained,
  methodOf,
  type TrainOptions,
} from "./train-options.js";

export interface RunDomain {
  readonly domain: Domain;
  readonly role: "source" | "test";
  readonly split: Split;
}

/** How pixels become the input: as asked, else as the model says, else -1..1 for a network that starts from nothing. */
export function chosenPreprocessing(options: TrainOptions, source: TrainableModel | null): Preprocessing {
  const carried = source && preprocessingOf(source);
  const chosen = options.preprocess ?? carried ?? builtInPreprocessing(options);
  const { resize } = options;
  return resize === null ? chosen : { ...chosen, resize: resize as Preprocessing["resize"] };
}

function builtInPreprocessing(options: TrainOptions): Preprocessing {
  if (!isPretrained(options)) return rangePreprocessing(-1, 1);
  throw new QdgError(
    "usage",
    "--preprocess",
    `got none, and ${options.model} does not say how pixels become its input; give the range it was trained on, for example 0,1 or -1,1 or 0,255`,
  );
}

/** @throws QdgError `usage` when the model leaves its size open, or is not square */
export function inputSize(source: TrainableModel | null, path: string): number {
  const { graph, layout } = source ? namedGraphOf(source) : { graph: null, layout: "nhwc" };
  const shape = graph?.inputs[0]?.shape;
  const [height, width] = shape?.slice(layout === "nchw" ? 2 : 1) ?? [];
  if (typeof height === "number" && height === width) return height;
  throw new QdgError(
    "usage",
    "--image-size",
    `got none, and ${path} has an input of [${shape?.join(", ")}], expected a square one; give a size such as 96`,
  );
}

/** What a trained network bears that has no batch normalization, as files have it whose exporter folded it into the weights. */
const RATE_WITHOUT_NORMALIZATION = 3e-4;

/** The default learning rate of a trained network, lower where nothing normalizes its activations; says so. */
export function rateWithoutNormalization(
  { learningRate }: TrainOptions,
  source: TrainableModel,
  observer: TrainObserver,
): number {
  const normalizes = graphOf(source).nodes.some(({ op }) => op.endsWith("Normalization"));
  if (normalizes || learningRate <= RATE_WITHOUT_NORMALIZATION) return learningRate;
  observer.note(
    `the network has no batch normalization left, and bears less: --learning-rate is ${RATE_WITHOUT_NORMALIZATION}`,
  );
  return RATE_WITHOUT_NORMALIZATION;
}

export async function openImages(
  options: TrainOptions,
  imageSize: number,
  preprocessing: Preprocessing,
  observer: TrainObserver,
): Promise<Dataset> {
  const { data, unlabeled, cache, threads, skipBroken, shapesCount } = options;
  return openDataset(
    data,
    {
      imageSize,
      resize: preprocessing.resize,
      skipBroken,
      unlabeled,
      ...(cache === null ? {} : { cacheFolder: cache === "none" ? null : cache }),
      ...(threads === null || threads === 0 ? {} : { threads }),
      ...(shapesCount === null ? {} : { shapes: { perClass: shapesCount } }),
      onNote: (note) => observer.note(note),
    },
    observer.progress,
  );
}

/**
 * All domains in the order of the set, split by seed.
 *
 * @throws QdgError `not-found` for a test domain that is none; `usage` for no source domain; `invalid-data` for a class
 * with too few images to train and to validate
 */
export function splitDomains(dataset: Dataset, options: TrainOptions): RunDomain[] {
  const { testDomain, holdoutFraction, seed, unlabeled } = options;
  const names = dataset.domains.map(({ name }) => name);
  const held = new Set(findDomains(dataset, heldOut(testDomain, names)));
  const sources = dataset.domains.filter((domain) => !held.has(domain));
  checkSourceDomains(sources);
  // Without labels, a class that the teacher says once is no mistake in the data.
  if (!unlabeled) checkClassCounts(dataset.classes, sources, holdoutFraction);
  return dataset.domains.map((domain) => ({
    domain,
    role: held.has(domain) ? "test" : "source",
    split: splitDomain(domain, holdoutFraction, seed),
  }));
}

/** Over all sources together: one image of a class would either teach it or judge it. */
function checkClassCounts(
  classes: readonly string[],
  sources: readonly Domain[],
  holdoutFraction: number,
): void {
  if (holdoutFraction === 0) return;
  const counts = classes.map(() => 0);
  for (const { labels } of sources) for (const label of labels) counts[label] = (counts[label] ?? 0) + 1;
  const lonely = classes.filter((_, label) => counts[label] === 1);
  if (lonely.length === 0) return;
  throw new QdgError(
    "invalid-data",
    `class ${some(lonely)}`,
    "got 1 image to train on, expected 2 or more, one of which validates; add images, remove the class, " +
      "or hold nothing out by --holdout-fraction 0 --select last",
  );
}

/** What is worth knowing of the domains that train. */
export function sourceNotes(domains: readonly RunDomain[], options: TrainOptions): readonly string[] {
  const sources = domains.filter(({ role }) => role === "source");
  const [only] = sources;
  if (!only || sources.length > 1 || !methodOf(options).severalDomains) return [];
  return [
    `${options.method} looks for what holds in several domains, and sees one only (${only.domain.name}): expect no more of it there than of --method ${isFloatMethod(options) ? "erm" : "lsq"}`,
  ];
}

/**
 * The network as it is before the first step.
 *
 * @throws QdgError `unsupported-model` without a head, for a size that it cannot take, or one image at a time alone; `usage` for
 * an input that takes no color images
 */
export function prepareModel(
  source: TrainableModel | null,
  options: TrainOptions,
  imageSize: number,
  classes: number,
): TrainableModel {
  const { model: name, width, stem, seed, keepHead } = options;
  if (!source) {
    return builtInModel(name, {
      imageSize,
      classes,
      seed,
      ...(width === null ? {} : { width }),
      ...(stem === null ? {} : { stem: stem as ResnetStem }),
    });
  }
  const model = replaceHead(resizeInput(source, imageSize), classes, seed, { keepHead });
  const { graph, layout } = namedGraphOf(model);
  const shape = graph.inputs[0]?.shape ?? [];
  if (shape.length !== 4 || shape[layout === "nchw" ? 1 : 3] !== 3) {
    const expected = layout === "nchw" ? "[N, 3, H, W]" : "[N, H, W, 3]";
    throw new QdgError(
      "usage",
      "--model",
      `${name} has an input of [${shape.join(", ")}], expected ${expected}: color images`,
    );
  }
  if (isOnnxNetwork(model)) checkRuns(model, imageSize, classes);
  return model;
}

/** null for a method in full precision. */
export function recipeOfRun(options: TrainOptions): Recipe | null {
  if (isForSeveralBits(options)) return [...(recipesByBits(options) ?? [])].at(-1)?.[1] ?? null;
  const { weightBits, activationBits } = options;
  if (isFloatMethod(options) || weightBits === null) return null;
  return recipeWith(options, weightBits, activationBits);
}

/** By the bits of its inner layers, ascending, of a network that is trained for several; null of any other. */
export function recipesByBits(options: TrainOptions): ReadonlyMap<number, Recipe> | null {
  if (!isForSeveralBits(options)) return null;
  const { bitSet, activationBits } = options;
  return new Map(bitSet.map((bits) => [bits, recipeWith(options, bits, activationBits ?? bits)]));
}

/** @param activationBits null where weights alone are quantized */
function recipeWith(options: TrainOptions, weightBits: number, activationBits: number | null): Recipe {
  const { firstLastBits, layerBits, signedActivations } = options;
  return recipeOf({
    weightBits,
    ...(activationBits !== null && { activationBits }),
    ...(firstLastBits !== null && { firstLastBits }),
    layers: layerBits,
    signedActivations: signedActivations as Recipe["signedActivations"],
  });
}

export function describeDomain({ domain, role, split }: RunDomain): RunFacts["domains"][number] {
  const { training, validation } = split;
  return { name: domain.name, role, training: training.length, validation: validation.length };
}

/** `run.json`. */
export function runDescription(
  facts: {
    readonly options: TrainOptions;
    readonly out: string;
    readonly created: string;
    readonly backend: { readonly name: string; readonly version: string };
    readonly preprocessing: Preprocessing;
  },
  model: TrainableModel,
  dataset: Dataset,
  domains: readonly RunDomain[],
  network: Pick<TrainedNetwork, "quantizers">,
): object {
  const { options, out, created, backend, preprocessing } = facts;
  return {
    version: 1,
    qdg: VERSION,
    created,
    options: { ...options, out },
    backend: { name: backend.name, version: backend.version },
    model: { name: options.model, parameters: countWeights(model) },
    preprocessing: preprocessingToJson(preprocessing),
    classes: dataset.classes,
    domains: domains.map(describeDomain),
    quantizers: network.quantizers.map(({ id, layer, role, spec, count }) => ({
      id,
      layer,
      role,
      bits: spec.bits,
      signed: spec.signed,
      scales: count,
    })),
  };
}
