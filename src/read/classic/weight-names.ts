// What tfjs calls the weights of a file: Keras 3 names them by variable (`model/dense/kernel`), a .keras file by place
// (`layers/dense_1/vars/0`). Names only; tensors are not touched.

import { QdgError } from "../../base/error.js";
import { field, isMap, type JsonMap } from "../model-json.js";
import type { Leaf } from "./source-layers.js";

/**
 * For each name of the manifest the classic one, `layer/kernel`; null for what belongs to no layer's result (an
 * optimizer, a generator of seeds). A name that fits no layer stays, and the reader says that no layer has it.
 *
 * @throws QdgError `invalid-weights` for a name that may be of several layers
 */
export function classicWeightNames(
  leaves: readonly Leaf[],
  names: Iterable<string>,
): Map<string, string | null> {
  const byName = new Map<string, Leaf[]>();
  for (const leaf of leaves) byName.set(leaf.name, [...(byName.get(leaf.name) ?? []), leaf]);
  const byPath = new Map(leaves.map((leaf) => [leaf.path, leaf]));
  return new Map(
    [...names].map((name) => [name, byPlace(name, byPath) ?? byVariable(name, byName) ?? kept(name)]),
  );
}

/** Null is an answer, and `??` would pass over it; so what has no place in the model is told apart here. */
function kept(name: string): string | null {
  return isStateOf(name) ? null : name;
}

/** Kept in a .keras file beside the layers' weights: optimizers, metrics, generators of random numbers. */
function isStateOf(name: string): boolean {
  return (
    /^_?(optimizer|metrics|compile_metrics|loss_tracker)\/.*vars\/\d+$/.test(name) ||
    /\/seed_generator\//.test(name)
  );
}

/** `layers/dense_1/vars/0`, or in the first .keras files `_layer_checkpoint_dependencies/dense_1/vars/0`. */
function byPlace(name: string, byPath: ReadonlyMap<string, Leaf>): string | null {
  const parts = name.split("/").map((part) => (part === "_layer_checkpoint_dependencies" ? "layers" : part));
  const place = Number(parts.at(-1));
  if (parts.at(-2) !== "vars" || !Number.isSafeInteger(place)) return null;
  const path = parts.slice(0, -2);
  // A wrapper keeps its inner layer as `layer`.
  const leaf = byPath.get((path.at(-1) === "layer" ? path.slice(0, -1) : path).join("/"));
  const weight = leaf && weightsInOrder(leaf.className, leaf.config)[place];
  return leaf && weight !== undefined ? `${leaf.classicName}/${weight}` : null;
}

function byVariable(name: string, byName: ReadonlyMap<string, readonly Leaf[]>): string | null {
  const parts = name.split("/");
  const variable = parts.at(-1) as string;
  // In TimeDistributed the variable bears the names of both layers.
  for (const at of [parts.length - 2, parts.length - 3]) {
    const found = byName.get(parts[at] ?? "") ?? [];
    const leaf = found.length > 1 ? within(found, parts.slice(0, at), name) : found[0];
    if (leaf && (at === parts.length - 2 || leaf.className === "TimeDistributed")) {
      return `${leaf.classicName}/${classicVariable(leaf, variable)}`;
    }
  }
  return null;
}

/** Of layers of one name that which stands in the container that the name tells, or in the outermost where it tells none. */
function within(leaves: readonly Leaf[], around: readonly string[], name: string): Leaf {
  const inside = around.at(-1);
  const fitting = leaves.filter(({ containers }) =>
    inside === undefined ? containers.length === 1 : containers.at(-1) === inside,
  );
  const [leaf] = fitting;
  if (leaf && fitting.length === 1) return leaf;
  throw new QdgError(
    "invalid-weights",
    name,
    `may be of ${leaves.length} layers of that name (in ${leaves.map(({ containers }) => containers.join("/")).join(", ")}); give each layer a name of its own and save the model again`,
  );
}

/** Keras 3 calls the kernel of a DepthwiseConv2D `kernel`; a number is the place among the layer's weights. */
function classicVariable({ className, config }: Leaf, variable: string): string {
  const order = weightsInOrder(className, config);
  if (/^\d+$/.test(variable)) return order[Number(variable)] ?? variable;
  return variable === "kernel" && order[0] === "depthwise_kernel" && !order.includes("pointwise_kernel")
    ? "depthwise_kernel"
    : variable;
}

/** The weights of a layer in the order in which Keras and tfjs list them. */
function weightsInOrder(className: string, config: JsonMap): readonly string[] {
  const has = (key: string): boolean => field(config, key) !== false;
  const bias = has("useBias") ? ["bias"] : [];
  switch (className) {
    case "Dense":
    case "Conv1D":
    case "Conv2D":
    case "Conv3D":
    case "Conv2DTranspose":
    case "Conv3DTranspose":
      return ["kernel", ...bias];
    case "DepthwiseConv2D":
      return ["depthwise_kernel", ...bias];
    case "SeparableConv2D":
      return ["depthwise_kernel", "pointwise_kernel", ...bias];
    case "BatchNormalization":
    case "BatchNormalizationV1":
    case "BatchNormalizationV2":
    case "LayerNormalization": {
      const learned = [...(has("scale") ? ["gamma"] : []), ...(has("center") ? ["beta"] : [])];
      return className === "LayerNormalization" ? learned : [...learned, "moving_mean", "moving_variance"];
    }
    case "Embedding":
      return ["embeddings"];
    case "PReLU":
      return ["alpha"];
    case "Normalization":
      return ["mean", "variance", "count"];
    case "TimeDistributed": {
      const layer = field(config, "layer");
      const inner = isMap(layer) ? field(layer, "config") : undefined;
      const name = isMap(layer) ? field(layer, "className") : undefined;
      return typeof name === "string" && isMap(inner) ? weightsInOrder(name, inner) : [];
    }
    default:
      return [];
  }
}
