// The whole of `qdg parity` as a function: opens a file, its data and its float model, and compares.

import { readBytes } from "../base/read-bytes.js";
import type { Progress } from "../base/progress.js";
import { modelToGraph } from "../onnx/to-graph.js";
import { UNKNOWN_DIM } from "../graph/unknown-shape.js";
import type { BrokenImage } from "../image/folder.js";
import type { Preprocessing } from "../image/preprocessing.js";
import type { Layout } from "../image/to-tensor.js";
import { type OnnxMetadata, readOnnxMetadata } from "../model/onnx-metadata.js";
import { decodeModel } from "../onnx/codec.js";
import type { ModelProto } from "../onnx/model-proto.js";
import { modelPath, onnxPath } from "../read/model-path.js";
import { withExternalData } from "../onnx/whole-model.js";
import { floatEngineOf } from "../runtime/float.js";
import type { BrowserOptions, RuntimeName, TensorInfo } from "../runtime/runtime.js";
import { compare, type FloatModel } from "./compare.js";
import { type InputSource, openInputs } from "./inputs.js";
import type { ParityReport } from "./report.js";

export const DEFAULT_COUNT = 100;

export interface ParityOptions {
  /** Path of the ONNX file. */
  readonly model: string;
  /** A folder of images, .npy files (`input=file.npy`), or `random:100`. */
  readonly data: readonly string[];
  /** cpu and wasm when absent. */
  readonly targets?: readonly RuntimeName[];
  /** The float model, which the runtime `float` computes: a layers-model, a graph-model or an ONNX file. */
  readonly reference?: string;
  readonly intermediates?: boolean;
  readonly locate?: boolean;
  /** Samples at most, 100 when absent; null: all. */
  readonly count?: number | null;
  readonly seed?: number;
  readonly skipBroken?: boolean;
  readonly onSkipped?: (broken: BrokenImage) => void;
  /** Instead of what the file says. */
  readonly preprocessing?: Preprocessing;
  /** Order of the axes of an image, instead of what the file says. */
  readonly layout?: Layout;
  /** Height and width where the file leaves them open. */
  readonly inputSize?: readonly [number, number];
  /** Names of the classes in the order of the output, instead of what the file says. */
  readonly labels?: readonly string[];
  readonly runtimeOptions?: BrowserOptions;
  readonly progress?: Progress;
}

/**
 * Compares a file on its targets with the reference interpreter, and with the float model.
 *
 * @throws QdgError `not-found`, `invalid-onnx`, `unsupported-op`; `usage` for data that does not suit the
 * model; `unavailable` for a runtime
 */
export async function parity(options: ParityOptions): Promise<ParityReport> {
  const path = await onnxPath(options.model, "parity");
  const model = await readModel(path);
  const metadata = readOnnxMetadata(model.metadataProps ?? [], path);
  const inputs = await openData(model, metadata, options);
  return compare({
    name: path,
    model,
    targets: options.targets ?? ["cpu", "wasm"],
    float: options.reference === undefined ? null : await floatModel(options.reference),
    inputs,
    intermediates: options.intermediates ?? false,
    locate: options.locate ?? false,
    layout: options.layout ?? metadata.layout,
    labels: options.labels ?? metadata.labels,
    ...(options.runtimeOptions && { runtimeOptions: options.runtimeOptions }),
    ...(options.progress && { progress: options.progress }),
  });
}

async function readModel(path: string): Promise<ModelProto> {
  return decodeModel(withExternalData(await readBytes(path), path), path);
}

/** What of the options says which samples are fed, and how. */
export type DataOptions = Pick<
  ParityOptions,
  "data" | "count" | "seed" | "skipBroken" | "onSkipped" | "preprocessing" | "layout" | "inputSize"
>;

/**
 * The samples that the options name, as the file wants them.
 *
 * @throws QdgError as {@link openInputs}
 */
export function openData(
  model: ModelProto,
  metadata: OnnxMetadata,
  options: DataOptions,
): Promise<InputSource> {
  const infos = modelToGraph(model).inputs.map(({ name, dtype, shape }): TensorInfo => ({
    name,
    dtype,
    shape: shape.map((dim) => (dim === UNKNOWN_DIM ? "" : dim)),
  }));
  return openInputs(options.data, infos, {
    count: options.count === undefined ? DEFAULT_COUNT : options.count,
    seed: options.seed ?? 0,
    skipBroken: options.skipBroken ?? false,
    ...(options.onSkipped && { onSkipped: options.onSkipped }),
    layout: options.layout ?? metadata.layout,
    preprocessing: options.preprocessing ?? metadata.preprocessing,
    ...(options.inputSize && { inputSize: options.inputSize }),
  });
}

/** @throws QdgError as `modelPath` for a file of no kind that is read */
async function floatModel(given: string): Promise<FloatModel> {
  const { path } = await modelPath(given);
  return { name: path, path, engine: await floatEngineOf(path) };
}
