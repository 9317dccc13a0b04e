// Gives a network a head for other classes: what is replaced is found in its graph, how it is written is each kind's.

import { QdgError } from "../base/error.js";
import type { Dim } from "../graph/graph.js";
import { endOf, findHead, type HeadLayers } from "./find-head.js";
import { headLayersOf, layersWithHead } from "./layers-head.js";
import type { LayersModel } from "./layers-model-file.js";
import type { NewHead } from "./new-head.js";
import { networkWithHead } from "./onnx-head.js";
import type { OnnxNetwork } from "./onnx-network.js";
import { graphOf, isOnnxNetwork, type TrainableModel } from "./trainable-model.js";

export interface ReplaceHeadOptions {
  /** Keep the weights of a head that has the right number of classes already. */
  readonly keepHead?: boolean;
}

/**
 * The model with an output of [N, classes] probabilities.
 *
 * The head is the last Dense (Gemm), or the last 1x1 Conv2D before pooling or a softmax, that gives the output: it gets
 * `classes` outputs and fresh weights (normal, standard deviation `0.1 / sqrt(C)`, bias 0) and keeps its name and whether it has a bias;
 * its softmax stays, a sigmoid becomes one, and where there is none one is added. A hidden Dense before it stays.
 * A model without a head, which ends in a feature map, in pooling or in a rectified Dense, gets one: global average
 * pooling where needed, and a Dense named "classes".
 *
 * Scales learned for the old head, and its labels, are dropped; the preprocessing stays.
 *
 * @param seed 0..2^32 - 1, of the fresh weights
 * @throws QdgError `unsupported-model` when neither is to be found, `usage` for `classes` below 2 or a kept head
 * of another number, and what `graphOf` throws
 */
export function replaceHead(
  model: LayersModel,
  classes: number,
  seed: number,
  options?: ReplaceHeadOptions,
): LayersModel;
export function replaceHead(
  model: OnnxNetwork,
  classes: number,
  seed: number,
  options?: ReplaceHeadOptions,
): OnnxNetwork;
export function replaceHead(
  model: TrainableModel,
  classes: number,
  seed: number,
  options?: ReplaceHeadOptions,
): TrainableModel;
export function replaceHead(
  model: TrainableModel,
  classes: number,
  seed: number,
  { keepHead: keeps = false }: ReplaceHeadOptions = {},
): TrainableModel {
  if (!Number.isInteger(classes) || classes < 2 || classes > 65536) {
    throw new QdgError("usage", "classes", `got ${classes}, expected an integer in 2..65536`);
  }
  const graph = graphOf(model);
  const [output, ...more] = graph.outputs;
  if (!output || more.length > 0) {
    throw new QdgError("unsupported-model", "model", `has ${graph.outputs.length} outputs, expected 1`);
  }
  const headLayers = isOnnxNetwork(model) ? NODES : headLayersOf(model);
  const notFound = (reason: string): QdgError => {
    const layers = endOf(graph, headLayers).join(", ") || "a layer of several outputs";
    return new QdgError(
      "unsupported-model",
      "model",
      "no head was found: looked for a Dense layer, or a 1x1 Conv2D before pooling or a softmax, that alone gives the " +
        `output; ${reason}; it ends in ${layers} and gives ${shapeText(output.shape)}; end the model before its head, and one is added`,
    );
  };
  const found = findHead(graph, headLayers);
  if (found.kind === "none") throw notFound(found.reason);
  if (keeps && (found.kind !== "head" || found.classes !== classes)) {
    const got = found.kind === "head" ? `a head of ${found.classes} classes` : "no head";
    throw new QdgError(
      "usage",
      "keep head",
      `the model has ${got}, the data ${classes} classes; let the head be replaced`,
    );
  }
  const head: NewHead = { found, classes, seed, keeps };
  const made = isOnnxNetwork(model) ? networkWithHead(model, head) : layersWithHead(model, head);
  const shape = graphOf(made).outputs[0]?.shape ?? [];
  if (shape.length !== 2 || shape[1] !== classes) {
    throw notFound(`with ${classes} classes it would give ${shapeText(shape)}`);
  }
  return keeps ? made : withoutOldClasses(made);
}

/** Where each node is a layer of its own. */
const NODES: HeadLayers = {
  titleOf: ({ origin, op }) => `${origin} (${op})`,
  canBeHead: () => true,
};

/** Without labels and learned scales, which are those of the old head. */
function withoutOldClasses<M extends TrainableModel>(model: M): M {
  const { qdg, ...others } = model.userDefinedMetadata ?? {};
  const { version, preprocessing } = (qdg ?? {}) as {
    readonly version?: unknown;
    readonly preprocessing?: unknown;
  };
  const kept = preprocessing === undefined ? {} : { qdg: { version, quantizers: {}, preprocessing } };
  const changed = { ...model, userDefinedMetadata: model.userDefinedMetadata && { ...others, ...kept } };
  if (!("metadata" in changed)) return changed;
  const { metadata, ...rest } = changed;
  const stated = metadata?.preprocessing;
  return { ...rest, ...(stated ? { metadata: { preprocessing: stated } } : {}) } as M;
}

function shapeText(shape: readonly Dim[]): string {
  return `[${shape.join(", ")}]`;
}
