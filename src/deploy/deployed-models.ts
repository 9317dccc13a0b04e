// The exported files of one model: which device each is for, what they agree on, and whether a page can use them.
// A file for the wrong device or of another model is an error here, before anything is written.

import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { errorText, QdgError } from "../base/error.js";
import { readBytes } from "../base/read-bytes.js";
import { imageInput } from "../export/samples.js";
import type { Graph, Value } from "../graph/graph.js";
import { type Preprocessing, preprocessingFromJson } from "../image/preprocessing.js";
import { type ImageInput, type Layout } from "../image/to-tensor.js";
import { decodeModel } from "../onnx/codec.js";
import { modelToGraph } from "../onnx/to-graph.js";
import type { ManifestOutput, WebDevice } from "../web/manifest.js";

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
  readonly labels: readonly string[];
  readonly inputName: string;
  readonly input: ImageInput;
  readonly output: ManifestOutput;
}

export interface ModelChoices {
  /** In place of the labels in the files. */
  readonly labels?: readonly string[];
  /** Height and width where the files leave them open. */
  readonly inputSize?: readonly [number, number];
}

interface Described extends ModelFile {
  readonly source: string;
  readonly labels: readonly string[];
  readonly inputName: string;
  readonly input: ImageInput;
  readonly output: ManifestOutput;
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
  const described = [];
  for (const path of await onnxFiles(folder)) described.push(await describe(path, choices));
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
  for (const file of described) checkAgreement(first, file);
  const { labels, inputName, input, output } = first;
  const files = described.toSorted((a, b) => a.device.localeCompare(b.device));
  return { files, labels, inputName, input, output };
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

async function describe(path: string, choices: ModelChoices): Promise<Described> {
  const bytes = await readBytes(path);
  const model = decodeModel(bytes, path);
  const metadata = new Map((model.metadataProps ?? []).map(({ key = "", value = "" }) => [key, value]));
  const source = metadata.get("qdg.source");
  if (!source) {
    throw new QdgError(
      "unsupported-model",
      path,
      "was not written by qdg (no qdg.source in its metadata); export the model with qdg export, or move the file away",
    );
  }
  const graph = modelToGraph(model);
  const labels = choices.labels ?? labelsOf(metadata.get("qdg.labels"), path);
  const layout = layoutOf(metadata.get("qdg.layout"), path);
  const preprocessing = preprocessingOf(metadata.get("qdg.preprocessing"), path);
  const [input, ...more] = graph.inputs;
  if (!input || more.length > 0 || input.dtype !== "float32") {
    const names = graph.inputs.map(({ name, dtype }) => `${name} (${dtype})`).join(", ");
    throw new QdgError(
      "unsupported-model",
      path,
      `got inputs ${names || "none"}, expected one float32 image; the page classifies images`,
    );
  }
  return {
    path,
    bytes,
    sha256: createHash("sha256").update(bytes).digest("hex"),
    device: metadata.get("qdg.form") === "webgpu" ? "webgpu" : "wasm",
    source,
    labels,
    inputName: input.name,
    input: imageInput(input, { layout, preprocessing }, choices.inputSize),
    output: outputOfLabels(graph, labels, path),
  };
}

function labelsOf(text: string | undefined, path: string): readonly string[] {
  if (text === undefined) {
    throw new QdgError(
      "unsupported-model",
      path,
      "does not say what its classes are called; give --labels a,b,c or --labels labels.txt, in the order of the outputs",
    );
  }
  const labels = parsed(text, path, "qdg.labels");
  if (Array.isArray(labels) && labels.length > 0 && labels.every((label) => typeof label === "string")) {
    return labels;
  }
  throw new QdgError(
    "invalid-data",
    `${path}: qdg.labels`,
    `got ${text.slice(0, 60)}, expected a list of names`,
  );
}

function preprocessingOf(text: string | undefined, path: string): Preprocessing {
  if (text !== undefined) {
    const where = `${path}: qdg.preprocessing`;
    return preprocessingFromJson(parsed(text, path, "qdg.preprocessing"), where);
  }
  throw new QdgError(
    "unsupported-model",
    path,
    "does not say how pixels become its input; export it again with --preprocess and the range it was trained on, as --preprocess 0,1",
  );
}

function layoutOf(text: string | undefined, path: string): Layout {
  if (text === "nhwc" || text === "nchw") return text;
  throw new QdgError(
    "invalid-data",
    `${path}: qdg.layout`,
    `got ${text ?? "nothing"}, expected nhwc or nchw; export the model again`,
  );
}

function parsed(text: string, path: string, key: string): unknown {
  try {
    return JSON.parse(text);
  } catch (thrown) {
    throw new QdgError("invalid-json", `${path}: ${key}`, `${errorText(thrown)}; export the model again`, {
      cause: thrown,
    });
  }
}

/** The one output with a number for each label. After a Softmax or a Sigmoid numbers are probabilities. */
function outputOfLabels(graph: Graph, labels: readonly string[], path: string): ManifestOutput {
  const fitting = graph.outputs.filter((output) => elementsOf(output) === labels.length);
  const [output, ...more] = fitting;
  if (output && more.length === 0) {
    const op = output.producer?.op ?? "";
    return { name: output.name, kind: ["Softmax", "Sigmoid"].includes(op) ? "probabilities" : "logits" };
  }
  const shapes = graph.outputs.map(({ name, shape }) => `${name} [${shape.join(", ")}]`).join(", ");
  throw new QdgError(
    "unsupported-model",
    path,
    `got outputs ${shapes} for ${labels.length} labels, expected one output with a number for each; give other --labels`,
  );
}

/** Elements of one sample, whatever the batch; null where a size is open. */
function elementsOf({ shape }: Value): number | null {
  let count = 1;
  for (const dim of shape.slice(1)) {
    if (typeof dim !== "number" || dim < 1) return null;
    count *= dim;
  }
  return shape.length < 2 ? null : count;
}

function checkAgreement(first: Described, other: Described): void {
  const facts: readonly (readonly [what: string, of: (file: Described) => unknown])[] = [
    ["models (qdg.source)", ({ source }) => source.slice(0, 12)],
    ["labels", ({ labels }) => labels],
    ["inputs", ({ inputName, input }) => ({ name: inputName, ...input })],
    ["outputs", ({ output }) => output],
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
