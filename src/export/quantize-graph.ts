// A float graph becomes an annotated one: quantizers placed, their scales learned or found.

import { QdgError } from "../base/error.js";
import { noProgress, type Progress } from "../base/progress.js";
import { cloneGraph, type Graph } from "../graph/graph.js";
import { batchNormToConv } from "../graph/passes/batch-norm-to-conv.js";
import { foldBatchNorm } from "../graph/passes/fold-batch-norm.js";
import { foldPad } from "../graph/passes/fold-pad.js";
import { mergeRectifiers } from "../graph/passes/merge-rectifiers.js";
import { foldFlattenTranspose } from "../graph/passes/fold-flatten-transpose.js";
import { poolBeforeActivation } from "../graph/passes/pool-before-activation.js";
import { type Placement, placeQuantizers, type QuantizationConfig } from "../graph/place-quantizers.js";
import { verifyGraph } from "../graph/verify.js";
import type { LearnedQuantizers } from "../quant/learned.js";
import { MAX_BITS, MIN_BITS, type QuantParams } from "../quant/spec.js";
import {
  annotateActivation,
  annotateWeights,
  checkLearned,
  learnedFor,
  type ScalesMode,
} from "./annotate.js";
import { quantizersAroundActivations } from "./around-activations.js";
import { correctBiases } from "./bias-correction.js";
import { calibrate } from "./calibrate.js";
import { inputQuantization } from "./input-scale.js";
import type { FileFacts } from "./metadata.js";
import type { CompleteExportOptions } from "./options.js";
import type { Samples } from "./samples.js";

export interface QuantizedGraph {
  /** A copy with batch normalization folded and `quantization` on its values. */
  readonly graph: Graph;
  /** The same before anything was rounded or corrected: what the quantized network is measured against. */
  readonly float: Graph;
  readonly placements: readonly Placement[];
  readonly scales: ScalesMode;
}

/**
 * Learned scales are used as they are; others are found on calibration samples. Without either, only the
 * weights are quantized.
 *
 * @throws QdgError `usage` without bits or learned scales, `invalid-quantization` for learned scales that do
 * not fit the graph
 */
export async function quantizeGraph(
  source: Graph,
  learned: LearnedQuantizers | null,
  samples: Samples | null,
  facts: Pick<FileFacts, "preprocessing">,
  options: CompleteExportOptions,
  progress: Progress = noProgress,
): Promise<QuantizedGraph> {
  if (learned && options.powerOfTwo) {
    throw new QdgError(
      "invalid-quantization",
      "--scales",
      "got pow2, but the model's scales were learned and are used as they are; leave --scales out",
    );
  }
  const graph = batchNormToConv(prepare(source));
  const float = cloneGraph(graph);
  const placements = placeQuantizers(graph, quantizationConfig(options, learned));
  if (learned) checkLearned(placements, learned, askedBits(graph, options));
  annotateWeights(placements, learned, options.powerOfTwo);
  const scales = await annotateActivations(graph, placements, learned, samples, facts, options, progress);
  verifyGraph(graph);
  return { graph, float, placements, scales };
}

/** The passes that every file needs. */
export function prepare(graph: Graph): Graph {
  const folded = foldPad(foldBatchNorm(foldFlattenTranspose(graph)));
  const prepared = poolBeforeActivation(mergeRectifiers(folded));
  verifyGraph(prepared);
  return prepared;
}

function quantizationConfig(
  options: CompleteExportOptions,
  learned: LearnedQuantizers | null,
): QuantizationConfig {
  const { bits, firstLastBits = 8, layers, signedActivations } = options;
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

/** Bits that the options themselves ask of a quantizer, by its ids: those that no default can change. */
function askedBits(graph: Graph, options: CompleteExportOptions): Map<string, number> {
  const { bits, firstLastBits, layers, signedActivations } = options;
  const { weightBits = bits, activationBits = bits } = options;
  const [low, high] = [MIN_BITS, MAX_BITS].map((otherwise) =>
    placeQuantizers(graph, {
      weightBits: weightBits ?? otherwise,
      activationBits: activationBits ?? otherwise,
      firstLastBits: firstLastBits ?? otherwise,
      layers,
      signedActivations,
    }),
  ) as [Placement[], Placement[]];
  return new Map(
    low.flatMap(({ ids, spec }, i) =>
      spec.bits === high[i]?.spec.bits ? ids.map((id) => [id, spec.bits] as const) : [],
    ),
  );
}

async function annotateActivations(
  graph: Graph,
  placements: readonly Placement[],
  learned: LearnedQuantizers | null,
  samples: Samples | null,
  facts: Pick<FileFacts, "preprocessing">,
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
  const { observers, channelMeans } = await calibrate(graph, open, samples, options.observer, progress);
  const around = options.powerOfTwo
    ? new Map<Placement, QuantParams>()
    : quantizersAroundActivations(graph, open, observers);
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
