// The graph that training runs, and which of its values and weights have a quantizer. Quantizers are placed on
// the graph that will be exported; training runs the one before batch normalization folds, whose values
// bear the same names.

import { QdgError } from "../base/error.js";
import { prepare } from "../export/quantize-graph.js";
import { consumers, type Graph, inputOf, type Node, outputOf, type Value, valuesOf } from "../graph/graph.js";
import { kindOf } from "../graph/node-kinds.js";
import { batchNormToConv } from "../graph/passes/batch-norm-to-conv.js";
import { foldPad } from "../graph/passes/fold-pad.js";
import { mergeRectifiers } from "../graph/passes/merge-rectifiers.js";
import { poolBeforeActivation } from "../graph/passes/pool-before-activation.js";
import {
  integerSources,
  type Placement,
  placeQuantizers,
  type QuantizationConfig,
} from "../graph/place-quantizers.js";
import { verifyGraph } from "../graph/verify.js";

export interface TrainingGraph {
  readonly graph: Graph;
  /** What is trained towards: the graph as it is exported, with its weights as they stand. */
  readonly deployed: Graph;
  /** The values before the softmax, or the output where there is none: [N, classes]. */
  readonly logits: Value;
  /** Activation quantizers by the name of the value. */
  readonly activations: ReadonlyMap<string, Placement>;
  /** Weight quantizers by the name of the constant. */
  readonly weights: ReadonlyMap<string, Placement>;
  /** For each weighted node that batch normalization folds into, that normalization. */
  readonly foldsInto: ReadonlyMap<Node, Node>;
  /** For each value that only moves integers, the value that they come from. */
  readonly sources: ReadonlyMap<Value, Value>;
}

/**
 * @param source as it was read
 * @param config null for a network in full precision
 * @throws QdgError `unsupported-model` for a model that does not classify: several inputs or outputs, or an output
 * of another rank than 2
 */
export function trainingGraph(source: Graph, config: QuantizationConfig | null): TrainingGraph {
  const deployed = batchNormToConv(prepare(source));
  // The passes of `prepare` that leave weights as they are: weights are variables here.
  const graph = poolBeforeActivation(mergeRectifiers(foldPad(source)));
  verifyGraph(graph);
  const byName = new Map(valuesOf(graph).map((value) => [value.name, value]));
  const activations = new Map<string, Placement>();
  const weights = new Map<string, Placement>();
  for (const placement of config ? placeQuantizers(deployed, config) : []) {
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
  return {
    graph,
    deployed,
    logits: logitsOf(graph),
    activations,
    weights,
    foldsInto: foldedNormalizations(graph),
    sources: integerSources(graph),
  };
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

/** The rule of fold-batch-norm: a weighted node whose result only a batch normalization reads. */
function foldedNormalizations(graph: Graph): Map<Node, Node> {
  const uses = consumers(graph);
  const folded = new Map<Node, Node>();
  for (const node of graph.nodes) {
    if (kindOf(node) !== "weighted") continue;
    const result = outputOf(node);
    const [reader, ...others] = uses.get(result) ?? [];
    if (!reader || others.length > 0 || graph.outputs.includes(result)) continue;
    if (reader.op === "BatchNormalization") folded.set(node, reader);
  }
  return folded;
}
