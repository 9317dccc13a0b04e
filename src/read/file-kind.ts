// What a file is, by its content, for those who give another than what is expected: named, with what makes a model.json of
// it. Reads the first bytes and a zip's list of names; decodes nothing.

import { open, type FileHandle } from "node:fs/promises";
import { readError } from "../base/read-bytes.js";

export const FILE_KINDS = [
  "json",
  "onnx",
  "hdf5",
  "keras",
  "saved-model",
  "frozen-graph",
  "tflite",
  "pytorch",
  "model-zip",
  "zip",
  "npy",
  "image",
  "empty",
  "unknown",
] as const;
export type FileKind = (typeof FILE_KINDS)[number];

const HEAD_BYTES = 1024;
/** The end of a zip: 22 bytes, and a comment of up to 65,535. */
const ZIP_END_BYTES = 22 + 65535;
/** A list of names that is longer is not looked through: no model has one. */
const MOST_ZIP_LIST_BYTES = 2 ** 22;

/**
 * @returns "unknown" where no rule holds; a zip is looked into, since `.keras` and PyTorch files are zips
 * @throws QdgError `not-found`, `io`
 */
export async function fileKind(path: string): Promise<FileKind> {
  let file: FileHandle | undefined;
  try {
    file = await open(path);
    const { size } = await file.stat();
    const head = await bytesAt(file, 0, Math.min(size, HEAD_BYTES));
    const kind = kindByHead(head);
    return kind === "zip" ? kindOfZip(await zipNames(file, size)) : kind;
  } catch (thrown) {
    throw readError(path, thrown);
  } finally {
    await file?.close();
  }
}

/** The same by the first bytes alone. */
export function kindByHead(head: Uint8Array): FileKind {
  if (head.length === 0) return "empty";
  const starts = (...bytes: readonly number[]): boolean => bytes.every((byte, i) => head[i] === byte);
  const text = Buffer.from(head.buffer, head.byteOffset, head.length).toString("latin1");
  if (text.startsWith("\x89HDF\r\n\x1a\n")) return "hdf5";
  if (text.slice(4, 8) === "TFL3") return "tflite";
  if (text.startsWith("PK\x03\x04") || text.startsWith("PK\x05\x06")) return "zip";
  if (text.startsWith("\x93NUMPY")) return "npy";
  if (text.startsWith("\x89PNG") || starts(0xff, 0xd8, 0xff) || text.startsWith("GIF8")) return "image";
  // A pickle of protocol 2 or later, as torch.save wrote before it wrote zips.
  if (starts(0x80, 2) || starts(0x80, 3) || starts(0x80, 4)) return "pytorch";
  if (/^(\xef\xbb\xbf)?\s*[[{]/.test(text)) return "json";
  // Protobuf. A ModelProto begins with ir_version, 3 or later; a SavedModel with schema version 1 and its one graph.
  if (starts(0x08, 1, 0x12)) return "saved-model";
  if (head[0] === 0x08 && (head[1] ?? 0) >= 3 && (head[1] ?? 0) < 0x40) return "onnx";
  // A GraphDef is a list of nodes, each with a name first.
  if (head[0] === 0x0a && text.slice(1, 6).includes("\n")) return "frozen-graph";
  return "unknown";
}

function kindOfZip(names: readonly string[]): FileKind {
  const has = (end: string): boolean => names.some((name) => name === end || name.endsWith(`/${end}`));
  if (has("model.weights.h5")) return "keras";
  if (has("data.pkl")) return "pytorch";
  if (has("model.json")) return "model-zip";
  if (has("saved_model.pb")) return "saved-model";
  return "zip";
}

/** The names that the central directory of a zip lists; none where it cannot be found. */
async function zipNames(file: FileHandle, size: number): Promise<string[]> {
  const tail = await bytesAt(file, Math.max(0, size - ZIP_END_BYTES), Math.min(size, ZIP_END_BYTES));
  const end = tail.lastIndexOf("PK\x05\x06", undefined, "latin1");
  if (end < 0 || end + 22 > tail.length) return [];
  const [length, start] = [tail.readUInt32LE(end + 12), tail.readUInt32LE(end + 16)];
  const list = await bytesAt(file, start, Math.min(length, MOST_ZIP_LIST_BYTES));
  const names: string[] = [];
  for (let at = 0; at + 46 <= list.length && list.readUInt32LE(at) === 0x02014b50;) {
    const nameLength = list.readUInt16LE(at + 28);
    names.push(list.toString("latin1", at + 46, at + 46 + nameLength));
    at += 46 + nameLength + list.readUInt16LE(at + 30) + list.readUInt16LE(at + 32);
  }
  return names;
}

async function bytesAt(file: FileHandle, start: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  const { bytesRead } = await file.read(bytes, 0, length, start);
  return bytes.subarray(0, bytesRead);
}
