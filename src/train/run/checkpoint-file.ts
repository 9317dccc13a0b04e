// The bytes of a checkpoint: a JSON header and named arrays in one file, written whole or not at all. What is in it
// is checkpoint.ts's business. Reading trusts nothing: sizes are compared before memory is taken, then a hash.

import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { writeFileAtomic } from "../../base/atomic-file.js";
import { errorText, QdgError } from "../../base/error.js";

export type CheckpointArray = Float32Array | Int8Array;

export interface CheckpointContent {
  /** JSON; numbers are finite. */
  readonly values: Readonly<Record<string, unknown>>;
  readonly arrays: ReadonlyMap<string, CheckpointArray>;
}

export type WriteFile = (path: string, bytes: Uint8Array, options: { force: boolean }) => Promise<void>;

interface Header {
  readonly values: Readonly<Record<string, unknown>>;
  readonly arrays: readonly {
    readonly name: string;
    readonly dtype: "float32" | "int8";
    readonly length: number;
  }[];
}

export const CHECKPOINT_VERSION = 1;
const MAGIC = "qdg-run\n";
/** Magic, version (uint32), size of the header (uint32), SHA-256 of all that follows. Numbers are little-endian. */
const PRELUDE_BYTES = 8 + 4 + 4 + 32;
const BYTES_OF = { float32: 4, int8: 1 } as const;

/** The file: prelude, header, then the arrays in the header's order, each beginning at a multiple of 4. */
export function encodeCheckpoint({ values, arrays }: CheckpointContent): Uint8Array {
  const entries = [...arrays];
  const header: Header = {
    values,
    arrays: entries.map(([name, array]) => ({
      name,
      dtype: array instanceof Int8Array ? "int8" : "float32",
      length: array.length,
    })),
  };
  const json = Buffer.from(JSON.stringify(header, finite), "utf8");
  const bytes = new Uint8Array(sizeOf(json.length, header));
  const view = new DataView(bytes.buffer);
  bytes.set(Buffer.from(MAGIC, "latin1"));
  view.setUint32(8, CHECKPOINT_VERSION, true);
  view.setUint32(12, json.length, true);
  bytes.set(json, PRELUDE_BYTES);
  let at = padded(PRELUDE_BYTES + json.length);
  for (const [, array] of entries) {
    bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), at);
    at += padded(array.byteLength);
  }
  bytes.set(hashOf(bytes.subarray(PRELUDE_BYTES)), 16);
  return bytes;
}

/**
 * Saves a checkpoint; the one that was there stays until the new one is whole.
 *
 * @throws QdgError `io` (disk full): the file at `path` is as it was
 */
export async function saveCheckpoint(
  path: string,
  content: CheckpointContent,
  write: WriteFile = writeFileAtomic,
): Promise<void> {
  await write(path, encodeCheckpoint(content), { force: true });
}

/**
 * @throws QdgError `not-found`, `io`; `invalid-data` for a file that is no checkpoint, of another version, cut short
 * or damaged
 */
export async function loadCheckpoint(path: string): Promise<CheckpointContent> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (thrown) {
    const missing = (thrown as NodeJS.ErrnoException).code === "ENOENT";
    const what = missing ? "there is no checkpoint" : `cannot be read: ${errorText(thrown)}`;
    throw new QdgError(missing ? "not-found" : "io", path, what, { cause: thrown });
  }
  try {
    return await decode(file, path);
  } catch (thrown) {
    if (thrown instanceof QdgError) throw thrown;
    throw new QdgError("io", path, `cannot be read: ${errorText(thrown)}`, { cause: thrown });
  } finally {
    await file.close();
  }
}

async function decode(file: FileHandle, path: string): Promise<CheckpointContent> {
  const { size } = await file.stat();
  const prelude = await readAt(file, 0, Math.min(PRELUDE_BYTES, size), path);
  if (prelude.subarray(0, 8).toString("latin1") !== MAGIC) fail(path, "is no checkpoint of qdg");
  if (size < PRELUDE_BYTES) fail(path, `is cut short: got ${size} bytes, expected at least ${PRELUDE_BYTES}`);
  const version = prelude.readUInt32LE(8);
  if (version !== CHECKPOINT_VERSION) {
    fail(
      path,
      `got a checkpoint of version ${version}, expected ${CHECKPOINT_VERSION}; go on with the qdg that wrote it, or start anew with --force`,
    );
  }
  const headerBytes = prelude.readUInt32LE(12);
  if (headerBytes > size - PRELUDE_BYTES) fail(path, `is cut short: the header says ${headerBytes} bytes`);
  const header = parseHeader(await readAt(file, PRELUDE_BYTES, headerBytes, path), path);
  const expected = sizeOf(headerBytes, header);
  if (size !== expected) fail(path, `got ${size} bytes, expected ${expected}; it is damaged`);
  const rest = await readAt(file, PRELUDE_BYTES, size - PRELUDE_BYTES, path);
  if (!hashOf(rest).equals(prelude.subarray(16, PRELUDE_BYTES))) {
    fail(path, "its content does not match its SHA-256; it is damaged");
  }
  const arrays = new Map<string, CheckpointArray>();
  let at = padded(PRELUDE_BYTES + headerBytes);
  for (const { name, dtype, length } of header.arrays) {
    const bytes = length * BYTES_OF[dtype];
    // Copied: an array of its own, aligned as its type wants.
    const copy = Uint8Array.from(rest.subarray(at - PRELUDE_BYTES, at - PRELUDE_BYTES + bytes)).buffer;
    arrays.set(name, dtype === "int8" ? new Int8Array(copy) : new Float32Array(copy));
    at += padded(bytes);
  }
  return { values: header.values, arrays };
}

async function readAt(file: FileHandle, position: number, length: number, path: string): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  for (let done = 0; done < length;) {
    const { bytesRead } = await file.read(buffer, done, length - done, position + done);
    if (bytesRead === 0) fail(path, `is cut short: got ${position + done} bytes`);
    done += bytesRead;
  }
  return buffer;
}

function parseHeader(bytes: Buffer, path: string): Header {
  let parsed: unknown;
  try {
    parsed = JSON.parse(bytes.toString("utf8"));
  } catch (thrown) {
    throw new QdgError("invalid-data", path, "its header is not JSON; it is damaged", { cause: thrown });
  }
  const { values, arrays } = (isRecord(parsed) ? parsed : {}) as Partial<Header>;
  if (!isRecord(values) || !Array.isArray(arrays) || !arrays.every(isEntry)) {
    return fail(path, "its header lacks values or arrays; it is damaged");
  }
  if (new Set(arrays.map(({ name }) => name)).size !== arrays.length) {
    return fail(path, "its header names an array twice; it is damaged");
  }
  return { values, arrays };
}

function isEntry(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { name, dtype, length } = value;
  if (typeof name !== "string" || typeof length !== "number") return false;
  return (dtype === "float32" || dtype === "int8") && Number.isSafeInteger(length) && length >= 0;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function sizeOf(headerBytes: number, { arrays }: Header): number {
  return arrays.reduce(
    (sum, { dtype, length }) => sum + padded(length * BYTES_OF[dtype]),
    padded(PRELUDE_BYTES + headerBytes),
  );
}

function padded(bytes: number): number {
  return 4 * Math.ceil(bytes / 4);
}

function hashOf(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest();
}

/** JSON would write NaN as null. */
function finite(key: string, value: unknown): unknown {
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw new QdgError("internal", "checkpoint", `${key} is ${value}, which JSON does not hold`);
  }
  return value;
}

function fail(path: string, what: string): never {
  throw new QdgError("invalid-data", path, what);
}
