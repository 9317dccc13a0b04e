// `qdg run` as a function: images one after the other through one file, or several whose probabilities are averaged. A
// result leaves as soon as it is there; an image that cannot be read is a result too, never left out in silence.

import { stat } from "node:fs/promises";
import { QdgError } from "../base/error.js";
import { readBytes } from "../base/read-bytes.js";
import { imageInput } from "../export/samples.js";
import { decodeImage } from "../image/decode.js";
import { listImages } from "../image/folder.js";
import type { Image } from "../image/image.js";
import type { Preprocessing } from "../image/preprocessing.js";
import { type ImageInput, imageToTensor, type Layout } from "../image/to-tensor.js";
import { type Classification, classificationOf, probabilitiesOf } from "../model/classification.js";
import {
  type ClassifierKind,
  type ClassifierOutput,
  classifierOutput,
  OUTPUT_KIND_OPTION,
} from "../model/classifier-output.js";
import { readOnnxMetadata } from "../model/onnx-metadata.js";
import { decodeModel } from "../onnx/codec.js";
import { modelToGraph } from "../onnx/to-graph.js";
import { onnxPath } from "../read/model-path.js";
import { requireAvailable, runtimeOf } from "../runtime/registry.js";
import { withExternalData } from "../onnx/whole-model.js";
import type { BrowserOptions, RuntimeName, Session } from "../runtime/runtime.js";

export interface ClassifyOptions {
  /** .onnx files with the same classes. */
  readonly models: readonly string[];
  /** Files and folders of images. */
  readonly images: readonly string[];
  readonly target: RuntimeName;
  /** Most probable classes to name; {@link DEFAULT_TOP} when absent. */
  readonly top?: number;
  /** Instead of what the file says. */
  readonly preprocessing?: Preprocessing;
  readonly layout?: Layout;
  readonly labels?: readonly string[];
  readonly outputKind?: ClassifierKind;
  /** Height and width where the file leaves them open. */
  readonly inputSize?: readonly [number, number];
  readonly runtimeOptions?: BrowserOptions;
}

/** What `classify` of qdg/web gives, with the file and the names of the most probable classes. */
export interface ClassifiedImage extends Classification {
  readonly file: string;
  /** The most probable classes first. */
  readonly top: readonly (readonly [label: string, probability: number])[];
}

export const DEFAULT_TOP = 5;

export interface BrokenFile {
  readonly file: string;
  readonly error: string;
}

/**
 * Results in the order of the files, those of a folder by their paths.
 *
 * @throws QdgError `usage` for a file that is no classifier of images, or does not say what it needs; `unavailable` for
 * the target; what runtimes throw. Not for a broken image.
 */
export async function* classifyImages(
  options: ClassifyOptions,
): AsyncGenerator<ClassifiedImage | BrokenFile, void, undefined> {
  const { models, images, target, top = DEFAULT_TOP } = options;
  const opened: OpenModel[] = [];
  try {
    for (const path of models) opened.push(await openModel(path, target, options));
    const labels = commonLabels(opened);
    for await (const file of filesOf(images)) {
      let image: Image;
      try {
        image = await decodeImage(file);
      } catch (thrown) {
        if (!(thrown instanceof QdgError) || !["invalid-data", "not-found", "io"].includes(thrown.code))
          throw thrown;
        yield { file, error: thrown.message };
        continue;
      }
      const started = performance.now();
      const mean = labels.map(() => 0);
      for (const model of opened) {
        const probabilities = await probabilitiesFor(image, model, labels.length);
        probabilities.forEach((p, k) => (mean[k] = (mean[k] as number) + p / opened.length));
      }
      const classification = classificationOf(mean, labels, performance.now() - started);
      const ranked = labels
        .map((name, k) => [name, mean[k] as number] as const)
        .sort(([, a], [, b]) => b - a);
      yield { file, ...classification, top: ranked.slice(0, top) };
    }
  } finally {
    for (const { session } of opened) await session.dispose();
  }
}

interface OpenModel {
  readonly path: string;
  readonly session: Session;
  readonly input: ImageInput;
  readonly inputName: string;
  readonly output: ClassifierOutput;
  readonly labels: readonly string[];
}

async function openModel(given: string, target: RuntimeName, options: ClassifyOptions): Promise<OpenModel> {
  const path = await onnxPath(given, "run");
  const model = decodeModel(withExternalData(await readBytes(path), path), path);
  const graph = modelToGraph(model);
  const [value, ...others] = graph.inputs;
  if (!value || others.length > 0) {
    throw new QdgError("usage", path, `has ${graph.inputs.length} inputs, expected one that takes images`);
  }
  const metadata = readOnnxMetadata(model.metadataProps ?? [], path);
  const facts = {
    layout: options.layout ?? metadata.layout,
    preprocessing: options.preprocessing ?? metadata.preprocessing,
  };
  const input = imageInput(value, facts, options.inputSize);
  const labels = options.labels ?? metadata.labels;
  if (!labels) {
    throw new QdgError(
      "usage",
      path,
      "does not name its classes; give them in the order of the output with --labels",
    );
  }
  const output = classifierOutput({
    outputs: graph.outputs,
    metadata,
    classes: labels.length,
    kind: options.outputKind,
    where: path,
    option: OUTPUT_KIND_OPTION,
  });
  const runtime = await runtimeOf(target);
  await requireAvailable(runtime, options.runtimeOptions);
  const session = await runtime.open({ path }, options.runtimeOptions);
  return { path, session, input, inputName: value.name, output, labels };
}

function commonLabels(models: readonly OpenModel[]): readonly string[] {
  const [first, ...rest] = models;
  if (!first) throw new QdgError("usage", "qdg run", "got no .onnx file, expected one or more");
  if (new Set(first.labels).size < first.labels.length) {
    throw new QdgError(
      "usage",
      first.path,
      `has two classes of one name among ${first.labels.join(", ")}; name them with --labels`,
    );
  }
  for (const { path, labels } of rest) {
    if (labels.length === first.labels.length && labels.every((label, k) => label === first.labels[k]))
      continue;
    throw new QdgError(
      "usage",
      path,
      `has the classes ${labels.join(", ")}, expected ${first.labels.join(", ")} as ${first.path}; average files of the same classes`,
    );
  }
  return first.labels;
}

async function probabilitiesFor(image: Image, model: OpenModel, labels: number): Promise<number[]> {
  const { session, input, inputName, output, path } = model;
  const results = await session.run({ [inputName]: imageToTensor(image, input) });
  return probabilitiesOf(results[output.name], output.kind, labels, path);
}

async function* filesOf(paths: readonly string[]): AsyncGenerator<string, void, undefined> {
  for (const path of paths) {
    // What is not there is for the decoder to say, in its turn.
    const found = await stat(path).catch(() => null);
    if (found?.isDirectory()) yield* (await listImages(path)).map((entry) => entry.path);
    else yield path;
  }
}
