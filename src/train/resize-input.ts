// Gives a model another image size. The weights stay; whether they fit is what reading the result as a graph
// tells, so nothing is computed about layers here.

import { errorText, QdgError } from "../base/error.js";
import { cloneGraph, type Dim, type Graph, type Value } from "../graph/graph.js";
import { hasChannelsFirst } from "../read/layers-model.js";
import { checkModelJson } from "../read/model-json.js";
import { checkSizes } from "./check-sizes.js";
import type { LayersModel } from "./layers-model-file.js";
import { onnxNetwork, type OnnxNetwork } from "./onnx-network.js";
import {
  callsOf,
  classOf,
  configOf,
  type Editable,
  editableCopy,
  type EditableObject,
  type Entry,
  getField,
  isContainerEntry,
  layersOf,
  nameOf,
  setField,
} from "./topology.js";
import { graphOf, isOnnxNetwork, namedGraphOf, type TrainableModel } from "./trainable-model.js";

/**
 * The model for square images of `imageSize`. Of a layers-model every layer and container that the image enters declares
 * [N, size, size, C]; shapes that are declared further on have no meaning in tfjs and stay. Of another the input does, and all other
 * shapes are told anew. The model must have one image input, and weights that do not depend on its size.
 *
 * @param imageSize pixels on each side, 1..8192
 * @throws QdgError `usage` for another size; `unsupported-model` where a layer has weights for one size only (Dense
 * after Flatten), where the image gets too small on its way (with the layer), and for other inputs
 */
export function resizeInput(model: LayersModel, imageSize: number): LayersModel;
export function resizeInput(model: OnnxNetwork, imageSize: number): OnnxNetwork;
export function resizeInput(model: TrainableModel, imageSize: number): TrainableModel;
export function resizeInput(model: TrainableModel, imageSize: number): TrainableModel {
  if (!Number.isInteger(imageSize) || imageSize < 1 || imageSize > 8192) {
    throw new QdgError("usage", "image size", `got ${imageSize}, expected an integer in 1..8192`);
  }
  const { graph: before, layout } = namedGraphOf(model);
  const shape = imageShape(model, before);
  const [height, width] = shape.slice(layout === "nchw" ? 2 : 1);
  if (height === imageSize && width === imageSize) return model;
  const from = `${height}x${width}`;
  let resized: TrainableModel;
  let after: Graph;
  try {
    resized = isOnnxNetwork(model) ? networkOfSize(model, before, imageSize) : layersOfSize(model, imageSize);
    after = graphOf(resized);
  } catch (thrown) {
    throw doesNotFit(thrown, from, imageSize);
  }
  after.outputs.forEach((output, index) => {
    const old = before.outputs[index]?.shape ?? [];
    if (output.shape.length === 2 && output.shape[1] !== old[1]) {
      throw new QdgError(
        "unsupported-model",
        output.name,
        `gives ${output.shape[1]} numbers for images of ${imageSize} px, ${old[1]} for ${from}; ` +
          "give a model that pools globally, or images of the old size",
      );
    }
  });
  return resized;
}

/** The shape of the one input. */
function imageShape(model: TrainableModel, { inputs }: Graph): readonly Dim[] {
  const [input] = inputs;
  if (!input || inputs.length > 1 || input.shape.length !== 4) {
    const got = inputs.map(({ shape }) => `[${shape.join(", ")}]`).join(" and ");
    const expected = isOnnxNetwork(model) && model.layout === "nchw" ? "[N, C, H, W]" : "[N, H, W, C]";
    throw new QdgError("unsupported-model", "model", `has inputs ${got}, expected one of images ${expected}`);
  }
  const isChannelsFirst =
    !isOnnxNetwork(model) &&
    hasChannelsFirst(checkModelJson({ modelTopology: model.topology }, "model").topology);
  if (isChannelsFirst) {
    throw new QdgError(
      "unsupported-model",
      input.name,
      "has its channels first, expected channels last; save the model with channelsLast layers",
    );
  }
  return input.shape;
}

function networkOfSize(
  { layout, userDefinedMetadata }: OnnxNetwork,
  graph: Graph,
  size: number,
): OnnxNetwork {
  const sized = cloneGraph(graph);
  const [input] = sized.inputs as [Value];
  const [n = "N", c = "C"] = layout === "nchw" ? input.shape : [input.shape[0], input.shape[3]];
  input.shape = layout === "nchw" ? [n, c, size, size] : [n, size, size, c];
  const network = onnxNetwork(sized, layout, userDefinedMetadata);
  checkSizes(network.graph);
  return network;
}

function layersOfSize(model: LayersModel, size: number): LayersModel {
  const topology = editableCopy(model.topology);
  declare(topology, size);
  return { ...model, topology };
}

/** Writes the size into what the container's input enters first, and into the containers there. */
function declare(container: Entry, size: number): void {
  const layers = layersOf(container);
  for (const key of ["batchInputShape", "buildInputShape"]) resizeField(configOf(container), key, 1, size);
  const inputs = new Set(layers.filter((entry) => classOf(entry) === "InputLayer").map(nameOf));
  const isFirst = (entry: Entry, index: number): boolean => {
    if (classOf(entry) === "InputLayer") return true;
    if (classOf(container) === "Sequential") return index === inputs.size;
    return callsOf(entry).some((call) => call.every(([layer]) => inputs.has(layer as string)));
  };
  for (const entry of layers.filter(isFirst)) {
    if (isContainerEntry(entry)) {
      declare(entry, size);
      continue;
    }
    resizeField(configOf(entry), "batchInputShape", 1, size);
    resizeField(configOf(entry), "inputShape", 0, size);
  }
  // What Keras notes about the sizes that it has built layers for; it does so again.
  for (const entry of layers) delete entry["build_config"];
}

/** Replaces H and W, which begin at `axis` of the shape under `key`, where there is one. */
function resizeField(config: EditableObject, key: string, axis: number, size: number): void {
  const shape = getField(config, key);
  if (!Array.isArray(shape) || shape.length !== axis + 3) return;
  const resized: Editable[] = [...shape];
  resized.splice(axis, 2, size, size);
  setField(config, key, resized);
}

/** Why a model that was read at one size is not at another, by what the reader says. */
function doesNotFit(thrown: unknown, from: string, size: number): unknown {
  if (!(thrown instanceof QdgError)) return thrown;
  const { code, where } = thrown;
  const said = errorText(thrown).slice(where.length + 2, -(code.length + 3));
  const reason =
    code === "invalid-weights"
      ? `its weights are for images of ${from}, not ${size} px (${said}): there is one for each place of the image, as in a Dense layer after Flatten; ` +
        "give a model that pools globally before its head (GlobalAveragePooling2D), or images of the old size"
      : said.includes("does not fit the space")
        ? `images of ${size} px are too small: ${said}; give larger ones (the model was made for ${from})`
        : `cannot be computed for images of ${size} px (the model was made for ${from}): ${said}; ` +
          "give another size, often a multiple of 32, or a model that pools globally";
  return new QdgError("unsupported-model", where, reason, { cause: thrown });
}
