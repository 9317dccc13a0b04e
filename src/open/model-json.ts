// A model.json becomes a Model: which of tfjs's two formats it has, and what it says of itself.

import { layersModelMetadata } from "../model/layers-model-metadata.js";
import { parseLearned } from "../quant/learned.js";
import { readLayersModel } from "../read/layers-model.js";
import { readJsonFile, readLayersFiles } from "../read/read-model.js";
import type { Model, OpenOptions } from "./open-model.js";

/** @throws QdgError what {@link readLayersFiles} and {@link readLayersModel} throw */
export async function openModelJson(path: string, options: OpenOptions): Promise<Model> {
  const { layout = "nhwc" } = options;
  const file = await readJsonFile(path);
  const files = await readLayersFiles(file);
  const learned = parseLearned(files.json.userDefinedMetadata);
  const described = { userDefinedMetadata: files.json.userDefinedMetadata, metadata: files.metadata ?? null };
  return {
    path: file.path,
    graph: readLayersModel(files.json, files.weights, { layout }),
    facts: { layout, ...layersModelMetadata(described, path) },
    learned,
    sourceHash: files.sourceHash,
    warnings: files.warnings,
  };
}
