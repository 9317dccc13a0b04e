// Gives a layers-model a head for other classes. Only what is found for sure is replaced: a guess would train a
// network that is not the one asked for.

import { QdgError } from "../base/error.js";
import type { Tensor } from "../base/tensor.js";
import type { Dim } from "../graph/graph.js";
import { hasChannelsFirst } from "../read/layers-model.js";
import { camelCase, checkModelJson } from "../read/model-json.js";
import { namedByPosition } from "../read/weight-store.js";
import { graphOf, type LayersModel, namedGraphOf } from "./layers-model-file.js";
import { constantWeight, headNormal } from "./models/initial-weights.js";
import {
  appendLayer,
  classOf,
  configOf,
  describeEntry,
  type Editable,
  editableCopy,
  type Entry,
  freeName,
  getField,
  nameOf,
  setField,
  tailOf,
  type TailLayer,
} from "./topology.js";

export interface ReplaceHeadOptions {
  /** Keep the weights of a head that has the right number of classes already. */
  readonly keepHead?: boolean;
}

/** Activations that make probabilities, so that what gives their input gives one number a class. */
const CLASSIFYING: ReadonlySet<string> = new Set(["softmax", "logSoftmax", "sigmoid"]);
/** Trained features can be large: a fresh head begins near the same probability for every class. */
const HEAD_GAIN = 0.1;
/** They make a vector of a map, one number a channel where the head is right. */
const POOLING: ReadonlySet<string> = new Set([
  "Flatten",
  "Reshape",
  "GlobalAveragePooling2D",
  "GlobalMaxPooling2D",
  "AveragePooling2D",
]);
const NOISE: ReadonlySet<string> = new Set(["Dropout", "AlphaDropout", "GaussianDropout", "GaussianNoise"]);
const RECTIFIERS: ReadonlySet<string> = new Set(["ReLU", "LeakyReLU", "ELU", "ThresholdedReLU"]);

/**
 * The model with an output of [N, classes] probabilities.
 *
 * The head is the last Dense, or the last 1x1 Conv2D before pooling or a softmax, that gives the output: it gets
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
  options: ReplaceHeadOptions = {},
): LayersModel {
  if (!Number.isInteger(classes) || classes < 2 || classes > 65536) {
    throw new QdgError("usage", "classes", `got ${classes}, expected an integer in 2..65536`);
  }
  const { graph, weightNames } = namedGraphOf(model);
  const [output, ...more] = graph.outputs;
  if (!output || more.length > 0) {
    throw new QdgError("unsupported-model", "model", `has ${graph.outputs.length} outputs, expected 1`);
  }
  const topology = editableCopy(model.topology);
  const found = findHead([...tailOf(topology)], output.shape);
  const weights = new Map(model.weights);
  const keeps = options.keepHead ?? false;
  if (found.kind === "none") throw notFound(topology, output.shape, found.reason);
  if (keeps) {
    const units = found.kind === "head" ? found.units : 0;
    if (units !== classes) {
      const got = units === 0 ? "no head" : `a head of ${units} classes`;
      throw new QdgError(
        "usage",
        "keep head",
        `the model has ${got}, the data ${classes} classes; let the head be replaced`,
      );
    }
  }
  if (found.kind === "features") {
    appendHead(topology, weights, output.shape, classes, seed);
  } else {
    if (!keeps) resizeHead(found, weights, weightNames, classes, seed);
    makeSoftmax(topology, found);
  }
  const replaced: LayersModel = keeps
    ? { ...model, topology }
    : { ...withoutOldClasses(model), topology, weights };
  const shape = graphOf(replaced).outputs[0]?.shape ?? [];
  if (shape.length !== 2 || shape[1] !== classes) {
    throw notFound(topology, output.shape, `with ${classes} classes it would give [${shape.join(", ")}]`);
  }
  return replaced;
}

interface Head {
  readonly kind: "head";
  readonly entry: Entry;
  readonly units: number;
  /** The layers between it and the output, last first. */
  readonly after: readonly Entry[];
}

/** "none": neither a head nor features, for the reason given. */
type Found = Head | { readonly kind: "features" } | { readonly kind: "none"; readonly reason: string };

/** Goes back from the output to the layer that decides. */
function findHead(tail: readonly TailLayer[], output: readonly Dim[]): Found {
  const rank = output.length;
  const after: Entry[] = [];
  let classifying = false;
  let rectified = false;
  let pooled = false;
  const features = (): Found => {
    if (classifying) return { kind: "none", reason: "what its probabilities come from is neither" };
    if (rank === 4 || (rank === 2 && (pooled || rectified))) return { kind: "features" };
    return {
      kind: "none",
      reason: "nor does it end in features (a feature map, pooling, a rectified Dense)",
    };
  };
  for (const { entry, shared } of tail) {
    const className = classOf(entry);
    const activation = activationOf(entry);
    const weighted = className === "Dense" || isPointwise(entry);
    if (weighted) {
      classifying ||= CLASSIFYING.has(activation);
      rectified ||= activation !== "linear";
      const gives = className === "Dense" || pooled || classifying;
      if (!gives || (rectified && !classifying)) return features();
      if (shared) return { kind: "none", reason: `${describeEntry(entry)} is used elsewhere too` };
      const units = getField(configOf(entry), className === "Dense" ? "units" : "filters") as number;
      return { kind: "head", entry, units, after };
    }
    if (CLASSIFYING.has(activation)) classifying = true;
    else if (activation !== "linear" || RECTIFIERS.has(className)) rectified = true;
    else if (className !== "Activation" && !POOLING.has(className) && !NOISE.has(className))
      return features();
    pooled ||= POOLING.has(className);
    after.push(entry);
  }
  return features();
}

function isPointwise(entry: Entry): boolean {
  if (classOf(entry) !== "Conv2D") return false;
  const size = getField(configOf(entry), "kernelSize");
  return (Array.isArray(size) ? size : [size]).every((side) => side === 1);
}

/** In camel case; "linear" for layers that have none. */
function activationOf(entry: Entry): string {
  if (classOf(entry) === "Softmax") return "softmax";
  const value = getField(configOf(entry), "activation") ?? "linear";
  const name = typeof value === "object" && !Array.isArray(value) ? getField(value, "className") : value;
  return typeof name === "string" ? camelCase(name) : "linear";
}

/** Fresh weights for `classes` outputs, and the sizes that speak of the old number. */
function resizeHead(
  { entry, units, after }: Head,
  weights: Map<string, Tensor<"float32">>,
  weightNames: ReadonlyMap<string, string>,
  classes: number,
  seed: number,
): void {
  setField(configOf(entry), classOf(entry) === "Dense" ? "units" : "filters", classes);
  for (const layer of after.filter((other) => classOf(other) === "Reshape")) {
    const target = getField(configOf(layer), "targetShape") as number[];
    setField(
      configOf(layer),
      "targetShape",
      target.map((size) => (size === units ? classes : size)),
    );
  }
  for (const what of ["kernel", "bias"]) {
    const name = weightNames.get(`${nameOf(entry)}/${what}`);
    const old = name === undefined ? undefined : weights.get(name);
    if (name === undefined || old === undefined) continue;
    const shape = [...old.shape.slice(0, -1), classes];
    const fanIn = old.shape.at(-2) as number;
    const fresh =
      what === "bias" ? constantWeight(classes, 0) : headNormal(seed, name, shape, fanIn, HEAD_GAIN);
    weights.set(name, fresh);
  }
}

/** The softmax that is there, made of what is there, or added. */
function makeSoftmax(topology: Entry, { entry, after }: Head): void {
  const present = [...after, entry].find((layer) => CLASSIFYING.has(activationOf(layer)));
  if (present) {
    if (activationOf(present) !== "softmax") setField(configOf(present), "activation", "softmax");
    return;
  }
  if (classOf(entry) === "Dense" && after.length === 0) setField(configOf(entry), "activation", "softmax");
  else {
    const name = freeName(topology, "softmax");
    appendLayer(topology, "Activation", { name, trainable: true, activation: "softmax" });
  }
}

function appendHead(
  topology: Entry,
  weights: Map<string, Tensor<"float32">>,
  output: readonly Dim[],
  classes: number,
  seed: number,
): void {
  const channels = output.at(-1);
  if (typeof channels !== "number") {
    throw new QdgError("unsupported-model", "model", `gives ${channels} channels, expected a known number`);
  }
  if (output.length === 4) {
    if (hasChannelsFirst(checkModelJson({ modelTopology: topology }, "model").topology)) {
      throw new QdgError(
        "unsupported-model",
        "model",
        "ends in a feature map with channels first, expected channels last; save it with channelsLast layers",
      );
    }
    const name = freeName(topology, "pool");
    appendLayer(topology, "GlobalAveragePooling2D", { name, trainable: true, data_format: "channels_last" });
  }
  const name = freeName(topology, "classes");
  const [kernel, bias] = namedByPosition(weights)
    ? ([`${name}/0`, `${name}/1`] as const)
    : ([`${name}/kernel`, `${name}/bias`] as const);
  weights.set(kernel, headNormal(seed, kernel, [channels, classes], channels, HEAD_GAIN));
  weights.set(bias, constantWeight(classes, 0));
  const config: Record<string, Editable> = { name, trainable: true, units: classes };
  appendLayer(topology, "Dense", { ...config, activation: "softmax", use_bias: true });
}

/** Without labels and learned scales, which are those of the old head. */
function withoutOldClasses(model: LayersModel): LayersModel {
  const { metadata, userDefinedMetadata, ...rest } = model;
  const { qdg, ...others } = userDefinedMetadata ?? {};
  const { version, preprocessing } = (qdg ?? {}) as {
    readonly version?: unknown;
    readonly preprocessing?: unknown;
  };
  const kept = preprocessing === undefined ? {} : { qdg: { version, quantizers: {}, preprocessing } };
  return {
    ...rest,
    userDefinedMetadata: userDefinedMetadata && { ...others, ...kept },
    ...(metadata?.preprocessing ? { metadata: { preprocessing: metadata.preprocessing } } : {}),
  };
}

function notFound(topology: Entry, shape: readonly Dim[], reason: string): QdgError {
  const last = [...tailOf(topology)].slice(0, 4).reverse();
  const layers = last.map(({ entry }) => describeEntry(entry)).join(", ") || "a layer of several outputs";
  return new QdgError(
    "unsupported-model",
    "model",
    "no head was found: looked for a Dense layer, or a 1x1 Conv2D before pooling or a softmax, that alone gives the " +
      `output; ${reason}; it ends in ${layers} and gives [${shape.join(", ")}]; end the model before its head, and one is added`,
  );
}
