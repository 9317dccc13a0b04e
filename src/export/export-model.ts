// The pipeline from a model.json to one ONNX file: read, place, find scales, lower, measure, write.

import { resolve } from "node:path";
import { checkWritable, writeFileAtomic } from "../base/atomic-file.js";
import { QdgError } from "../base/error.js";
import { noProgress, type Progress } from "../base/progress.js";
import type { Graph } from "../graph/graph.js";
import { preprocessingFromJson } from "../image/preprocessing.js";
import { type LearnedQuantizers, parseLearned } from "../quant/learned.js";
import { type ReadModel, readModel } from "../read/read-model.js";
import type { ScalesMode } from "./annotate.js";
import { type Cost, costWarning, measureCost } from "./cost.js";
import { floatFile } from "./float-file.js";
import { chooseForm } from "./form-choice.js";
import { integerFile } from "./integer-file.js";
import { bitsByLayer, commonMetadata, type FileFacts, quantizedMetadata } from "./metadata.js";
import { type ExportOptions, withDefaults, type CompleteExportOptions } from "./options.js";
import { prepare, quantizeGraph } from "./quantize-graph.js";
import { openSamples } from "./samples.js";

export interface ExportResult {
  readonly path: string;
  readonly sizeBytes: number;
  /** "float" for a plain float32 file */
  readonly scales: ScalesMode | "float";
  readonly form: "integer" | "float" | null;
  /** layer -> [weight bits, bits of its output (0: real)] */
  readonly bits: Readonly<Record<string, readonly [number, number]>>;
  /** null without samples to measure on */
  readonly cost: Cost | null;
  readonly warnings: readonly string[];
}

/**
 * Exports a tfjs layers-model as one ONNX file.
 *
 * @throws QdgError for what the model or the options lack; nothing is written then
 */
export async function exportModel(
  options: ExportOptions,
  progress: Progress = noProgress,
): Promise<ExportResult> {
  const complete = withDefaults(options);
  if (resolve(complete.output) === resolve(complete.model)) {
    throw new QdgError("usage", complete.output, "the output is the model itself; give another name");
  }
  await checkWritable(complete.output, complete.force);
  const model = await readModel(complete.model, { layout: complete.layout });
  const learned = parseLearned(model.userDefinedMetadata);
  const facts = fileFacts(model, learned, complete);
  if (complete.float) return exportFloat(model.graph, facts, complete);
  // A model that was trained in full precision carries labels and preprocessing, and no scales.
  const scales = learned && learned.quantizers.size > 0 ? learned : null;
  return exportQuantized(model.graph, scales, facts, complete, progress);
}

async function exportFloat(
  graph: Graph,
  facts: FileFacts,
  options: CompleteExportOptions,
): Promise<ExportResult> {
  const bytes = floatFile(prepare(graph), options.opset, commonMetadata(facts));
  await writeFileAtomic(options.output, bytes, { force: options.force });
  return {
    path: options.output,
    sizeBytes: bytes.length,
    scales: "float",
    form: null,
    bits: {},
    cost: null,
    warnings: [],
  };
}

async function exportQuantized(
  source: Graph,
  learned: LearnedQuantizers | null,
  facts: FileFacts,
  options: CompleteExportOptions,
  progress: Progress,
): Promise<ExportResult> {
  const { calibration } = options;
  const samples =
    calibration.length > 0 ? await openSamples(calibration, source.inputs, facts, options) : null;
  const quantized = await quantizeGraph(
    source,
    learned,
    samples?.calibration ?? null,
    facts,
    options,
    progress,
  );
  const { graph, float, placements, scales } = quantized;
  const form = await chooseForm(graph, options, progress);
  const { bytes, lowered } = integerFile(graph, options.opset, { form, weights: options.weights }, (result) =>
    quantizedMetadata(facts, graph, scales, form, result),
  );
  const cost =
    samples && samples.heldOut.count > 0
      ? await measureCost(float, placements, bytes, samples.heldOut, progress)
      : null;
  await writeFileAtomic(options.output, bytes, { force: options.force });
  return {
    path: options.output,
    sizeBytes: bytes.length,
    scales,
    form,
    bits: bitsByLayer(graph),
    cost,
    warnings: warningsOf(scales, cost, lowered.adjusted),
  };
}

function warningsOf(scales: ScalesMode, cost: Cost | null, adjusted: ReadonlyMap<string, number>): string[] {
  const warnings: string[] = [];
  if (scales === "weights-only") {
    warnings.push(
      "no calibration data: only the weights are quantized, activations stay float32; give --calibration for an integer network",
    );
  }
  const warning = cost && costWarning(cost);
  if (warning) warnings.push(warning);
  for (const [layer, channels] of adjusted) {
    warnings.push(`${layer}: ${channels} dead channel(s) hold their bias at a wider scale`);
  }
  return warnings;
}

/** What the options say wins over what the model carries, and that over Teachable Machine's metadata.json. */
function fileFacts(
  model: ReadModel,
  learned: LearnedQuantizers | null,
  options: CompleteExportOptions,
): FileFacts {
  const carried =
    learned?.preprocessing === undefined
      ? undefined
      : preprocessingFromJson(learned.preprocessing, "userDefinedMetadata.qdg.preprocessing");
  return {
    source: model.sourceHash,
    layout: options.layout,
    preprocessing: options.preprocessing ?? carried ?? model.metadata?.preprocessing ?? null,
    labels: options.labels ?? learned?.labels ?? model.metadata?.labels ?? null,
  };
}
