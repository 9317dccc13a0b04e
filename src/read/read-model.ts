// Reads a tfjs model from disk: model.json, the shards and Teachable Machine's metadata.json beside it.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { errorText, QdgError } from "../base/error.js";
import type { Graph } from "../graph/graph.js";
import { classicModel } from "./classic/classic-model.js";
import { readLayersModel, type ReadOptions } from "./layers-model.js";
import { parseTeachableMachineMetadata, type TeachableMachineMetadata } from "./metadata.js";
import { type ModelJson, parseModelJson } from "./model-json.js";
import { parseManifest, readWeights, type Weights } from "./weights.js";

export interface ReadModel {
  readonly graph: Graph;
  /** As it stands in model.json, null when absent. Scales that training has learned travel here. */
  readonly userDefinedMetadata: unknown;
  /** SHA-256 over model.json and the shards in the manifest's order, in hexadecimal. */
  readonly sourceHash: string;
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
  readonly metadata?: TeachableMachineMetadata;
}

/**
 * Reads the layers-model whose model.json is at `path`.
 *
 * @throws QdgError what {@link readModelFiles} and {@link readLayersModel} throw
 */
export async function readModel(path: string, options: ReadOptions = {}): Promise<ReadModel> {
  const { json, weights, sourceHash, metadata } = await readModelFiles(path);
  return {
    graph: readLayersModel(json, weights, options),
    userDefinedMetadata: json.userDefinedMetadata,
    sourceHash,
    ...(metadata ? { metadata } : {}),
  };
}

/**
 * Reads model.json, its shards, and the metadata.json beside it.
 *
 * @throws QdgError `not-found`, `io`, `invalid-json`, `unsupported-model`, `invalid-path`, `invalid-weights`, and what
 * {@link classicModel} throws
 */
export async function readModelFiles(path: string): Promise<ModelFiles> {
  const bytes = await readBytes(path);
  if (!bytes) throw new QdgError("not-found", path, "there is no such file; give the path of a model.json");
  const json = parseModelJson(bytes.toString("utf8"), path);
  const hash = createHash("sha256").update(bytes);
  const stored = await readWeights(parseManifest(json.weightsManifest, path), path, hash);
  const metadata = await readMetadata(join(dirname(path), "metadata.json"));
  return { ...classicModel(json, stored), sourceHash: hash.digest("hex"), ...(metadata ? { metadata } : {}) };
}

async function readMetadata(path: string): Promise<TeachableMachineMetadata | undefined> {
  const bytes = await readBytes(path);
  return bytes ? parseTeachableMachineMetadata(bytes.toString("utf8"), path) : undefined;
}

/** Undefined when there is no such file. @throws QdgError `io` for any other reason */
async function readBytes(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new QdgError("io", path, `cannot be read: ${errorText(thrown)}`, { cause: thrown });
  }
}
