// A model in training, whatever file it came from: one question is asked here and nowhere behind it, which of two kinds it is.
// A layers-model keeps its layers, so that stock tfjs loads what is trained; what has none is written as ONNX.

import { join } from "node:path";
import { readJsonFile } from "../read/read-model.js";
import { isGraphModel } from "../read/model-json.js";
import { modelPath } from "../read/model-path.js";
import type { Graph } from "../graph/graph.js";
import type { Layout } from "../image/to-tensor.js";
import { type LayersModel, layersGraph, loadLayersModel, saveLayersModel } from "./layers-model-file.js";
import {
  loadOnnxNetwork,
  onnxGraph,
  type OnnxNetwork,
  saveOnnxNetwork,
  structureOf,
} from "./onnx-network.js";

export type TrainableModel = LayersModel | OnnxNetwork;

/** A graph in real numbers, and where its weights stand in the model. */
export interface NamedGraph {
  readonly graph: Graph;
  /** Constant of the graph -> weight of the model. */
  readonly weightNames: ReadonlyMap<string, string>;
  /** Of the image that it takes. */
  readonly layout: Layout;
}

export function isOnnxNetwork(model: TrainableModel): model is OnnxNetwork {
  return "graph" in model;
}

/**
 * Reads a layers-model, a graph-model (model.json, or its folder) or an ONNX file.
 *
 * @param onWarning told what is odd about a file of the last two although it can be read
 * @throws QdgError what `loadLayersModel` and `loadOnnxNetwork` throw
 */
export async function loadModel(
  given: string,
  onWarning?: (warning: string) => void,
): Promise<TrainableModel> {
  const { kind, path } = await modelPath(given);
  const hasLayers = kind === "model-json" && !isGraphModel((await readJsonFile(path)).parsed);
  return hasLayers ? loadLayersModel(path) : loadOnnxNetwork(path, onWarning);
}

/** What a model is called in the folder of its run. */
export function fileNameOf(model: TrainableModel): "model.json" | "model.onnx" {
  return isOnnxNetwork(model) ? "model.onnx" : "model.json";
}

/**
 * Writes the model under its name into `folder`.
 *
 * @returns the path
 * @throws QdgError what `saveLayersModel` and `saveOnnxNetwork` throw
 */
export async function saveModel(
  folder: string,
  model: TrainableModel,
  options: { readonly force?: boolean } = {},
): Promise<string> {
  const path = join(folder, fileNameOf(model));
  if (isOnnxNetwork(model)) await saveOnnxNetwork(path, model, options);
  else await saveLayersModel(path, model, options);
  return path;
}

/** The float graph of a model with its weights as they stand. @throws QdgError as reading a layers-model */
export function graphOf(model: TrainableModel): Graph {
  return namedGraphOf(model).graph;
}

/** The same, with the names of its weights. @throws the same */
export function namedGraphOf(model: TrainableModel): NamedGraph {
  if (!isOnnxNetwork(model)) return { ...layersGraph(model), layout: "nhwc" };
  const weightNames = new Map([...model.weights.keys()].map((name) => [name, name]));
  return { graph: onnxGraph(model), weightNames, layout: model.layout };
}

/** Number of weights, statistics of batch normalization among them. */
export function countWeights({ weights }: TrainableModel): number {
  return [...weights.values()].reduce((sum, { data }) => sum + data.length, 0);
}

/** How the model computes, weights aside: two of one text differ in their weights alone. */
export function structureText(model: TrainableModel): string {
  return isOnnxNetwork(model) ? structureOf(model) : JSON.stringify(model.topology);
}
