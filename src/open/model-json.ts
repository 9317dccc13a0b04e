// A model.json becomes a Model: which of tfjs's two formats it has, and what it says of itself.

import type { Graph } from "../graph/graph.js";
import { type DescribedModel, layersModelMetadata } from "../model/layers-model-metadata.js";
import { type LearnedQuantizers, parseLearned } from "../quant/learned.js";
import { learnedAtBits, withStatistics } from "../quant/learned-bits.js";
import { readGraphFiles } from "../read/graph-model/read-graph-files.js";
import { readGraphModelWithRanges } from "../read/graph-model/read-graph-model.js";
import { readLayersModel, type ReadOptions } from "../read/layers-model.js";
import { isGraphModel } from "../read/model-json.js";
import { type JsonFile, readJsonFile, readLayersFiles } from "../read/read-model.js";
import type { Model, OpenOptions } from "./open-model.js";

/** What either reader finds. */
interface Found {
  readonly graph: Graph;
  /** Scales that training has written, or that its own quantizers say. */
  readonly learned: LearnedQuantizers | null;
  readonly described: DescribedModel;
  readonly sourceHash: string;
  readonly warnings: readonly string[];
}

/** @throws QdgError what the two readers throw */
export async function openModelJson(path: string, options: OpenOptions): Promise<Model> {
  const { layout = "nhwc", bits } = options;
  const file = await readJsonFile(path);
  const read = isGraphModel(file.parsed) ? readGraph : readLayers;
  const { graph, learned, described, sourceHash, warnings } = await read(file, { layout }, bits);
  return {
    path: file.path,
    graph,
    facts: { layout, ...layersModelMetadata(described, path) },
    learned,
    sourceHash,
    warnings,
  };
}

async function readLayers(file: JsonFile, options: ReadOptions, bits: number | undefined): Promise<Found> {
  const { json, weights, sourceHash, warnings, metadata = null } = await readLayersFiles(file);
  const described = { userDefinedMetadata: json.userDefinedMetadata, metadata };
  const learned = parseLearned(json.userDefinedMetadata);
  const chosen = learned?.byBits && bits !== undefined ? learnedAtBits(learned, bits, "--bits") : null;
  const own = chosen ? withStatistics(weights, chosen.statistics) : weights;
  const graph = readLayersModel(json, own, options);
  return { graph, learned: chosen?.learned ?? learned, described, sourceHash, warnings };
}

async function readGraph(file: JsonFile, options: ReadOptions): Promise<Found> {
  const { json, weights, sourceHash, warnings } = await readGraphFiles(file);
  const described = { userDefinedMetadata: json.userDefinedMetadata };
  const { graph, learned } = readGraphModelWithRanges(json, weights, options, file.path);
  const written = parseLearned(json.userDefinedMetadata) ?? learned;
  return { graph, learned: written, described, sourceHash, warnings };
}
