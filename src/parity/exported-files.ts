// The .onnx files of a folder as a certificate sees them: read once, hashed, of one model. Reads only.

import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { QdgError } from "../base/error.js";
import { readBytes, readError } from "../base/read-bytes.js";
import { type OnnxMetadata, readOnnxMetadata } from "../model/onnx-metadata.js";
import { decodeModel } from "../onnx/codec.js";
import type { ModelProto } from "../onnx/model-proto.js";
import { RUNTIMES } from "../runtime/runtime.js";
import type { CertifiedTarget } from "./certificate.js";

export interface HashedBytes {
  readonly name: string;
  readonly sha256: string;
  /** The very bytes that are hashed and run. */
  readonly bytes: Uint8Array;
}

export interface HashedFile extends HashedBytes {
  readonly model: ModelProto;
  readonly metadata: OnnxMetadata;
}

/**
 * All .onnx files directly in `folder`, by name, whatever they hold.
 *
 * @throws QdgError `not-found` for a folder without them
 */
export async function readHashed(folder: string): Promise<HashedBytes[]> {
  const names = (await namesIn(folder)).filter((name) => name.toLowerCase().endsWith(".onnx")).sort();
  if (names.length === 0) {
    throw new QdgError("not-found", folder, "holds no .onnx file; export the model into it with qdg-export");
  }
  const files: HashedBytes[] = [];
  for (const name of names) {
    const bytes = await readBytes(join(folder, name));
    files.push({ name, sha256: createHash("sha256").update(bytes).digest("hex"), bytes });
  }
  return files;
}

/**
 * The files of {@link readHashed} as models.
 *
 * @param source SHA-256 of the model that they must have been exported from
 * @throws QdgError `not-found` for a folder without them; `invalid-onnx` for one that qdg did not export;
 * `invalid-data` for a file of another model
 */
export async function readExportedFiles(folder: string, source: string): Promise<HashedFile[]> {
  const files: HashedFile[] = [];
  for (const hashed of await readHashed(folder)) {
    const path = join(folder, hashed.name);
    const model = decodeModel(hashed.bytes, path);
    const metadata = readOnnxMetadata(model.metadataProps ?? [], path);
    const stated = metadata.source;
    if (stated === null) {
      throw new QdgError(
        "invalid-onnx",
        path,
        "does not say which model it is of (qdg.source); export it with qdg-export",
      );
    }
    if (stated !== source) {
      throw new QdgError(
        "invalid-data",
        path,
        `was exported from another model (SHA-256 ${stated.slice(0, 64)}, expected ${source}); export this model anew, or give the model it was made from`,
      );
    }
    files.push({ ...hashed, model, metadata });
  }
  return files;
}

/**
 * The one file that a target is meant to run.
 *
 * @throws QdgError `not-found` when there is none, `usage` when there are several
 */
export function fileFor(target: CertifiedTarget, files: readonly HashedFile[], folder: string): HashedFile {
  const { gpu } = RUNTIMES[target];
  const fitting = files.filter(({ metadata: { form } }) => form !== null && (form === "webgpu") === gpu);
  const [file, ...rest] = fitting;
  if (!file) {
    throw new QdgError(
      "not-found",
      folder,
      `holds no quantized file for ${target}; export with qdg-export --target ${gpu ? "cpu,wasm,webgpu" : "cpu,wasm"}, or leave ${target} out of --targets`,
    );
  }
  if (rest.length > 0) {
    const names = fitting.map(({ name }) => name).join(", ");
    throw new QdgError(
      "usage",
      folder,
      `got ${names} for ${target}, expected one file; keep one export in a folder`,
    );
  }
  return file;
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (thrown) {
    throw readError(folder, thrown);
  }
}
