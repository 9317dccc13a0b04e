// A file as a classifier of images: what it is fed, what its outputs are called, whether they are probabilities yet,
// and what each target opens. All of it is read off the file; options win where a caller gives them.

import { dirname, join } from "node:path";
import { QdgError } from "../../base/error.js";
import { readBytes } from "../../base/read-bytes.js";
import { temporaryFolder } from "../../base/temporaries.js";
import type { Progress } from "../../base/progress.js";
import { exportModel } from "../../export/export-model.js";
import { type ImageFacts, imageInput } from "../../export/samples.js";
import type { Graph } from "../../graph/graph.js";
import type { Preprocessing } from "../../image/preprocessing.js";
import type { ImageInput, Layout } from "../../image/to-tensor.js";
import {
  type ClassifierKind,
  type ClassifierOutput,
  classifierOutput,
  OUTPUT_KIND_OPTION,
} from "../../model/classifier-output.js";
import { layersModelMetadata } from "../../model/layers-model-metadata.js";
import { type OnnxMetadata, readOnnxMetadata } from "../../model/onnx-metadata.js";
import { decodeModel } from "../../onnx/codec.js";
import { modelToGraph } from "../../onnx/to-graph.js";
import { parseLearned } from "../../quant/learned.js";
import { modelPath } from "../../read/model-path.js";
import { readModel } from "../../read/read-model.js";
import { type RuntimeName, RUNTIMES } from "../../runtime/runtime.js";

/** What wins over what the file says. */
export interface ClassifierOptions {
  readonly preprocessing?: Preprocessing;
  readonly layout?: Layout;
  /** What the numbers of the output are. */
  readonly outputKind?: ClassifierKind;
  readonly labels?: readonly string[];
  /** Height and width where the file leaves them open. */
  readonly inputSize?: readonly [number, number];
}

export interface Classifier {
  /** As it was given. */
  readonly path: string;
  readonly input: ImageInput;
  /** Names of the outputs in order; null where nothing says them. */
  readonly labels: readonly string[] | null;
  readonly output: ClassifierOutput;
  /** Whether its activations are integers, so that every runtime computes the same. */
  readonly quantized: boolean;
  /** What a target opens: for tfjs the model.json, for others an ONNX file, exported where that is not what was given. */
  pathFor(target: RuntimeName): string;
  /** Removes what was exported. */
  dispose(): Promise<void>;
}

/**
 * Opens a model.json or an .onnx file.
 *
 * @param targets a model.json is exported, with its learned scales and to a folder that dispose removes, when there
 * is another than tfjs
 * @throws QdgError `usage` for a file of neither kind, a target that cannot run it, a model without learned scales
 * that would need them, an input that is no square image; what reading and exporting throw
 */
export async function openClassifier(
  path: string,
  targets: readonly RuntimeName[],
  options: ClassifierOptions,
  progress: Progress,
): Promise<Classifier> {
  const found = await modelPath(path);
  return found.kind === "onnx"
    ? openOnnx(found.path, targets, options)
    : openLayersModel(found.path, targets, options, progress);
}

async function openOnnx(
  path: string,
  targets: readonly RuntimeName[],
  options: ClassifierOptions,
): Promise<Classifier> {
  if (targets.includes("tfjs")) {
    throw new QdgError(
      "usage",
      "--targets",
      `tfjs runs the float network of a model.json, not ${path}; leave tfjs out, or give the model.json`,
    );
  }
  const model = decodeModel(await readBytes(path), path);
  const graph = modelToGraph(model, { folder: dirname(path) });
  const metadata = readOnnxMetadata(model.metadataProps ?? [], path);
  const facts = {
    layout: options.layout ?? metadata.layout,
    preprocessing: options.preprocessing ?? metadata.preprocessing,
  };
  const labels = options.labels ?? metadata.labels;
  return {
    path,
    input: squareInput(path, graph, facts, options),
    labels,
    output: outputOf(path, graph, metadata, labels, options),
    quantized: isQuantized(metadata, graph),
    pathFor: () => path,
    dispose: () => Promise.resolve(),
  };
}

async function openLayersModel(
  path: string,
  targets: readonly RuntimeName[],
  options: ClassifierOptions,
  progress: Progress,
): Promise<Classifier> {
  const model = await readModel(path);
  const { graph } = model;
  const learned = parseLearned(model.userDefinedMetadata);
  const stated = layersModelMetadata(model, path);
  const preprocessing = options.preprocessing ?? stated.preprocessing;
  const labels = options.labels ?? stated.labels;
  const float = {
    path,
    input: squareInput(path, graph, { layout: "nhwc", preprocessing }, options),
    labels,
    output: outputOf(path, graph, null, labels, options),
  };
  const others = targets.filter((target) => target !== "tfjs");
  if (others.length === 0) {
    return { ...float, quantized: false, pathFor: () => path, dispose: () => Promise.resolve() };
  }
  if (!learned || learned.quantizers.size === 0) {
    throw new QdgError(
      "usage",
      path,
      `has no learned scales, which ${others.join(", ")} would run; export it with qdg-export --bits and evaluate the .onnx, or take --targets tfjs for the float network`,
    );
  }
  const folder = await temporaryFolder("qdg-evaluate-");
  try {
    const output = join(folder.path, "model.onnx");
    const gpu = others.some((target) => RUNTIMES[target].gpu) ? (["webgpu"] as const) : [];
    const { files } = await exportModel(
      { model: path, output, targets: ["cpu", "wasm", ...gpu], ...(preprocessing && { preprocessing }) },
      progress,
    );
    const gpuFile = files.find(({ form }) => form === "webgpu")?.path ?? output;
    const exported = await openOnnx(output, others, options);
    return {
      ...float,
      quantized: exported.quantized,
      pathFor: (target) => (target === "tfjs" ? path : RUNTIMES[target].gpu ? gpuFile : output),
      dispose: () => folder.remove(),
    };
  } catch (thrown) {
    await folder.remove();
    throw thrown;
  }
}

/** The one input as a square image. */
function squareInput(
  path: string,
  graph: Graph,
  facts: ImageFacts,
  { inputSize }: ClassifierOptions,
): ImageInput {
  const [value, ...rest] = graph.inputs;
  if (!value || rest.length > 0) {
    throw new QdgError("usage", path, `has ${graph.inputs.length} inputs, expected one that takes images`);
  }
  const input = imageInput(value, facts, inputSize);
  if (input.height === input.width) return input;
  throw new QdgError("usage", path, `takes images of ${input.height} x ${input.width}, expected square ones`);
}

function outputOf(
  path: string,
  { outputs }: Graph,
  metadata: OnnxMetadata | null,
  labels: readonly string[] | null,
  { outputKind: kind }: ClassifierOptions,
): ClassifierOutput {
  const classes = labels?.length ?? null;
  return classifierOutput({ outputs, metadata, classes, kind, where: path, option: OUTPUT_KIND_OPTION });
}

/** By the file alone: it quantizes activations, or lists those that it carries as whole floats. */
function isQuantized({ quantized }: OnnxMetadata, graph: Graph): boolean {
  return (quantized ?? []).length > 0 || graph.nodes.some(({ op }) => op === "QuantizeLinear");
}
