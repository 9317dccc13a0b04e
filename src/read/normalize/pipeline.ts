// What every graph goes through that a reader took from a file of single operators, and in what order. Owns the list, no pass.

import type { Graph } from "../../graph/graph.js";
import { verifyGraph } from "../../graph/verify.js";
import { addToBias } from "./add-to-bias.js";
import { affineToBatchNorm } from "./affine-to-batch-norm.js";
import { cancelTransposes } from "./cancel-transposes.js";
import { denseToGemm } from "./dense-to-gemm.js";
import { foldConstants } from "./fold-constants.js";
import { inputAffineToConv } from "./input-affine-to-conv.js";
import { joinMoves } from "./join-moves.js";
import { partsToSlices } from "./parts-to-slices.js";
import { reduceToPool } from "./reduce-to-pool.js";
import { removeIdentities } from "./remove-identities.js";
import { shareConstants } from "./share-constants.js";
import { spelledActivations } from "./spelled-activations.js";
import { spelledLayerNorm } from "./spelled-layer-norm.js";
import { spelledLeaks } from "./spelled-leaks.js";
import { spelledSoftmax } from "./spelled-softmax.js";

/** A pass changes no output, and a second run of it changes nothing. */
export type NormalizingPass = (graph: Graph) => Graph;

export const NORMALIZING_PASSES: readonly NormalizingPass[] = [
  foldConstants,
  removeIdentities,
  spelledActivations,
  spelledSoftmax,
  spelledLayerNorm,
  cancelTransposes,
  spelledLeaks,
  denseToGemm,
  inputAffineToConv,
  addToBias,
  affineToBatchNorm,
  reduceToPool,
  partsToSlices,
  joinMoves,
  // What those before have made one node may be turned as one.
  cancelTransposes,
  shareConstants,
];

/**
 * The graph after all passes; the given one stays as it was.
 *
 * @throws QdgError what the passes throw, and `invalid-graph` where one left a graph that is none
 */
export function normalize(graph: Graph): Graph {
  const result = NORMALIZING_PASSES.reduce((before, pass) => pass(before), graph);
  verifyGraph(result);
  return result;
}
