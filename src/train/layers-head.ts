// Writes another head into the layers of a layers-model, where the graph was found to have it.

import { QdgError } from "../base/error.js";
import type { Tensor } from "../base/tensor.js";
import type { Node } from "../graph/graph.js";
import { hasChannelsFirst } from "../read/layers-model.js";
import { camelCase, checkModelJson } from "../read/model-json.js";
import { namedByPosition } from "../read/weight-store.js";
import { CLASSIFYING, type Head, type HeadLayers } from "./find-head.js";
import { type LayersModel, layersGraph } from "./layers-model-file.js";
import { freshBias, freshKernel, type NewHead } from "./new-head.js";
import {
  allEntries,
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
} from "./topology.js";

/** The layers whose nodes may be a head: others have a Gemm or a 1x1 Conv within (TimeDistributed, SeparableConv2D). */
const HEAD_CLASSES: ReadonlySet<string> = new Set(["Dense", "Conv2D"]);

export function headLayersOf({ topology }: LayersModel): HeadLayers {
  const entries = new Map([...allEntries(editableCopy(topology))].map((entry) => [nameOf(entry), entry]));
  return {
    titleOf({ origin, op }) {
      const entry = entries.get(origin);
      return entry ? describeEntry(entry) : `${origin} (${op})`;
    },
    canBeHead({ origin }) {
      const entry = entries.get(origin);
      return entry !== undefined && HEAD_CLASSES.has(classOf(entry));
    },
  };
}

/** @throws QdgError `unsupported-model` for a feature map with its channels first, or two layers of the head's name */
export function layersWithHead(model: LayersModel, head: NewHead): LayersModel {
  const { found, keeps } = head;
  const topology = editableCopy(model.topology);
  if (found.kind === "features") return withAppended(model, topology, head);
  const weights = keeps ? model.weights : resized(model, topology, found, head);
  makeSoftmax(topology, found);
  return { ...model, topology, weights };
}

function entryOf(topology: Entry, { origin }: Node): Entry {
  const [entry, ...others] = [...allEntries(topology)].filter((each) => nameOf(each) === origin);
  if (entry && others.length === 0) return entry;
  throw new QdgError(
    "unsupported-model",
    origin,
    `is the name of ${others.length + (entry ? 1 : 0)} layers, expected one; give each layer a name of its own`,
  );
}

/** Sets the sizes that speak of the old number. @returns the weights, those of the head fresh */
function resized(
  model: LayersModel,
  topology: Entry,
  { node, classes: before, after }: Head,
  head: NewHead,
): LayersModel["weights"] {
  const { classes } = head;
  const entry = entryOf(topology, node);
  setField(configOf(entry), classOf(entry) === "Dense" ? "units" : "filters", classes);
  const reshapes = after.filter(({ op }) => op === "Reshape").map((each) => entryOf(topology, each));
  for (const layer of reshapes.filter((each) => classOf(each) === "Reshape")) {
    const target = getField(configOf(layer), "targetShape") as number[];
    setField(
      configOf(layer),
      "targetShape",
      target.map((size) => (size === before ? classes : size)),
    );
  }
  const { weightNames } = layersGraph(model);
  const weights = new Map(model.weights);
  for (const what of ["kernel", "bias"]) {
    const name = weightNames.get(`${node.origin}/${what}`) ?? weightNames.get(`${node.origin}/${what}_last`);
    const old = name === undefined ? undefined : weights.get(name);
    if (name === undefined || old === undefined) continue;
    const shape = [...old.shape.slice(0, -1), classes];
    weights.set(name, what === "bias" ? freshBias(head) : freshKernel(head, name, shape));
  }
  return weights;
}

/** The softmax that is there, made of what is there, or added. */
function makeSoftmax(topology: Entry, { node, after }: Head): void {
  const present = after.find(({ op }) => CLASSIFYING.has(op));
  const entry = entryOf(topology, present ?? node);
  if (present) {
    const isSoftmax = classOf(entry) === "Softmax" || activationOf(entry) === "softmax";
    if (!isSoftmax) setField(configOf(entry), "activation", "softmax");
    return;
  }
  const isLast = after.every(({ origin }) => origin === node.origin);
  if (classOf(entry) === "Dense" && isLast) setField(configOf(entry), "activation", "softmax");
  else {
    const name = freeName(topology, "softmax");
    appendLayer(topology, "Activation", { name, trainable: true, activation: "softmax" });
  }
}

/** In camel case; "linear" for layers that have none. */
function activationOf(entry: Entry): string {
  const value = getField(configOf(entry), "activation") ?? "linear";
  const name = typeof value === "object" && !Array.isArray(value) ? getField(value, "className") : value;
  return typeof name === "string" ? camelCase(name) : "linear";
}

function withAppended(model: LayersModel, topology: Entry, head: NewHead): LayersModel {
  const { classes } = head;
  const shape = layersGraph(model).graph.outputs[0]?.shape ?? [];
  const channels = shape.at(-1);
  if (typeof channels !== "number") {
    throw new QdgError("unsupported-model", "model", `gives ${channels} channels, expected a known number`);
  }
  if (shape.length === 4) {
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
  const weights = new Map<string, Tensor<"float32">>(model.weights);
  const [kernel, bias] = namedByPosition(weights)
    ? ([`${name}/0`, `${name}/1`] as const)
    : ([`${name}/kernel`, `${name}/bias`] as const);
  weights.set(kernel, freshKernel(head, kernel, [channels, classes]));
  weights.set(bias, freshBias(head));
  const config: Record<string, Editable> = { name, trainable: true, units: classes };
  appendLayer(topology, "Dense", { ...config, activation: "softmax", use_bias: true });
  return { ...model, topology, weights };
}
