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
import { readOnnxMetadata } from "../model/onnx-metadata.js";
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
  readonly labels: readonly string[];
  readonly inputName: string;
  readonly input: ImageInput;
  readonly output: ClassifierOutput;
}

export interface ModelChoices {
  /** In place of the labels in the files. */
  readonly labels?: readonly string[];
  /** What the numbers of the output are, in place of what the files say. */
  readonly outputKind?: ClassifierKind;
  /** Height and width where the files leave them open. */
  readonly inputSize?: readonly [number, number];
}

interface Described extends ModelFile {
  readonly source: string;
  readonly labels: readonly string[];
  readonly inputName: string;
  readonly input: ImageInput;
  readonly output: ClassifierOutput;
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
  const described: Described[] = [];
  for (const path of await onnxFiles(folder)) {
    const file = await describe(path, choices);
    if (file) described.push(file);
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

/** null for what training has written: a model to export. */
async function describe(path: string, choices: ModelChoices): Promise<Described | null> {
  const bytes = await readBytes(path);
  const model = decodeModel(bytes, path);
  const metadata = readOnnxMetadata(model.metadataProps ?? [], path);
  const { source, layout, learned } = metadata;
  if (learned) return null;
  if (!source) {
    throw new QdgError(
      "unsupported-model",
      path,
      "was not written by qdg (no qdg.source in its metadata); export the model with qdg export, or move the file away",
    );
  }
  const graph = modelToGraph(model);
  const labels =
    choices.labels ??
    stated(
      metadata.labels,
      path,
      "what its classes are called; give --labels a,b,c or --labels labels.txt, in the order of the outputs",
    );
  const preprocessing = stated(
    metadata.preprocessing,
    path,
    "how pixels become its input; export it again with --preprocess and the range it was trained on, as --preprocess 0,1",
  );
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
    device: metadata.form === "webgpu" ? "webgpu" : "wasm",
    source,
    labels,
    inputName: input.name,
    input: imageInput(
      input,
      {
        layout: stated(layout, path, "how the axes of its input are ordered; export it again"),
        preprocessing,
      },
      choices.inputSize,
    ),
    output: classifierOutput({
      outputs: graph.outputs,
      metadata,
      classes: labels.length,
      kind: choices.outputKind,
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
