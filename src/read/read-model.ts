// Reads a tfjs model from disk: model.json, the shards and Teachable Machine's metadata.json beside it.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { readBytes, readError } from "../base/read-bytes.js";
import type { Graph } from "../graph/graph.js";
import { classicModel } from "./classic/classic-model.js";
import { readLayersModel, type ReadOptions } from "./layers-model.js";
import { parseTeachableMachineMetadata, type TeachableMachineMetadata } from "./metadata.js";
import { checkModelJson, type ModelJson, parseJson } from "./model-json.js";
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
  return readLayersFiles(await readJsonFile(path));
}

/** A model.json of either format, before anybody has looked at what it says. */
export interface JsonFile {
  /** Of the file, where its folder was given too. */
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly parsed: unknown;
}

/** @throws QdgError `not-found`, `io`, `invalid-json`, `unsupported-model` */
export async function readJsonFile(given: string): Promise<JsonFile> {
  const path = await modelJsonPath(given);
  const bytes = await readBytes(path);
  return { path, bytes, parsed: parseJson(bytes.toString("utf8"), path) };
}

/** {@link readModelFiles} of a file that is read already. */
export async function readLayersFiles({ path: file, bytes, parsed }: JsonFile): Promise<ModelFiles> {
  const json = checkModelJson(parsed, file);
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
