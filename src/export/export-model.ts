// The pipeline from a model.json to one ONNX file: read, place, find scales, lower, measure, write.

import { refuseExisting, writeFileAtomic } from "../base/atomic-file.js";
import { QdgError } from "../base/error.js";
import { noProgress, type Progress } from "../base/progress.js";
import type { Graph } from "../graph/graph.js";
import { batchNormToConv } from "../graph/passes/batch-norm-to-conv.js";
import { foldBatchNorm } from "../graph/passes/fold-batch-norm.js";
import { foldFlattenTranspose } from "../graph/passes/fold-flatten-transpose.js";
import { type Placement, placeQuantizers, type QuantizationConfig } from "../graph/place-quantizers.js";
import { verifyGraph } from "../graph/verify.js";
import { preprocessingFromJson } from "../image/preprocessing.js";
import { irVersionFor } from "../onnx/opset.js";
import { type LearnedQuantizers, parseLearned } from "../quant/learned.js";
import { type ReadModel, readModel } from "../read/read-model.js";
import {
  annotateActivation,
  annotateWeights,
  checkLearned,
  learnedFor,
  type ScalesMode,
} from "./annotate.js";
import { correctBiases } from "./bias-correction.js";
import { calibrate } from "./calibrate.js";
import { type Cost, costWarning, measureCost } from "./cost.js";
import { floatFile } from "./float-file.js";
import { quantizersAroundActivations } from "./around-activations.js";
import { chooseForm } from "./form-choice.js";
import { inputQuantization } from "./input-scale.js";
import { integerFile } from "./integer-file.js";
import { bitsByLayer, commonMetadata, type FileFacts, quantizedMetadata } from "./metadata.js";
import { type ExportOptions, withDefaults, type CompleteExportOptions } from "./options.js";
import { openSamples, type SampleSplit } from "./samples.js";

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
  await refuseExisting(complete.output, complete.force);
  const model = await readModel(complete.model, { layout: complete.layout });
  const learned = parseLearned(model.userDefinedMetadata);
  const facts = fileFacts(model, learned, complete);
  if (complete.float) return exportFloat(model.graph, facts, complete);
  return exportQuantized(model.graph, learned, facts, complete, progress);
}

/** The passes that every file needs. */
export function prepare(graph: Graph): Graph {
  const prepared = foldBatchNorm(foldFlattenTranspose(graph));
  verifyGraph(prepared);
  return prepared;
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
  irVersionFor(options.opset);
  const graph = batchNormToConv(prepare(source));
  const placements = placeQuantizers(graph, quantizationConfig(options, learned));
  if (learned) checkLearned(placements, learned, options.bits);
  const samples =
    options.calibration.length > 0
      ? await openSamples(options.calibration, graph.inputs, facts, options)
      : null;
  annotateWeights(placements, learned, options.powerOfTwo);
  const scales = await annotateActivations(graph, placements, learned, samples, facts, options, progress);
  const form = await chooseForm(graph, options, progress);
  const { bytes, lowered } = integerFile(graph, options.opset, { form, weights: options.weights }, (result) =>
    quantizedMetadata(facts, graph, scales, form, result),
  );
  const cost =
    samples && samples.heldOut.count > 0
      ? await measureCost(graph, placements, bytes, samples.heldOut, progress)
      : null;
  await writeFileAtomic(options.output, bytes, { force: options.force });
  return {
    path: options.output,
    sizeBytes: bytes.length,
    scales,
    form,
    bits: bitsByLayer(graph),
    cost,
    warnings: [
      ...(scales === "weights-only"
        ? [
            "no calibration data: only the weights are quantized, activations stay float32; give --calibration for an integer network",
          ]
        : []),
      ...(cost ? [costWarning(cost)].filter((warning) => warning !== null) : []),
      ...[...lowered.adjusted].map(
        ([layer, channels]) => `${layer}: ${channels} dead channel(s) hold their bias at a wider scale`,
      ),
    ],
  };
}

function quantizationConfig(
  options: CompleteExportOptions,
  learned: LearnedQuantizers | null,
): QuantizationConfig {
  const { bits, firstLastBits, layers, signedActivations } = options;
  const weightBits = options.weightBits ?? bits;
  const activationBits = options.activationBits ?? bits;
  if (!learned && (weightBits === undefined || activationBits === undefined)) {
    throw new QdgError(
      "usage",
      "--bits",
      "got none, expected 2 to 8 (or both --weight-bits and --activation-bits): the model carries no learned scales",
    );
  }
  return {
    weightBits: weightBits ?? 8,
    activationBits: activationBits ?? 8,
    firstLastBits,
    layers,
    signedActivations,
  };
}

async function annotateActivations(
  graph: Graph,
  placements: readonly Placement[],
  learned: LearnedQuantizers | null,
  samples: SampleSplit | null,
  facts: FileFacts,
  options: CompleteExportOptions,
  progress: Progress,
): Promise<ScalesMode> {
  const open: Placement[] = [];
  for (const placement of placements.filter(({ role }) => role === "activation")) {
    const quantization = learnedFor(placement, learned);
    if (quantization) annotateActivation(placement, quantization);
    else open.push(placement);
  }
  const learnedCount = placements.length - open.length;
  if (open.length === 0) return "learned";
  if (!samples) {
    if (
      !learned?.quantizers.size ||
      ![...learned.quantizers.keys()].some((name) => isActivation(placements, name))
    ) {
      return "weights-only";
    }
    throw new QdgError(
      "invalid-quantization",
      open[0]?.ids[0] ?? "",
      `has no learned scale, as ${open.length} of ${placements.length} quantizers; give --calibration to find them, or train again`,
    );
  }
  const { observers, channelMeans } = await calibrate(
    graph,
    open,
    samples.calibration,
    options.observer,
    progress,
  );
  const around = options.powerOfTwo ? new Map() : quantizersAroundActivations(graph, open, observers);
  for (const placement of open) {
    const params =
      around.get(placement) ??
      inputQuantization(placement, graph, facts.preprocessing, options.powerOfTwo) ??
      observers.get(placement)?.params(placement.spec, { powerOfTwo: options.powerOfTwo });
    if (!params) throw new QdgError("internal", placement.layer, "was not observed");
    annotateActivation(placement, { spec: placement.spec, params });
  }
  const learnedWeights = placements.some(
    (placement) => placement.role === "weight" && learnedFor(placement, learned),
  );
  if (options.biasCorrection && !learnedWeights) correctBiases(graph, channelMeans);
  return learned && learnedCount > 0 ? "learned+calibrated" : "calibrated";
}

function isActivation(placements: readonly Placement[], id: string): boolean {
  return placements.some((placement) => placement.role === "activation" && placement.ids.includes(id));
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
