// The files of a graph-model: model.json and the shards beside it, checked and decoded before any node is read.

import { createHash } from "node:crypto";
import type { JsonFile } from "../read-model.js";
import { parseManifest, readWeights, type Weights } from "../weights.js";
import { checkGraphJson, type GraphJson } from "./graph-json.js";

export interface GraphFiles {
  readonly json: GraphJson;
  /** By the names of the constants, as numbers, whatever types the shards hold. */
  readonly weights: Weights;
  /** SHA-256 over model.json and the shards in the manifest's order, in hexadecimal. */
  readonly sourceHash: string;
  readonly warnings: readonly string[];
}

/** @throws QdgError `invalid-model`, `invalid-path`, `not-found`, `invalid-weights` */
export async function readGraphFiles({ path, bytes, parsed }: JsonFile): Promise<GraphFiles> {
  const json = checkGraphJson(parsed, path);
  const hash = createHash("sha256").update(bytes);
  const { weights, warnings } = await readWeights(parseManifest(json.weightsManifest, path), path, hash);
  return { json, weights, sourceHash: hash.digest("hex"), warnings };
}
