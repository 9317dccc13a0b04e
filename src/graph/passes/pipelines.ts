// Which passes a graph goes through, and in what order: lists, so that training can leave out those that change
// weights. Owns the order, no pass.

import type { Graph } from "../graph.js";
import { verifyGraph } from "../verify.js";
import { batchNormToConv } from "./batch-norm-to-conv.js";
import { expandComposites } from "./expand-composites.js";
import { flatTables } from "./flat-tables.js";
import { foldBatchNorm } from "./fold-batch-norm.js";
import { foldFlattenTranspose } from "./fold-flatten-transpose.js";
import { foldPad } from "./fold-pad.js";
import { keepPads } from "./keep-pads.js";
import { mergeRectifiers } from "./merge-rectifiers.js";
import { poolBeforeActivation } from "./pool-before-activation.js";
import { requantizeResiduals } from "./requantize-residuals.js";

export interface PassRow {
  readonly pass: (graph: Graph) => Graph;
  /** Whether every weight stays as it was read, so that it can be a variable in training. */
  readonly keepsWeights: boolean;
}

/** Of every file: the float network as it is computed. */
export const FLOAT_PASSES: readonly PassRow[] = [
  { pass: foldFlattenTranspose, keepsWeights: false },
  { pass: foldBatchNorm, keepsWeights: false },
  { pass: foldPad, keepsWeights: true },
  { pass: mergeRectifiers, keepsWeights: true },
  { pass: poolBeforeActivation, keepsWeights: true },
];

/** Of a network that is quantized: its quantizers stand in the graph that these give. */
export const QUANTIZED_PASSES: readonly PassRow[] = [
  ...FLOAT_PASSES,
  { pass: batchNormToConv, keepsWeights: false },
  { pass: requantizeResiduals, keepsWeights: true },
];

/** Of a network in training: weights are variables, and batch normalization has not folded. */
export const TRAINING_PASSES: readonly PassRow[] = QUANTIZED_PASSES.filter(
  ({ keepsWeights }) => keepsWeights,
);

/** The last before a file is encoded: operators of our own become standard ones. */
export const FILE_PASSES: readonly PassRow[] = [
  { pass: expandComposites, keepsWeights: true },
  { pass: keepPads, keepsWeights: true },
];

/** The same for files of integers that ONNX Runtime's own kernels run: a GPU's Gather is as quick as any. */
export const CPU_FILE_PASSES: readonly PassRow[] = [...FILE_PASSES, { pass: flatTables, keepsWeights: true }];

/**
 * The graph after the passes, in their order; the given one stays as it was.
 *
 * @throws QdgError `internal`, or what verifyGraph throws, when a pass left a graph that is none
 */
export function runPasses(graph: Graph, passes: readonly PassRow[]): Graph {
  const result = passes.reduce((before, { pass }) => pass(before), graph);
  verifyGraph(result);
  return result;
}
