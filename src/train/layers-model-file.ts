// A layers-model in memory, between the files that it came from and the ones that it is written to: plain
// topology, weights by name. Knows no layer; what reads a topology is src/read, so that training sees the
// same graph as export.

import { readFile, unlink } from "node:fs/promises";
import { basename, dirname, join, normalize } from "node:path";
import { checkWritable, writeFilesAtomic } from "../base/atomic-file.js";
import { QdgError } from "../base/error.js";
import type { Tensor } from "../base/tensor.js";
import { VERSION } from "../base/version.js";
import type { Preprocessing } from "../image/preprocessing.js";
import { type NamedLayersModel, readLayersModelWithNames } from "../read/layers-model.js";
import { checkModelJson, type JsonObject, parseModelJson, toPlain } from "../read/model-json.js";
import { readModelFiles } from "../read/read-model.js";
import { parseManifest } from "../read/weights.js";
import { checkWeights } from "./check-weights.js";

export interface LayersModel {
  /** `{class_name, config}`, spelled as in the file it came from. */
  readonly topology: JsonObject;
  /** By the manifest's names and in its order, in tfjs's order of axes. */
  readonly weights: ReadonlyMap<string, Tensor<"float32">>;
  /** What model.json carries beside the model; scales that training has learned are its `qdg`. */
  readonly userDefinedMetadata: Readonly<Record<string, unknown>> | null;
  /** From Teachable Machine's metadata.json; no labels once the classes are others. */
  readonly metadata?: ModelMetadata;
}

export interface ModelMetadata {
  readonly labels?: readonly string[];
  readonly preprocessing?: Preprocessing;
}

/**
 * Reads the model.json at `path`, its weights and the metadata.json beside it. Quantized and float16 shards
 * become float32.
 *
 * @throws QdgError `not-found`, `io`, `invalid-json`, `invalid-model`, `unsupported-model`, `invalid-path`,
 * `invalid-weights`
 */
export async function loadLayersModel(path: string): Promise<LayersModel> {
  const { json, weights, metadata } = await readModelFiles(path);
  const real = new Map<string, Tensor<"float32">>();
  for (const [name, weight] of weights) {
    if (weight.dtype !== "float32") {
      throw new QdgError(
        "invalid-weights",
        name,
        `got a ${weight.dtype} weight, expected float32; no layer that can be trained has such a weight`,
      );
    }
    real.set(name, weight as Tensor<"float32">);
  }
  const custom = json.userDefinedMetadata;
  if (custom !== null && (typeof custom !== "object" || Array.isArray(custom))) {
    const got = JSON.stringify(custom).slice(0, 80);
    throw new QdgError(
      "invalid-model",
      path,
      `userDefinedMetadata: got ${got}, expected an object; it would be lost on saving, so remove it`,
    );
  }
  return {
    topology: toPlain(json.topology),
    weights: real,
    userDefinedMetadata: custom as Record<string, unknown> | null,
    ...(metadata ? { metadata } : {}),
  };
}

/** The float graph of a model, in tfjs's own layout, and the weights that its constants hold. @throws QdgError as `readLayersModel` of src/read */
export function layersGraph(model: LayersModel): NamedLayersModel {
  const json = checkModelJson({ modelTopology: model.topology }, "model");
  return readLayersModelWithNames(json, model.weights);
}

/**
 * Writes `path` (a model.json) and one file of weights beside it, as stock tfjs loads them.
 *
 * The weights of `model.json` are `weights.bin`, those of `best.json` `best.weights.bin`. Two files cannot be
 * replaced in one step, and a model.json with the weights of another moment would be wrong in silence. So
 * weights are never written over those that the present model.json names: they go to `weights.bin` or
 * `weights-2.bin`, whichever is not in use; then model.json is replaced, which is the moment of change; then
 * the weights that no longer have a model.json are removed. A save that is interrupted leaves the old pair as
 * it was, and at most one file too many, which the next save takes.
 *
 * @throws QdgError `exists` without `force`; `invalid-weights` for NaN and infinities, or data that do not
 * fill the shape; `io` with the system's reason; the model that was there stays in each case
 */
export async function saveLayersModel(
  path: string,
  model: LayersModel,
  options: { readonly force?: boolean } = {},
): Promise<void> {
  const force = options.force ?? false;
  await checkWritable(path, force);
  const bytes = weightBytes(model.weights);
  const folder = dirname(path);
  const stem = basename(path, ".json");
  const prefix = stem === "model" ? "" : `${stem}.`;
  const [first, second] = [`${prefix}weights.bin`, `${prefix}weights-2.bin`] as const;
  const inUse = await namedShards(path);
  const [shard, other] = inUse.has(first) ? [second, first] : [first, second];
  const json = {
    format: "layers-model",
    generatedBy: `qdg ${VERSION}`,
    convertedBy: null,
    modelTopology: model.topology,
    weightsManifest: [
      {
        paths: [shard],
        weights: [...model.weights].map(([name, { shape, dtype }]) => ({ name, shape, dtype })),
      },
    ],
    ...(model.userDefinedMetadata ? { userDefinedMetadata: model.userDefinedMetadata } : {}),
  };
  const files = [
    { path: join(folder, shard), bytes },
    { path, bytes: JSON.stringify(json) },
  ];
  await writeFilesAtomic(files, { force });
  // Only a file that an earlier save wrote under one of its two names.
  if (inUse.has(other)) await unlink(join(folder, other)).catch(() => undefined);
}

/** The shards that the model.json at `path` names; none when there is no such file or it is not one. */
async function namedShards(path: string): Promise<ReadonlySet<string>> {
  try {
    const { weightsManifest } = parseModelJson(await readFile(path, "utf8"), path);
    return new Set(
      parseManifest(weightsManifest, path).flatMap((group) => group.paths.map((shard) => normalize(shard))),
    );
  } catch {
    // Nothing that could be read, so nothing that a save could break.
    return new Set();
  }
}

function weightBytes(weights: LayersModel["weights"]): Uint8Array {
  checkWeights(weights);
  const arrays = [...weights.values()].map(({ data }) => data);
  const bytes = new Uint8Array(arrays.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let offset = 0;
  for (const { buffer, byteOffset, byteLength } of arrays) {
    bytes.set(new Uint8Array(buffer, byteOffset, byteLength), offset);
    offset += byteLength;
  }
  return bytes;
}
