// A model.json becomes a Model: which of tfjs's two formats it has, and what it says of itself.

import type { Graph } from "../graph/graph.js";
import { type DescribedModel, layersModelMetadata } from "../model/layers-model-metadata.js";
import { type LearnedQuantizers, parseLearned } from "../quant/learned.js";
import { readGraphFiles } from "../read/graph-model/read-graph-files.js";
import { readGraphModelWithRanges } from "../read/graph-model/read-graph-model.js";
import { readLayersModel, type ReadOptions } from "../read/layers-model.js";
import { isGraphModel } from "../read/model-json.js";
import { type JsonFile, readJsonFile, readLayersFiles } from "../read/read-model.js";
import type { Model, OpenOptions } from "./open-model.js";

/** What either reader finds. */
interface Found {
  readonly graph: Graph;
  /** Scales that its own quantizers say. */
  readonly learned?: LearnedQuantizers | null;
  readonly described: DescribedModel;
  readonly sourceHash: string;
  readonly warnings: readonly string[];
}

/** @throws QdgError what the two readers throw */
export async function openModelJson(path: string, { layout = "nhwc" }: OpenOptions): Promise<Model> {
  const file = await readJsonFile(path);
  const read = isGraphModel(file.parsed) ? readGraph : readLayers;
  const { graph, learned = null, described, sourceHash, warnings } = await read(file, { layout });
  return {
    path: file.path,
    graph,
    facts: { layout, ...layersModelMetadata(described, path) },
    learned: parseLearned(described.userDefinedMetadata) ?? learned,
    sourceHash,
    warnings,
  };
}

async function readLayers(file: JsonFile, options: ReadOptions): Promise<Found> {
  const { json, weights, sourceHash, warnings, metadata = null } = await readLayersFiles(file);
  const described = { userDefinedMetadata: json.userDefinedMetadata, metadata };
  return { graph: readLayersModel(json, weights, options), described, sourceHash, warnings };
}

async function readGraph(file: JsonFile, options: ReadOptions): Promise<Found> {
  const { json, weights, sourceHash, warnings } = await readGraphFiles(file);
  const described = { userDefinedMetadata: json.userDefinedMetadata };
  return {
    ...readGraphModelWithRanges(json, weights, options, file.path),
    described,
    sourceHash,
    warnings,
  };
}
