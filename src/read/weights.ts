// The weights of a tfjs model: the manifest, its shard files beside model.json, and their decoding. Reads no
// file outside the model's folder, and checks every size before it allocates.

import type { Hash } from "node:crypto";
import { open, realpath, stat } from "node:fs/promises";
import { dirname, isAbsolute, join, sep } from "node:path";
import { errorText, QdgError } from "../base/error.js";
import { allocate, sizeOf, type Tensor } from "../base/tensor.js";
import { fromFloat16 } from "../compute/cast.js";
import { describe, isList, isMap, type Json } from "./model-json.js";

/** Tensors by the names of the manifest, in its order. */
export type Weights = ReadonlyMap<string, Tensor>;

const STORED_BYTES = { float32: 4, int32: 4, bool: 1 } as const;
const QUANTIZED_BYTES = { uint8: 1, uint16: 2, float16: 2 } as const;

/** More than any file that fits a machine; products of sizes stay exact below it. */
const MAX_ELEMENTS = 2 ** 40;

export interface WeightSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: keyof typeof STORED_BYTES;
  readonly quantization: {
    readonly dtype: keyof typeof QUANTIZED_BYTES;
    readonly scale: number;
    readonly min: number;
  } | null;
  /** Weights of an optimizer are in the file but no part of the model. */
  readonly ofOptimizer: boolean;
}

export interface WeightGroup {
  readonly paths: readonly string[];
  readonly weights: readonly WeightSpec[];
  readonly sizeBytes: number;
}

/**
 * Checks a weights manifest: names given once, types and shapes that exist.
 * @throws QdgError `invalid-weights` with the weight's name
 */
export function parseManifest(manifest: readonly Json[], where: string): WeightGroup[] {
  const names = new Set<string>();
  return manifest.map((group, index) => {
    const at = `${where} weightsManifest[${index}]`;
    const fail = (what: string): never => {
      throw new QdgError("invalid-weights", at, what);
    };
    if (!isMap(group)) return fail(`got ${describe(group)}, expected {paths, weights}`);
    const paths = group.get("paths");
    const specs = group.get("weights");
    if (!isList(paths) || !paths.every((path) => typeof path === "string")) {
      return fail(`paths: got ${describe(paths)}, expected a list of file names`);
    }
    if (!isList(specs)) return fail(`weights: got ${describe(specs)}, expected a list`);
    const weights = specs.map((spec) => parseSpec(spec, at));
    for (const { name } of weights) {
      if (names.has(name)) fail(`weight ${JSON.stringify(name)} is given twice`);
      names.add(name);
    }
    const sizeBytes = weights.reduce((sum, spec) => sum + sizeInBytes(spec), 0);
    if (paths.length === 0 && sizeBytes > 0) fail(`paths: got none, expected files of ${sizeBytes} bytes`);
    return { paths, weights, sizeBytes };
  });
}

function parseSpec(spec: Json, at: string): WeightSpec {
  const fail = (what: string): never => {
    throw new QdgError("invalid-weights", at, what);
  };
  if (!isMap(spec)) return fail(`weights: got ${describe(spec)}, expected {name, shape, dtype}`);
  const name = spec.get("name");
  if (typeof name !== "string" || name === "") return fail(`name: got ${describe(name)}, expected a name`);
  const shape = spec.get("shape");
  if (
    !isList(shape) ||
    !shape.every((dim): dim is number => Number.isSafeInteger(dim) && (dim as number) >= 0) ||
    sizeOf(shape) > MAX_ELEMENTS
  ) {
    return fail(`weight ${name}: shape: got ${describe(shape)}, expected sizes`);
  }
  const dtype = spec.get("dtype");
  if (dtype !== "float32" && dtype !== "int32" && dtype !== "bool") {
    return fail(`weight ${name}: dtype: got ${describe(dtype)}, expected float32, int32 or bool`);
  }
  const quantization = parseQuantization(spec.get("quantization"), dtype, `weight ${name}`, fail);
  return { name, shape, dtype, quantization, ofOptimizer: spec.get("group") === "optimizer" };
}

function parseQuantization(
  json: Json | undefined,
  dtype: WeightSpec["dtype"],
  weight: string,
  fail: (what: string) => never,
): WeightSpec["quantization"] {
  if (json === undefined || json === null) return null;
  if (!isMap(json))
    return fail(`${weight}: quantization: got ${describe(json)}, expected {dtype, scale, min}`);
  const stored = json.get("dtype");
  if (stored !== "uint8" && stored !== "uint16" && stored !== "float16") {
    return fail(`${weight}: quantization dtype: got ${describe(stored)}, expected uint8, uint16 or float16`);
  }
  if (dtype === "bool" || (stored === "float16" && dtype !== "float32")) {
    return fail(`${weight}: a ${dtype} weight cannot be quantized to ${stored}`);
  }
  if (stored === "float16") return { dtype: stored, scale: 1, min: 0 };
  const scale = json.get("scale");
  const min = json.get("min");
  if (
    typeof scale !== "number" ||
    typeof min !== "number" ||
    !Number.isFinite(scale) ||
    !Number.isFinite(min)
  ) {
    return fail(`${weight}: quantization: got ${describe(json)}, expected finite scale and min`);
  }
  return { dtype: stored, scale, min };
}

function sizeInBytes(spec: WeightSpec): number {
  const bytes = spec.quantization ? QUANTIZED_BYTES[spec.quantization.dtype] : STORED_BYTES[spec.dtype];
  return bytes * sizeOf(spec.shape);
}

export interface StoredWeights {
  readonly weights: Weights;
  /** Bytes that belong to no weight. */
  readonly warnings: readonly string[];
}

/**
 * Reads the shards of all groups and decodes them. Quantized weights become
 * `float32(integer * scale + min)`, int32 ones are rounded as tfjs does it.
 *
 * @param modelPath of model.json; shards are files of its folder
 * @param hash takes the bytes of the shards, in the manifest's order
 * @throws QdgError `invalid-path` for a shard outside the folder; `not-found`; `invalid-weights` for a wrong
 * size, or NaN and infinities with the weight and the index
 */
export async function readWeights(
  groups: readonly WeightGroup[],
  modelPath: string,
  hash: Hash,
): Promise<StoredWeights> {
  const weights = new Map<string, Tensor>();
  const warnings: string[] = [];
  for (const [index, group] of groups.entries()) {
    const { bytes, leftOver } = await readGroup(group, modelPath);
    if (leftOver > 0) {
      const shards = group.paths.join(", ");
      // tfjs puts all groups in a row, and would read the next one's weights from these bytes.
      if (index < groups.length - 1) throw wrongSize(group, bytes.length + leftOver, shards);
      warnings.push(
        `${shards}: ${leftOver} bytes follow the ${bytes.length} that the manifest names; they are not read, as in tfjs`,
      );
    }
    hash.update(bytes);
    for (const [name, tensor] of decodeGroup(group, bytes)) weights.set(name, tensor);
  }
  return { weights, warnings };
}

/** The weights of one group out of its bytes, those of an optimizer left out. @throws QdgError `invalid-weights` */
export function decodeGroup(group: WeightGroup, bytes: Uint8Array): Map<string, Tensor> {
  if (bytes.length !== group.sizeBytes) throw wrongSize(group, bytes.length, group.paths.join(", "));
  const weights = new Map<string, Tensor>();
  let offset = 0;
  for (const spec of group.weights) {
    const size = sizeInBytes(spec);
    if (!spec.ofOptimizer) weights.set(spec.name, decode(spec, bytes.subarray(offset, offset + size)));
    offset += size;
  }
  return weights;
}

function decode(spec: WeightSpec, bytes: Uint8Array): Tensor {
  const { name, shape, dtype, quantization } = spec;
  const length = sizeOf(shape);
  if (dtype === "bool") return { dtype, shape, data: bytes.slice() };
  if (!quantization) {
    if (dtype === "int32") {
      return { dtype, shape, data: new Int32Array(aligned(bytes, 4), offsetOf(bytes, 4), length) };
    }
    const data = new Float32Array(aligned(bytes, 4), offsetOf(bytes, 4), length);
    return { dtype, shape, data: checkFinite(data, name) };
  }
  const integers =
    quantization.dtype === "uint8" ? bytes : new Uint16Array(aligned(bytes, 2), offsetOf(bytes, 2), length);
  if (dtype === "int32") {
    const data = allocate("int32", length);
    for (let i = 0; i < length; i++) {
      data[i] = Math.round((integers[i] as number) * quantization.scale + quantization.min);
    }
    return { dtype, shape, data };
  }
  const data = allocate("float32", length);
  for (let i = 0; i < length; i++) {
    const stored = integers[i] as number;
    data[i] =
      quantization.dtype === "float16" ? fromFloat16(stored) : stored * quantization.scale + quantization.min;
  }
  return { dtype, shape, data: checkFinite(data, name) };
}

/** Views need aligned offsets; a copy starts at 0. Files are little-endian, as all machines that run Node. */
function aligned(bytes: Uint8Array, size: number): ArrayBuffer {
  const buffer = bytes.byteOffset % size === 0 ? bytes.buffer : bytes.slice().buffer;
  return buffer as ArrayBuffer;
}

function offsetOf(bytes: Uint8Array, size: number): number {
  return bytes.byteOffset % size === 0 ? bytes.byteOffset : 0;
}

function checkFinite(data: Float32Array, name: string): Float32Array {
  for (let i = 0; i < data.length; i++) {
    if (Number.isFinite(data[i])) continue;
    throw new QdgError(
      "invalid-weights",
      name,
      `element ${i} is ${data[i]}, expected a finite number; the training has diverged or the file is damaged`,
    );
  }
  return data;
}

/** The bytes of the shards that the group's weights fill, and how many there are beyond them. */
async function readGroup(
  group: WeightGroup,
  modelPath: string,
): Promise<{ readonly bytes: Uint8Array; readonly leftOver: number }> {
  const paths: string[] = [];
  let total = 0;
  for (const shard of group.paths) {
    const path = await shardPath(shard, modelPath);
    const { size } = await stat(path);
    paths.push(path);
    total += size;
  }
  if (total < group.sizeBytes) throw wrongSize(group, total, group.paths.join(", "));
  const bytes = new Uint8Array(group.sizeBytes);
  let offset = 0;
  for (const path of paths) {
    const file = await open(path);
    try {
      for (;;) {
        const { bytesRead } = await file.read(bytes, offset, Math.min(bytes.length - offset, 2 ** 30));
        if (bytesRead === 0) break;
        offset += bytesRead;
      }
    } catch (thrown) {
      throw new QdgError("io", path, `cannot be read: ${errorText(thrown)}`, { cause: thrown });
    } finally {
      await file.close();
    }
  }
  // A file that shrank since its size was taken.
  if (offset !== bytes.length) throw wrongSize(group, offset, group.paths.join(", "));
  return { bytes, leftOver: total - bytes.length };
}

function wrongSize(group: WeightGroup, got: number, shards: string): QdgError {
  return new QdgError(
    "invalid-weights",
    shards,
    `got ${got} bytes, expected ${group.sizeBytes} for ${group.weights.length} weights; ` +
      (got < group.sizeBytes
        ? "the file is cut short, copy the model again"
        : `the file is too long, and more weights come after it: cut it to ${group.sizeBytes} bytes`),
  );
}

/** The file behind a shard's name. @throws QdgError `invalid-path`, `not-found` */
async function shardPath(shard: string, modelPath: string): Promise<string> {
  const refuse = (reason: string): never => {
    throw new QdgError(
      "invalid-path",
      `${modelPath} weightsManifest`,
      `shard ${JSON.stringify(shard)} ${reason}; shards must be files in the folder of model.json`,
    );
  };
  if (/^[a-z][a-z0-9+.-]+:/i.test(shard)) refuse("is a URL");
  if (isAbsolute(shard) || shard.startsWith("\\") || /^[a-z]:/i.test(shard)) refuse("is an absolute path");
  if (shard.split(/[\\/]/).includes("..")) refuse('leads out of the folder by ".."');
  if (shard === "" || shard.includes("\0")) refuse("is no file name");
  const path = join(dirname(modelPath), shard);
  let real: string;
  try {
    real = await realpath(path);
  } catch (thrown) {
    throw new QdgError(
      "not-found",
      path,
      `weight shard is missing (${errorText(thrown)}); copy it beside model.json`,
      {
        cause: thrown,
      },
    );
  }
  const folder = await realpath(dirname(modelPath));
  if (!real.startsWith(folder.endsWith(sep) ? folder : folder + sep)) refuse("is a link out of the folder");
  if (!(await stat(real)).isFile()) refuse("is no plain file");
  return real;
}

/** For tests and tools that have the manifest and the bytes in memory. */
export function decodeWeights(
  manifest: readonly Json[],
  groups: readonly Uint8Array[],
  where: string,
): Map<string, Tensor> {
  const weights = new Map<string, Tensor>();
  parseManifest(manifest, where).forEach((group, index) => {
    for (const [name, tensor] of decodeGroup(group, groups[index] ?? new Uint8Array()))
      weights.set(name, tensor);
  });
  return weights;
}
