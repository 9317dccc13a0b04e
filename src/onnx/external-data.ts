// Reads tensor data that a model keeps in other files; not for browsers. A model is hostile until shown otherwise: it may only
// name regular files in its own folder, and no more bytes of them than its tensor needs.

import { closeSync, fstatSync, openSync, readSync, realpathSync, statSync } from "node:fs";
import { join, sep } from "node:path";
import { errorText, QdgError } from "../base/error.js";
import type { StringStringEntryProto } from "./model-proto.js";
import type { ExternalData } from "./tensor-proto.js";

/** Data of a model whose file lies in `folder`. @throws QdgError what comes of it as readExternalData */
export function dataIn(folder: string): ExternalData {
  return (entries, sizeBytes, where) => readExternalData(entries, sizeBytes, where, folder);
}

/**
 * The `sizeBytes` bytes at `offset` (default 0) of the file `location`, which is relative to `folder`.
 *
 * @throws QdgError `invalid-path` for a location that is absolute, a URL, or leaves the folder by `..` or a
 * link; `not-found`, `io`; `invalid-onnx` for a length other than `sizeBytes`, bytes beyond the end of the file,
 * unknown or repeated keys
 */
function readExternalData(
  entries: readonly StringStringEntryProto[],
  sizeBytes: number,
  where: string,
  folder: string,
): Uint8Array {
  const values = new Map<string, string>();
  for (const { key = "", value = "" } of entries) {
    if (!KEYS.has(key) || values.has(key)) {
      throw new QdgError("invalid-onnx", where, `external data has an unknown or repeated key "${key}"`);
    }
    values.set(key, value);
  }
  const location = values.get("location") ?? "";
  const offset = integer(values.get("offset") ?? "0", "offset", where);
  const length = integer(values.get("length") ?? String(sizeBytes), "length", where);
  if (length !== sizeBytes) {
    throw new QdgError("invalid-onnx", where, `external data of ${length} bytes, expected ${sizeBytes}`);
  }
  const path = pathInside(folder, location, where);
  // Looked at before it is opened: opening a pipe would wait for ever.
  if (!statSync(path).isFile()) throw new QdgError("invalid-path", where, `${location} is no regular file`);
  const file = openSync(path, "r");
  try {
    const stat = fstatSync(file);
    if (offset + length > stat.size) {
      throw new QdgError(
        "invalid-onnx",
        where,
        `${location} has ${stat.size} bytes, expected ${offset + length}; fetch the file again`,
      );
    }
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length;) {
      const got = readSync(file, bytes, at, length - at, offset + at);
      if (got === 0) throw new QdgError("io", where, `${location} became shorter while it was read`);
      at += got;
    }
    return bytes;
  } catch (thrown) {
    if (thrown instanceof QdgError) throw thrown;
    throw new QdgError("io", where, `${location} cannot be read: ${errorText(thrown)}`, { cause: thrown });
  } finally {
    closeSync(file);
  }
}

const KEYS: ReadonlySet<string> = new Set(["location", "offset", "length", "checksum", "basepath"]);

function integer(text: string, name: string, where: string): number {
  const value = Number(text);
  if (!/^[0-9]+$/.test(text) || !Number.isSafeInteger(value)) {
    throw new QdgError(
      "invalid-onnx",
      where,
      `external data ${name}: got ${JSON.stringify(text)}, expected a whole number`,
    );
  }
  return value;
}

function pathInside(folder: string, location: string, where: string): string {
  const refuse = (why: string): never => {
    throw new QdgError(
      "invalid-path",
      where,
      `external data at ${JSON.stringify(location)} ${why}; expected a file in the model's folder`,
    );
  };
  if (location === "" || location.includes("\0")) refuse("names no file");
  if (/^([/\\]|[A-Za-z]:)/.test(location)) refuse("is an absolute path");
  if (location.includes("://")) refuse("is a URL");
  if (location.split(/[/\\]/).includes("..")) refuse("leaves the folder");
  try {
    const root = realpathSync(folder);
    const path = realpathSync(join(root, location));
    if (!path.startsWith(root.endsWith(sep) ? root : root + sep)) refuse("is a link out of the folder");
    return path;
  } catch (thrown) {
    if (thrown instanceof QdgError) throw thrown;
    throw new QdgError("not-found", where, `external data ${location}: ${errorText(thrown)}`, {
      cause: thrown,
    });
  }
}
