// The exported files of one model: which device each is for, what they agree on, and whether a page can use them.
// A file for the wrong device or of another model is an error here, before anything is written.

import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { errorText, QdgError } from "../base/error.js";
import { readBytes } from "../base/read-bytes.js";
import { imageInput } from "../export/samples.js";
import type { ImageInput } from "../image/to-tensor.js";
import {
  type ClassifierKind,
  type ClassifierOutput,
  classifierOutput,
  OUTPUT_KIND_OPTION,
} from "../model/classifier-output.js";
import type { Graph } from "../graph/graph.js";
import { type OnnxMetadata, readOnnxMetadata } from "../model/onnx-metadata.js";
import { decodeModel } from "../onnx/codec.js";
import { modelToGraph } from "../onnx/to-graph.js";
import type { WebDevice } from "../web/manifest.js";

/** One .onnx file, read and checked. */
export interface ModelFile {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly sha256: string;
  readonly device: WebDevice;
}

/** All files of a model, and what they agree on. */
export interface DeployedModels {
  /** The one for WebAssembly first; it is always there. */
  readonly files: readonly ModelFile[];
  /** null for a network that classifies no images: the page feeds it numbers. */
  readonly classifier: ImageClassifier | null;
  /** Of `files[0]`. */
  readonly metadata: OnnxMetadata;
  /** The same network in float32, where it is to be compared with. */
  readonly float32: ModelFile | null;
}

/** How pictures become the input, and the output becomes classes. */
export interface ImageClassifier {
  readonly labels: readonly string[];
  readonly inputName: string;
  readonly input: ImageInput;
  readonly output: ClassifierOutput;
}

export interface ModelChoices {
  /** The folder also holds the network in float32, for visitors to compare with. */
  readonly compare?: boolean;
  /** In place of the labels in the files. */
  readonly labels?: readonly string[];
  /** What the numbers of the output are, in place of what the files say. */
  readonly outputKind?: ClassifierKind;
  /** Height and width where the files leave them open. */
  readonly inputSize?: readonly [number, number];
}

interface Described extends ModelFile {
  readonly source: string;
  readonly metadata: OnnxMetadata;
  readonly classifier: ImageClassifier | null;
}

/**
 * Reads the .onnx files of a folder.
 *
 * @throws QdgError `not-found` for a folder without any; `invalid-onnx`; `unsupported-model` for a file that a page
 * cannot use, two for one device, none for WebAssembly, or files of different models, each with what to do
 */
export async function readDeployedModels(
  folder: string,
  choices: ModelChoices = {},
): Promise<DeployedModels> {
  const all: Described[] = [];
  for (const path of await onnxFiles(folder)) {
    const file = await describe(path, choices);
    if (file) all.push(file);
  }
  const isFloat32 = ({ metadata }: Described): boolean => choices.compare === true && metadata.form === null;
  const described = all.filter((file) => !isFloat32(file));
  const [float32, ...more] = all.filter(isFloat32);
  if (choices.compare && (!float32 || more.length > 0)) {
    throw new QdgError(
      "unsupported-model",
      folder,
      `--compare: got ${float32 ? all.filter(isFloat32).length : "no"} float32 files, expected one; qdg export model.json --float -o ${join(folder, "model.float32.onnx")} writes it`,
    );
  }
  for (const [i, file] of described.entries()) {
    const other = described.slice(0, i).find(({ device }) => device === file.device);
    if (!other) continue;
    throw new QdgError(
      "unsupported-model",
      folder,
      `got ${basename(other.path)} and ${basename(file.path)}, both for ${file.device}, expected one; move the other away`,
    );
  }
  const first = described.find(({ device }) => device === "wasm");
  if (!first) {
    throw new QdgError(
      "unsupported-model",
      folder,
      "has no file for WebAssembly, which the page needs where there is no WebGPU; qdg export --target wasm,webgpu writes both",
    );
  }
  for (const file of all) checkAgreement(first, file);
  const { classifier, metadata } = first;
  const files = described.toSorted((a, b) => a.device.localeCompare(b.device));
  return { files, classifier, metadata, float32: float32 ?? null };
}

async function onnxFiles(folder: string): Promise<string[]> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (thrown) {
    throw new QdgError("not-found", folder, `is no folder that can be read: ${errorText(thrown)}`, {
      cause: thrown,
    });
  }
  const paths = names
    .filter((name) => name.toLowerCase().endsWith(".onnx"))
    .map((name) => join(folder, name));
  if (paths.length > 0) return paths.sort();
  throw new QdgError(
    "not-found",
    folder,
    `holds no .onnx file; write one with qdg export model.json --target wasm -o ${join(folder, "model.onnx")}`,
  );
}

/** null for what training has written: a model to export. */
async function describe(path: string, choices: ModelChoices): Promise<Described | null> {
  const bytes = await readBytes(path);
  const model = decodeModel(bytes, path);
  const metadata = readOnnxMetadata(model.metadataProps ?? [], path);
  const { source, learned } = metadata;
  if (learned) return null;
  if (!source) {
    throw new QdgError(
      "unsupported-model",
      path,
      "was not written by qdg (no qdg.source in its metadata); export the model with qdg export, or move the file away",
    );
  }
  const labels = choices.labels ?? metadata.labels;
  return {
    path,
    bytes,
    sha256: createHash("sha256").update(bytes).digest("hex"),
    device: metadata.form === "webgpu" ? "webgpu" : "wasm",
    source,
    metadata,
    classifier: labels && classifierOf(modelToGraph(model), metadata, labels, choices, path),
  };
}

function classifierOf(
  graph: Graph,
  metadata: OnnxMetadata,
  labels: readonly string[],
  { outputKind, inputSize }: ModelChoices,
  path: string,
): ImageClassifier {
  const preprocessing = stated(
    metadata.preprocessing,
    path,
    "how pixels become its input; export it again with --preprocess and the range it was trained on, as --preprocess 0,1",
  );
  const layout = stated(metadata.layout, path, "how the axes of its input are ordered; export it again");
  const [input, ...more] = graph.inputs;
  if (!input || more.length > 0 || input.dtype !== "float32") {
    const names = graph.inputs.map(({ name, dtype }) => `${name} (${dtype})`).join(", ");
    throw new QdgError(
      "unsupported-model",
      path,
      `got inputs ${names || "none"}, expected one float32 image, since it has labels of classes; the page classifies images`,
    );
  }
  return {
    labels,
    inputName: input.name,
    input: imageInput(input, { layout, preprocessing }, inputSize),
    output: classifierOutput({
      outputs: graph.outputs,
      metadata,
      classes: labels.length,
      kind: outputKind,
      where: path,
      option: OUTPUT_KIND_OPTION,
    }),
  };
}

/** @throws QdgError `unsupported-model` for a fact that the file does not state */
function stated<T>(fact: T | null, path: string, what: string): T {
  if (fact !== null) return fact;
  throw new QdgError("unsupported-model", path, `does not say ${what}`);
}

function checkAgreement(first: Described, other: Described): void {
  const facts: readonly (readonly [what: string, of: (file: Described) => unknown])[] = [
    ["models (qdg.source)", ({ source }) => source.slice(0, 12)],
    ["labels", ({ classifier }) => classifier?.labels ?? null],
    ["inputs", ({ classifier }) => classifier && { name: classifier.inputName, ...classifier.input }],
    ["outputs", ({ classifier }) => classifier?.output ?? null],
  ];
  for (const [what, of] of facts) {
    const [one, two] = [JSON.stringify(of(first)), JSON.stringify(of(other))];
    if (one === two) continue;
    throw new QdgError(
      "unsupported-model",
      other.path,
      `and ${basename(first.path)} are of different ${what}: ${two.slice(0, 120)} and ${one.slice(0, 120)}; export both at once with --target wasm,webgpu`,
    );
  }
}
