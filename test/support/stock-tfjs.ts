// What stock tfjs makes of a model of src/train: it loads the very files, and is compared with the graph.

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { type LayersModel, loadLayersModel, saveLayersModel } from "../../src/train/layers-model-file.js";
import { graphOf } from "../../src/train/trainable-model.js";
import {
  type Comparison,
  compareGraph,
  type CompareOptions,
  randomizeWeights,
  removeFolder,
  saveLayersModel as saveByTfjs,
  saveToFolder,
  seeded,
} from "./layers-models.js";

/** A tfjs model with random weights, as it is after saving and loading. */
export async function modelOf(model: tf.LayersModel, seed = 1): Promise<LayersModel> {
  randomizeWeights(model, seeded(seed));
  const { folder, path } = await saveToFolder(await saveByTfjs(model));
  try {
    return await loadLayersModel(path);
  } finally {
    await removeFolder(folder);
  }
}

/** Loads model.json and its shards by tfjs's own reader. */
export async function loadByTfjs(path: string): Promise<tf.LayersModel> {
  const json = JSON.parse(await readFile(path, "utf8")) as {
    modelTopology: object;
    weightsManifest: { paths: string[]; weights: tf.io.WeightsManifestEntry[] }[];
  };
  const shards: Buffer[] = [];
  for (const group of json.weightsManifest) {
    for (const shard of group.paths) shards.push(await readFile(join(dirname(path), shard)));
  }
  const weightData = new Uint8Array(Buffer.concat(shards)).buffer;
  const weightSpecs = json.weightsManifest.flatMap((group) => group.weights);
  return tf.loadLayersModel(tf.io.fromMemory({ modelTopology: json.modelTopology, weightSpecs, weightData }));
}

export async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "qdg-model-"));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Saves the model, loads it by tfjs, and runs both that and our graph of it (ONNX Runtime). */
export async function compareWithTfjs(
  model: LayersModel,
  options: CompareOptions = {},
): Promise<Comparison & { readonly stock: tf.LayersModel }> {
  return inFolder(async (folder) => {
    const path = join(folder, "model.json");
    await saveLayersModel(path, model);
    const stock = await loadByTfjs(path);
    return { stock, ...(await compareGraph(stock, graphOf(model), options)) };
  });
}

/** The model with the weights of one name times a factor: probabilities that are neither 0 nor 1. */
export function scaleWeight(model: LayersModel, name: string, factor: number): LayersModel {
  const weight = model.weights.get(name);
  if (!weight) throw new Error(`no weight ${name}`);
  const weights = new Map(model.weights);
  weights.set(name, { ...weight, data: weight.data.map((x) => x * factor) });
  return { ...model, weights };
}
