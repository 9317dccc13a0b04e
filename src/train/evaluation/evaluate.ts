// `qdg evaluate` as a function: accuracy of classifiers by domain and class on each target, of several files also
// together, and whether the targets of a file agree on every image.

import { QdgError } from "../../base/error.js";
import { noProgress, type Progress } from "../../base/progress.js";
import { largest } from "../../model/classification.js";
import type { ClassifierKind } from "../../model/classifier-output.js";
import type { BrowserOptions, RuntimeName } from "../../runtime/runtime.js";
import { type Dataset, type Domain, findDomains } from "../data/dataset.js";
import { openDataset, type OpenOptions } from "../data/open-dataset.js";
import { type Classifier, type ClassifierOptions, openClassifier } from "./classifier.js";
import { type ChosenImages, predict, type Predictions } from "./predict.js";
import { type Score, scoreOf } from "./score.js";

export interface EvaluateOptions
  extends ClassifierOptions, Pick<OpenOptions, "cacheFolder" | "skipBroken" | "shapes" | "onNote"> {
  /** model.json or .onnx files. */
  readonly models: readonly string[];
  /** A folder class/image or domain/class/image, or a drawn set: shapes-dg, digits-drawn. */
  readonly data: string;
  readonly targets: readonly RuntimeName[];
  /** Names of domains; all when absent. */
  readonly domains?: readonly string[];
  /** Images a domain at most, as many of each class as can be. */
  readonly limit?: number;
  readonly runtimeOptions?: BrowserOptions;
}

export interface TargetEvaluation extends Score {
  readonly target: RuntimeName;
  readonly version: string;
  /** What ran: the float network of a model.json, or integers. */
  readonly network: "float" | "quantized";
}

export interface EnsembleEvaluation extends Score {
  readonly target: RuntimeName;
}

/** Whether targets that run the same bytes predict the same class for every image. */
export interface Agreement {
  readonly targets: readonly RuntimeName[];
  /** Images on which not all of them agree. */
  readonly differing: number;
  /** Paths of the first of them. */
  readonly examples: readonly string[];
}

export interface ModelEvaluation {
  readonly path: string;
  /** What the numbers of its output are. */
  readonly outputKind: ClassifierKind;
  readonly targets: readonly TargetEvaluation[];
  /** null with fewer than two targets that run the same bytes. */
  readonly agreement: Agreement | null;
}

export interface Evaluation {
  readonly data: string;
  readonly classes: readonly string[];
  readonly images: number;
  readonly models: readonly ModelEvaluation[];
  /** Probabilities of all files averaged, on each target; null for one file. */
  readonly ensemble: readonly EnsembleEvaluation[] | null;
  /** false when two targets of a quantized file differ on an image. */
  readonly agrees: boolean;
  readonly notes: readonly string[];
}

const EXAMPLES = 5;

/**
 * @throws QdgError `usage` for no files, other classes than the data's, a limit below 1; what opening files and data
 * and running them throw
 */
export async function evaluate(
  options: EvaluateOptions,
  progress: Progress = noProgress,
): Promise<Evaluation> {
  const { models, targets } = options;
  if (models.length === 0)
    throw new QdgError("usage", "models", "got none, expected a model.json or .onnx file");
  const classifiers: Classifier[] = [];
  try {
    for (const path of models) classifiers.push(await openClassifier(path, targets, options, progress));
    return await evaluateAll(classifiers, options, progress);
  } finally {
    for (const classifier of classifiers) await classifier.dispose();
  }
}

async function evaluateAll(
  classifiers: readonly Classifier[],
  options: EvaluateOptions,
  progress: Progress,
): Promise<Evaluation> {
  const { targets } = options;
  const sets = new DataSets(options, progress);
  const notes: string[] = [];
  const sums = new Map<RuntimeName, Float64Array>();
  const models: ModelEvaluation[] = [];
  let first: { readonly classes: readonly string[]; readonly images: readonly ChosenImages[] } | null = null;
  for (const classifier of classifiers) {
    const dataset = await sets.open(classifier);
    const images = chooseImages(dataset, options);
    first ??= { classes: dataset.classes, images };
    checkSameImages(first.images, images, classifier);
    const columns = columnsOf(classifier, dataset.classes, notes);
    const runs = new Map<RuntimeName, Predictions>();
    const total = countOf(images);
    for (const target of targets) {
      const stage = `${target}, ${classifier.path}`;
      const report = (done: number): void => progress.report(stage, done, total);
      const predictions = await predict(classifier, target, images, columns, report, options.runtimeOptions);
      const sum = sums.get(target) ?? new Float64Array(predictions.probabilities.length);
      predictions.probabilities.forEach((share, i) => (sum[i] = (sum[i] as number) + share));
      sums.set(target, sum);
      runs.set(target, predictions);
    }
    models.push(modelEvaluation(classifier, dataset.classes, images, runs));
  }
  if (!first) throw new QdgError("internal", "evaluate", "no model was evaluated");
  const { classes, images } = first;
  return {
    data: options.data,
    classes,
    images: countOf(images),
    models,
    ensemble: classifiers.length < 2 ? null : ensembleOf(classes, images, sums),
    agrees: models.every(
      ({ agreement }, i) => classifiers[i]?.quantized !== true || (agreement?.differing ?? 0) === 0,
    ),
    notes,
  };
}

/** Pixels by the size and the cut that files ask for: files of one kind share them. */
class DataSets {
  readonly #options: EvaluateOptions;
  readonly #progress: Progress;
  readonly #open = new Map<string, Promise<Dataset>>();

  constructor(options: EvaluateOptions, progress: Progress) {
    this.#options = options;
    this.#progress = progress;
  }

  open({ input }: Classifier): Promise<Dataset> {
    const { resize } = input.preprocessing;
    const key = `${input.height} ${resize}`;
    const { data, cacheFolder, skipBroken, shapes, onNote } = this.#options;
    const found =
      this.#open.get(key) ??
      openDataset(
        data,
        {
          imageSize: input.height,
          resize,
          ...(cacheFolder !== undefined && { cacheFolder }),
          ...(skipBroken !== undefined && { skipBroken }),
          ...(shapes && { shapes }),
          ...(onNote && { onNote }),
        },
        this.#progress,
      );
    this.#open.set(key, found);
    return found;
  }
}

function chooseImages(dataset: Dataset, { domains, limit }: EvaluateOptions): ChosenImages[] {
  if (limit !== undefined && !(Number.isInteger(limit) && limit >= 1)) {
    throw new QdgError("usage", "limit", `got ${limit}, expected a whole number >= 1`);
  }
  const chosen = domains ? findDomains(dataset, domains) : dataset.domains;
  return chosen.map((domain) => ({ domain, indices: spreadIndices(domain, limit ?? domain.count) }));
}

/** As many of each class as can be, spread evenly over its images. */
function spreadIndices({ count, labels }: Domain, limit: number): Uint32Array {
  if (limit >= count) return Uint32Array.from({ length: count }, (_, i) => i);
  const byClass = new Map<number, number[]>();
  labels.forEach((label, i) => {
    const list = byClass.get(label);
    if (list) list.push(i);
    else byClass.set(label, [i]);
  });
  // Small classes first: what they lack of their share goes to the larger ones.
  const ordered = [...byClass.values()].sort((a, b) => a.length - b.length);
  let open = limit;
  const chosen = ordered.flatMap((indices, k) => {
    const wanted = Math.min(indices.length, Math.floor(open / (ordered.length - k)));
    open -= wanted;
    return Array.from(
      { length: wanted },
      (_, i) => indices[Math.floor(((i + 0.5) * indices.length) / wanted)] as number,
    );
  });
  return Uint32Array.from(chosen).sort();
}

/** What is too small for one size of input and left out may be large enough for another. */
function checkSameImages(
  first: readonly ChosenImages[],
  images: readonly ChosenImages[],
  { path }: Classifier,
): void {
  if (first === images || pathsOf(first).join("\n") === pathsOf(images).join("\n")) return;
  throw new QdgError(
    "invalid-data",
    path,
    "images that can be used are other ones at its input size than at the first file's; mend or remove broken and small ones, or evaluate the files one at a time",
  );
}

function pathsOf(images: readonly ChosenImages[]): string[] {
  return images.flatMap(({ domain, indices }) => Array.from(indices, (index) => domain.files[index] ?? ""));
}

function countOf(images: readonly ChosenImages[]): number {
  return images.reduce((sum, { indices }) => sum + indices.length, 0);
}

/**
 * Output k of the file -> class of the data, by name.
 *
 * @throws QdgError `usage` when the names are not the same
 */
function columnsOf(classifier: Classifier, classes: readonly string[], notes: string[]): number[] {
  const { path, labels } = classifier;
  if (!labels) {
    notes.push(`${path} does not name its classes: they are taken to be those of the data in their order`);
    return classes.map((_, k) => k);
  }
  const columns = labels.map((label) => classes.indexOf(label));
  if (labels.length === classes.length && new Set(columns).size === classes.length && !columns.includes(-1)) {
    return columns;
  }
  throw new QdgError(
    "usage",
    path,
    `has the classes ${labels.join(", ")}, the data has ${classes.join(", ")}; give the data it was trained for, or its names in order with --labels`,
  );
}

function modelEvaluation(
  classifier: Classifier,
  classes: readonly string[],
  images: readonly ChosenImages[],
  runs: ReadonlyMap<RuntimeName, Predictions>,
): ModelEvaluation {
  const same = [...runs].filter(([target]) => target !== "float");
  const targets: TargetEvaluation[] = [];
  for (const [target, { version, classes: predicted }] of runs) {
    const network = target !== "float" && classifier.quantized ? "quantized" : "float";
    targets.push({ target, version, network, ...scoreOf(classes, labelled(images), predicted) });
  }
  return {
    path: classifier.path,
    outputKind: classifier.output.kind,
    targets,
    agreement: same.length < 2 ? null : agreementOf(images, same),
  };
}

function agreementOf(
  images: readonly ChosenImages[],
  runs: readonly (readonly [RuntimeName, Predictions])[],
): Agreement {
  const [[, reference] = ["cpu", null] as const, ...others] = runs;
  const differing = pathsOf(images).filter((_, i) =>
    others.some(([, { classes }]) => classes[i] !== reference?.classes[i]),
  );
  return {
    targets: runs.map(([target]) => target),
    differing: differing.length,
    examples: differing.slice(0, EXAMPLES),
  };
}

function ensembleOf(
  classes: readonly string[],
  images: readonly ChosenImages[],
  sums: ReadonlyMap<RuntimeName, Float64Array>,
): EnsembleEvaluation[] {
  const K = classes.length;
  const evaluations: EnsembleEvaluation[] = [];
  for (const [target, sum] of sums) {
    // The largest of the sums is the largest of the means.
    const predicted = Uint16Array.from({ length: sum.length / K }, (_, n) =>
      largest(sum.subarray(n * K, (n + 1) * K)),
    );
    evaluations.push({ target, ...scoreOf(classes, labelled(images), predicted) });
  }
  return evaluations;
}

function labelled(images: readonly ChosenImages[]): { name: string; labels: Uint16Array }[] {
  return images.map(({ domain, indices }) => ({
    name: domain.name,
    labels: Uint16Array.from(indices, (index) => domain.labels[index] as number),
  }));
}
