// The files that hold the decoded images of a domain. What is read back is checked to the last byte and never
// trusted: whatever is wrong with a file, the answer is "not usable", and the images are decoded again.

import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { writeFileAtomic } from "../../base/atomic-file.js";
import { errorText, QdgError } from "../../base/error.js";
import { sharedBytes } from "./dataset.js";

/**
 * Layout: 8 bytes "qdgimage", version and header length (uint32, little endian), the header (JSON, UTF-8,
 * padded with spaces to the length), pixels [N, H, W, 3]. Raised with the layout, and whenever decoding or
 * resampling would give other bytes.
 */
const VERSION = 1;
const MAGIC = "qdgimage";
const START_BYTES = 16;
const MAX_HEADER_BYTES = 2 ** 28;

/** What decoding a domain gave. */
export interface CachedImages {
  /** [N] relative paths. */
  readonly files: readonly string[];
  /** [N] */
  readonly labels: Uint16Array;
  /** Relative paths of images left out, and why. */
  readonly skipped: readonly (readonly [file: string, reason: string])[];
  /** [N, H, W, 3] */
  readonly pixels: Uint8Array;
}

interface Header {
  readonly key: string;
  /** SHA-256 of the pixels, hexadecimal. */
  readonly pixels: string;
  readonly imageBytes: number;
  readonly files: readonly string[];
  readonly labels: readonly number[];
  readonly skipped: readonly (readonly [string, string])[];
}

/** `$XDG_CACHE_HOME/qdg`, or `~/.cache/qdg` where that is not set (or not absolute, which its rules ignore). */
export function defaultCacheFolder(environment: Readonly<Record<string, string | undefined>>): string {
  const base = environment["XDG_CACHE_HOME"];
  return base !== undefined && isAbsolute(base) ? join(base, "qdg") : join(homedir(), ".cache", "qdg");
}

/** SHA-256 over the JSON of anything, in hexadecimal: the key of what was made from it. */
export function keyOf(parts: unknown): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

/**
 * Writes whole or not at all, over what is there.
 *
 * @throws QdgError `io`
 */
export async function writeCachedImages(path: string, key: string, images: CachedImages): Promise<void> {
  const { files, labels, skipped, pixels } = images;
  const header: Header = {
    key,
    pixels: createHash("sha256").update(pixels).digest("hex"),
    imageBytes: files.length === 0 ? 0 : pixels.length / files.length,
    files,
    labels: [...labels],
    skipped,
  };
  const text = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(START_BYTES + text.length + pixels.length);
  bytes.set(new TextEncoder().encode(MAGIC));
  const view = new DataView(bytes.buffer);
  view.setUint32(8, VERSION, true);
  view.setUint32(12, text.length, true);
  bytes.set(text, START_BYTES);
  bytes.set(pixels, START_BYTES + text.length);
  await writeFileAtomic(path, bytes, { force: true });
}

/** Why a file was not used; null where there is none, or one of other images than these. */
export interface NotUsable {
  readonly damage: string | null;
}

/**
 * Reads what writeCachedImages wrote for `key`.
 *
 * @param imageBytes of one image: a file of others is not usable
 * @throws QdgError `invalid-data` when there is not the memory
 */
export async function readCachedImages(
  path: string,
  key: string,
  imageBytes: number,
): Promise<CachedImages | NotUsable> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (thrown) {
    const missing = (thrown as NodeJS.ErrnoException).code === "ENOENT";
    return { damage: missing ? null : errorText(thrown) };
  }
  try {
    return await readChecked(file, path, key, imageBytes);
  } catch (thrown) {
    if (thrown instanceof QdgError) throw thrown;
    return { damage: errorText(thrown) };
  } finally {
    await file.close();
  }
}

async function readChecked(
  file: FileHandle,
  path: string,
  key: string,
  imageBytes: number,
): Promise<CachedImages | NotUsable> {
  const found = await file.stat();
  if (!found.isFile()) return { damage: "is no plain file" };
  const start = new Uint8Array(START_BYTES);
  if (!(await fill(file, start, 0)) || new TextDecoder().decode(start.subarray(0, 8)) !== MAGIC) {
    return { damage: "does not begin as one" };
  }
  const view = new DataView(start.buffer);
  if (view.getUint32(8, true) !== VERSION) return { damage: null };
  const headerBytes = view.getUint32(12, true);
  if (headerBytes > Math.min(MAX_HEADER_BYTES, found.size - START_BYTES)) {
    return { damage: `header of ${headerBytes} bytes in a file of ${found.size}` };
  }
  const text = new Uint8Array(headerBytes);
  if (!(await fill(file, text, START_BYTES))) return { damage: "ends within its header" };
  const header = checkedHeader(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(text)));
  if (header === null) return { damage: "its header has other fields" };
  if (header.key !== key || header.imageBytes !== imageBytes) return { damage: null };
  const pixelBytes = header.files.length * imageBytes;
  const expected = START_BYTES + headerBytes + pixelBytes;
  if (found.size !== expected) return { damage: `got ${found.size} bytes, expected ${expected}` };
  const pixels = sharedBytes(pixelBytes, path);
  if (!(await fill(file, pixels, START_BYTES + headerBytes))) return { damage: "ends within its pixels" };
  if (createHash("sha256").update(pixels).digest("hex") !== header.pixels) {
    return { damage: "its pixels do not have the checksum of its header" };
  }
  return { files: header.files, labels: Uint16Array.from(header.labels), skipped: header.skipped, pixels };
}

/** Whether the file had as many bytes from `position` on. */
async function fill(file: FileHandle, into: Uint8Array, position: number): Promise<boolean> {
  let done = 0;
  while (done < into.length) {
    // One call reads no more than 2 GiB.
    const length = Math.min(into.length - done, 2 ** 30);
    const { bytesRead } = await file.read(into, done, length, position + done);
    if (bytesRead === 0) return false;
    done += bytesRead;
  }
  return true;
}

function checkedHeader(json: unknown): Header | null {
  if (typeof json !== "object" || json === null) return null;
  const header = json as { readonly [K in keyof Header]?: unknown };
  const { key, pixels, imageBytes, files, labels, skipped } = header;
  if (typeof key !== "string" || typeof pixels !== "string" || !Number.isSafeInteger(imageBytes)) return null;
  if (!Array.isArray(files) || !Array.isArray(labels) || !Array.isArray(skipped)) return null;
  if (files.length !== labels.length || !files.every(isText) || !labels.every(isLabel)) return null;
  if (!skipped.every((pair) => Array.isArray(pair) && pair.length === 2 && pair.every(isText))) return null;
  return header as Header;
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isLabel(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 16;
}
