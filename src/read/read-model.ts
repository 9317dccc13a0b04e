// Reads a tfjs model from disk: model.json, the shards and Teachable Machine's metadata.json beside it.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { readBytes, readError } from "../base/read-bytes.js";
import type { Graph } from "../graph/graph.js";
import { classicModel } from "./classic/classic-model.js";
import { readLayersModel, type ReadOptions } from "./layers-model.js";
import { parseTeachableMachineMetadata, type TeachableMachineMetadata } from "./metadata.js";
import { type ModelJson, parseModelJson } from "./model-json.js";
import { modelJsonPath } from "./model-path.js";
import { parseManifest, readWeights, type Weights } from "./weights.js";

export interface ReadModel {
  readonly graph: Graph;
  /** As it stands in model.json, null when absent. Scales that training has learned travel here. */
  readonly userDefinedMetadata: unknown;
  /** SHA-256 over model.json and the shards in the manifest's order, in hexadecimal. */
  readonly sourceHash: string;
  /** What is odd about the files although they can be read. */
  readonly warnings: readonly string[];
  /** When there is a Teachable Machine metadata.json beside model.json. */
  readonly metadata?: TeachableMachineMetadata;
}

/** The files of a layers-model, checked, decoded and in the classic form, before any layer is read. */
export interface ModelFiles {
  readonly json: ModelJson;
  /** By tfjs's names, as numbers, whatever types the shards hold; those of an optimizer are left out. */
  readonly weights: Weights;
  /** See {@link ReadModel}. */
  readonly sourceHash: string;
  readonly warnings: readonly string[];
  readonly metadata?: TeachableMachineMetadata;
}

/**
 * Reads the layers-model whose model.json is at `path`, or in the folder there.
 *
 * @throws QdgError what {@link readModelFiles} and {@link readLayersModel} throw
 */
export async function readModel(path: string, options: ReadOptions = {}): Promise<ReadModel> {
  const { json, weights, sourceHash, warnings, metadata } = await readModelFiles(path);
  return {
    graph: readLayersModel(json, weights, options),
    userDefinedMetadata: json.userDefinedMetadata,
    sourceHash,
    warnings,
    ...(metadata ? { metadata } : {}),
  };
}

/**
 * Reads model.json (or the one in the folder that is given), its shards, and the metadata.json beside it.
 *
 * @throws QdgError `not-found`, `io`, `invalid-json`, `unsupported-model`, `invalid-path`, `invalid-weights`, and what
 * {@link classicModel} throws
 */
export async function readModelFiles(path: string): Promise<ModelFiles> {
  const file = await modelJsonPath(path);
  const bytes = await readBytes(file);
  const json = parseModelJson(bytes.toString("utf8"), file);
  const hash = createHash("sha256").update(bytes);
  const stored = await readWeights(parseManifest(json.weightsManifest, file), file, hash);
  const classic = classicModel(json, stored.weights);
  const metadata = await readMetadata(join(dirname(file), "metadata.json"));
  return {
    ...classic,
    sourceHash: hash.digest("hex"),
    warnings: stored.warnings,
    ...(metadata ? { metadata } : {}),
  };
}

async function readMetadata(path: string): Promise<TeachableMachineMetadata | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw readError(path, thrown);
  }
  return parseTeachableMachineMetadata(text, path);
}
