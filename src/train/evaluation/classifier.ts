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
import { type OnnxMetadata, readOnnxMetadata } from "../../model/onnx-metadata.js";
import { decodeModel } from "../../onnx/codec.js";
import { dataIn } from "../../onnx/external-data.js";
import { modelToGraph } from "../../onnx/to-graph.js";
import { openModel } from "../../open/open-model.js";
import { bitsInWords, bitsLearned } from "../../quant/learned-bits.js";
import { modelPath } from "../../read/model-path.js";
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
  /** What a target opens: for float what was given, for others an ONNX file, exported where that is not what was given. */
  pathFor(target: RuntimeName): string;
  /** Removes what was exported. */
  dispose(): Promise<void>;
}

/**
 * Opens a model of any kind. What is no file to be run as it is, a model.json or a network that was trained with quantizers, is
 * exported for other targets than `float`, with its learned scales and to a folder that dispose removes.
 *
 * @throws QdgError `usage` for a file of no such kind, a target that cannot run it, a model.json without learned scales
 * that would need them, an input that is no square image; what reading and exporting throw
 */
export async function openClassifier(
  path: string,
  targets: readonly RuntimeName[],
  options: ClassifierOptions,
  progress: Progress,
): Promise<Classifier> {
  const found = await modelPath(path);
  if (found.kind === "model-json") return openSource(found.path, targets, options, progress);
  const model = decodeModel(await readBytes(found.path), found.path);
  const metadata = readOnnxMetadata(model.metadataProps ?? [], found.path);
  return metadata.learned === null
    ? openFile(
        found.path,
        modelToGraph(model, { external: dataIn(dirname(found.path)) }),
        metadata,
        targets,
        options,
      )
    : openSource(found.path, targets, options, progress);
}

/** A file that is run as it is. */
function openFile(
  path: string,
  graph: Graph,
  metadata: OnnxMetadata,
  targets: readonly RuntimeName[],
  options: ClassifierOptions,
): Classifier {
  const quantized = isQuantized(metadata, graph);
  if (quantized && targets.includes("float")) {
    throw new QdgError(
      "usage",
      "--targets",
      `${path} is quantized, and float runs networks in real numbers; leave float out, or give the model that the file was made from`,
    );
  }
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
    quantized,
    pathFor: () => path,
    dispose: () => Promise.resolve(),
  };
}

async function openSource(
  path: string,
  targets: readonly RuntimeName[],
  options: ClassifierOptions,
  progress: Progress,
): Promise<Classifier> {
  const { graph, facts, learned } = await openModel(path);
  const preprocessing = options.preprocessing ?? facts.preprocessing;
  const labels = options.labels ?? facts.labels;
  const float = {
    path,
    input: squareInput(path, graph, { layout: facts.layout, preprocessing }, options),
    labels,
    output: outputOf(path, graph, null, labels, options),
  };
  const others = targets.filter((target) => target !== "float");
  if (others.length === 0) {
    return { ...float, quantized: false, pathFor: () => path, dispose: () => Promise.resolve() };
  }
  if (learned?.byBits) {
    throw new QdgError(
      "usage",
      path,
      `was trained for each of ${bitsInWords(learned)} bits, and ${others.join(", ")} would run one of them; export it with qdg-export --bits ${bitsLearned(learned)[0]} and evaluate the .onnx, or take --targets float for the float network`,
    );
  }
  if (!learned || learned.quantizers.size === 0) {
    throw new QdgError(
      "usage",
      path,
      `has no learned scales, which ${others.join(", ")} would run; export it with qdg-export --bits and evaluate the .onnx, or take --targets float for the float network`,
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
    const exported = await openClassifier(output, others, options, progress);
    return {
      ...float,
      quantized: exported.quantized,
      pathFor: (target) => (target === "float" ? path : RUNTIMES[target].gpu ? gpuFile : output),
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
