// The graph that training runs, and which of its values and weights have a quantizer. Quantizers are placed on
// the graph that will be exported; training runs the one before batch normalization folds, whose values
// bear the same names.

import { QdgError } from "../base/error.js";
import { consumers, type Graph, inputOf, type Node, type Value, valuesOf } from "../graph/graph.js";
import { kindOf } from "../graph/node-kinds.js";
import { normalizationAfter } from "../graph/passes/fold-batch-norm.js";
import { QUANTIZED_PASSES, runPasses, TRAINING_PASSES } from "../graph/passes/pipelines.js";
import { integerSources } from "../graph/integer-sources.js";
import { type Placement, placeQuantizers } from "../graph/place-quantizers.js";
import type { Recipe } from "../graph/recipe.js";

/** Where the quantizers of a recipe stand in a graph that is trained. */
export interface PlacedQuantizers {
  readonly placements: readonly Placement[];
  /** Activation quantizers by the name of the value. */
  readonly activations: ReadonlyMap<string, Placement>;
  /** Weight quantizers by the name of the constant. */
  readonly weights: ReadonlyMap<string, Placement>;
}

export interface TrainingGraph extends PlacedQuantizers {
  readonly graph: Graph;
  /** What is trained towards: the graph as it is exported, with its weights as they stand. */
  readonly deployed: Graph;
  /** The values before the softmax, or the output where there is none: [N, classes]. */
  readonly logits: Value;
  /** For each weighted node that batch normalization folds into, that normalization. */
  readonly foldsInto: ReadonlyMap<Node, Node>;
  /** For each value that only moves integers, the value that they come from. */
  readonly sources: ReadonlyMap<Value, Value>;
}

/**
 * @param source as it was read
 * @param recipe null for a network in full precision
 * @throws QdgError `unsupported-model` for a model that does not classify: several inputs or outputs, or an output
 * of another rank than 2
 */
export function trainingGraph(source: Graph, recipe: Recipe | null): TrainingGraph {
  const deployed = runPasses(source, QUANTIZED_PASSES);
  const graph = runPasses(source, TRAINING_PASSES);
  return {
    graph,
    deployed,
    logits: logitsOf(graph),
    ...placedQuantizers(graph, deployed, recipe),
    foldsInto: foldedNormalizations(graph),
    sources: integerSources(graph),
  };
}

/**
 * Placed on the graph that will be exported, by the names that the one in training shares with it.
 *
 * @param recipe null for none
 */
export function placedQuantizers(graph: Graph, deployed: Graph, recipe: Recipe | null): PlacedQuantizers {
  const byName = new Map(valuesOf(graph).map((value) => [value.name, value]));
  const activations = new Map<string, Placement>();
  const weights = new Map<string, Placement>();
  const placements = recipe ? placeQuantizers(deployed, recipe) : [];
  for (const placement of placements) {
    if (placement.role === "weight") {
      const [id] = placement.ids as [string];
      // The factor of batch normalization that became a convolution is no weight of the model: a constant 1.
      if (byName.has(id)) weights.set(id, placement);
      continue;
    }
    for (const { name } of placement.values) {
      if (byName.has(name)) activations.set(name, placement);
      else throw new QdgError("internal", placement.layer, `the value ${name} has no place in training`);
    }
  }
  return { placements, activations, weights };
}

function logitsOf({ name, inputs, outputs }: Graph): Value {
  const [output] = outputs;
  if (inputs.length !== 1 || !output || outputs.length !== 1) {
    throw new QdgError(
      "unsupported-model",
      name,
      `got ${inputs.length} inputs and ${outputs.length} outputs, expected one of each: an image in, classes out`,
    );
  }
  const logits = output.producer?.op === "Softmax" ? inputOf(output.producer, 0) : output;
  if (logits.shape.length !== 2) {
    throw new QdgError(
      "unsupported-model",
      output.producer?.origin ?? name,
      `the output has ${logits.shape.length} axes, expected [N, classes]; end the model with a Dense layer`,
    );
  }
  return logits;
}

function foldedNormalizations(graph: Graph): Map<Node, Node> {
  const uses = consumers(graph);
  const folded = new Map<Node, Node>();
  for (const node of graph.nodes) {
    const normalization = kindOf(node) === "weighted" ? normalizationAfter(graph, uses, node) : null;
    if (normalization) folded.set(node, normalization);
  }
  return folded;
}
