// A layers-model in its classic form: topology and names of weights as Keras 2 and tfjs-layers 4.22 have them, whoever
// wrote the file. The reader, training and stock tfjs all get this one, so that they speak of the same layers. Only
// rewrites; what cannot be computed the reader refuses.

import { QdgError } from "../../base/error.js";
import type { Tensor } from "../../base/tensor.js";
import type { ModelJson } from "../model-json.js";
import type { Weights } from "../weights.js";
import { classicContainer } from "./containers.js";
import { isKeras3, leavesOf, sourceEntry } from "./source-layers.js";
import { classicWeightNames } from "./weight-names.js";

export interface ClassicModel {
  readonly json: ModelJson;
  /** By their names in the classic form, in the file's order; those that no layer's result depends on are left out. */
  readonly weights: Weights;
}

/**
 * The same model in the classic form; one that has it already comes back equal.
 *
 * - `batch_shape`, policies of types, `inbound_nodes` as args and kwargs, flat `input_layers`: as Keras 2 writes them
 * - operators on tensors, and layers that tfjs lacks but can compute (Normalization, Subtract): layers that it has
 * - layers that act in training only: Dropout
 * - weights: `layer/kernel`, and the keys of learned scales in `userDefinedMetadata.qdg` with them
 *
 * @throws QdgError `unsupported-layer` for what Keras computes otherwise than tfjs does, with the layer;
 * `invalid-model`, `invalid-weights`
 */
export function classicModel(json: ModelJson, weights: Weights): ClassicModel {
  const outermost = sourceEntry(json.topology);
  if (!outermost) return { json, weights };
  const keras3 = isKeras3(json.topology);
  const leaves = leavesOf(json.topology, keras3);
  const names = classicWeightNames(leaves, weights.keys());
  const classicNames = new Map(leaves.map((leaf) => [leaf.json, leaf.classicName]));
  /** Weights that went into the topology as numbers. */
  const spent = new Set<string>();
  const renamed = new Map<string, Tensor>();
  for (const [own, tensor] of weights) {
    const name = names.get(own);
    if (typeof name !== "string") continue;
    if (renamed.has(name)) {
      const what = `is a second ${name}; give each layer a name of its own and save the model again`;
      throw new QdgError("invalid-weights", own, what);
    }
    renamed.set(name, tensor);
  }
  const topology = classicContainer(outermost, {
    keras3,
    nameOf: (entry, name) => classicNames.get(entry) ?? name,
    weight: (layer) => (name) => {
      for (const all of ["mean", "variance", "count"]) spent.add(`${layer}/${all}`);
      return renamed.get(`${layer}/${name}`);
    },
  });
  return {
    json: { ...json, topology, userDefinedMetadata: withClassicNames(json.userDefinedMetadata, names) },
    weights: new Map([...renamed].filter(([name]) => !spent.has(name))),
  };
}

/** Learned scales of weights by the classic names; a key that is no weight's own name in the file stays. */
function withClassicNames(metadata: unknown, names: ReadonlyMap<string, string | null>): unknown {
  if (typeof metadata !== "object" || metadata === null || Array.isArray(metadata)) return metadata;
  const { qdg } = metadata as { readonly qdg?: unknown };
  if (typeof qdg !== "object" || qdg === null) return metadata;
  const { quantizers } = qdg as { readonly quantizers?: unknown };
  if (typeof quantizers !== "object" || quantizers === null || Array.isArray(quantizers)) return metadata;
  const entries = Object.entries(quantizers).map(([key, value]) => [names.get(key) ?? key, value]);
  return { ...metadata, qdg: { ...qdg, quantizers: Object.fromEntries(entries) } };
}
