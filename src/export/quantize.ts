// A float graph becomes an annotated one: quantizers placed by a recipe, their scales learned or found. Reads no
// samples and waits for nothing: what samples showed comes as statistics, so that many recipes can be tried.

import { QdgError } from "../base/error.js";
import { cloneGraph, type Graph } from "../graph/graph.js";
import { type Placement, placeQuantizers } from "../graph/place-quantizers.js";
import type { Recipe } from "../graph/recipe.js";
import { verifyGraph } from "../graph/verify.js";
import type { Preprocessing } from "../image/preprocessing.js";
import type { ScalesMode } from "../model/onnx-metadata.js";
import type { LearnedQuantizers } from "../quant/learned.js";
import type { Observer } from "../quant/observers/observer.js";
import type { QuantParams } from "../quant/spec.js";
import { annotateActivation, annotateWeights, checkLearned, learnedFor } from "./annotate.js";
import { quantizersAroundActivations } from "./around-activations.js";
import { correctBiases } from "./bias-correction.js";
import { fitPairs } from "./fit-pairs.js";
import { inputQuantization } from "./input-scale.js";
import type { Statistics } from "./observe.js";

export interface QuantizeOptions {
  /** Fixes the scale of an image input. */
  readonly preprocessing: Preprocessing | null;
  /** Only powers of two as scales; false. */
  readonly powerOfTwo?: boolean;
  /** Found 8-bit weights as near as 8 bits allow, also where pairs of them could leave int16; false. */
  readonly freeWeights?: boolean;
  /** Take the mean error of weight rounding out of the biases, where scales were found; true. */
  readonly biasCorrection?: boolean;
}

export interface QuantizedGraph {
  /** A copy with `quantization` on its values. */
  readonly graph: Graph;
  /** The same before anything was rounded or corrected: what the quantized network is measured against. */
  readonly float: Graph;
  readonly placements: readonly Placement[];
  readonly scales: ScalesMode;
}

/**
 * Learned scales are used as they are; those of other weights are found by least squared error, those of other
 * activations from statistics. Without either, only the weights are quantized. Activations come first, since how large
 * a stored input can be may limit the weights it meets.
 *
 * @param source after QUANTIZED_PASSES; stays as it is
 * @param statistics of `source`; null without samples
 * @throws QdgError `invalid-quantization` for a recipe or learned scales that do not fit the graph
 */
export function quantize(
  source: Graph,
  recipe: Recipe,
  statistics: Statistics | null,
  learned: LearnedQuantizers | null,
  options: QuantizeOptions,
): QuantizedGraph {
  const { powerOfTwo = false, freeWeights = false, biasCorrection = true } = options;
  if (learned && powerOfTwo) {
    throw new QdgError(
      "invalid-quantization",
      "--scales",
      "got pow2, but the model's scales were learned and are used as they are; leave --scales out",
    );
  }
  const graph = cloneGraph(source);
  const placements = placeQuantizers(graph, recipe, learned?.quantizers);
  if (learned) checkLearned(placements, learned);
  const scales = annotateActivations(graph, placements, learned, statistics, options);
  annotateWeights(placements, learned, powerOfTwo);
  if (!freeWeights) fitPairs(graph, placements, learned, powerOfTwo);
  const learnedWeights = placements.some(
    (placement) => placement.role === "weight" && learnedFor(placement, learned),
  );
  if (statistics && biasCorrection && !learnedWeights) correctBiases(graph, statistics.channelMeans);
  verifyGraph(graph);
  return { graph, float: source, placements, scales };
}

/**
 * {@link quantize} of activations alone, their scales from statistics: weights stay real.
 *
 * @returns a copy with `quantization` on its activations
 */
export function quantizeActivations(
  source: Graph,
  recipe: Recipe,
  statistics: Statistics | null,
  options: QuantizeOptions,
): Graph {
  const graph = cloneGraph(source);
  annotateActivations(graph, placeQuantizers(graph, recipe), null, statistics, options);
  return graph;
}

function annotateActivations(
  graph: Graph,
  placements: readonly Placement[],
  learned: LearnedQuantizers | null,
  statistics: Statistics | null,
  { preprocessing, powerOfTwo = false }: QuantizeOptions,
): ScalesMode {
  const activations = placements.filter(({ role }) => role === "activation");
  const open: Placement[] = [];
  for (const placement of activations) {
    const quantization = learnedFor(placement, learned);
    if (quantization) annotateActivation(placement, quantization);
    else open.push(placement);
  }
  if (open.length === 0 && learned) return "learned";
  if (!statistics) {
    if (open.length === activations.length) return "weights-only";
    throw new QdgError(
      "invalid-quantization",
      open[0]?.ids[0] ?? "",
      `has no learned scale, as ${open.length} of ${placements.length} quantizers; give --calibration to find them, or train again`,
    );
  }
  const observers = new Map(open.map((placement) => [placement, observerOf(placement, statistics)]));
  const around = powerOfTwo
    ? new Map<Placement, QuantParams>()
    : quantizersAroundActivations(graph, open, observers);
  for (const [placement, observer] of observers) {
    const params =
      around.get(placement) ??
      inputQuantization(placement, graph, preprocessing, powerOfTwo) ??
      observer.params(placement.spec, { powerOfTwo });
    annotateActivation(placement, { spec: placement.spec, params });
  }
  return learned ? "learned+calibrated" : "calibrated";
}

function observerOf({ values, layer }: Placement, { observers }: Statistics): Observer {
  const observer = observers.get(values[0]?.name ?? "");
  if (!observer) throw new QdgError("internal", layer, "was not observed");
  return observer;
}
