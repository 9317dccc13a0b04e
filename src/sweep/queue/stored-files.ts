// Files of a run folder on their way into Redis and out of it: in chunks under keys of their own, with sizes and a
// SHA-256 that are compared before anything is written.

import { createHash, randomBytes } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import type { Redis } from "ioredis";
import { QdgError } from "../../base/error.js";
import { readError } from "../../base/read-bytes.js";
import { CHUNK_BYTES, MOST_BYTES, type StoredFile, type StoredFiles } from "./job-message.js";

/** What nobody fetches goes by itself. */
const KEPT_SECONDS = 14 * 24 * 3600;

/** Of one job. BullMQ's own keys begin otherwise. */
export interface StorePlace {
  readonly redis: Redis;
  readonly queue: string;
  readonly id: string;
}

/**
 * Puts those of the named files that are there into Redis. Files that only grow, or that are replaced whole, may do so
 * meanwhile.
 *
 * @throws QdgError `io`; `invalid-data` where they are larger than MOST_BYTES together
 */
export async function putFiles(
  place: StorePlace,
  folder: string,
  names: readonly string[],
): Promise<StoredFiles> {
  const upload = randomBytes(8).toString("hex");
  const files: StoredFile[] = [];
  let left = MOST_BYTES;
  try {
    for (const name of names) {
      const stored = await putFile(place, join(folder, name), name, upload, left);
      if (!stored) continue;
      files.push(stored);
      left -= stored.bytes;
    }
  } catch (thrown) {
    await removeFiles(place, { upload, files });
    throw thrown;
  }
  return { upload, files };
}

async function putFile(
  place: StorePlace,
  path: string,
  name: string,
  upload: string,
  mostBytes: number,
): Promise<StoredFile | null> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw readError(path, thrown);
  }
  try {
    const { size } = await file.stat();
    if (size > mostBytes)
      throw new QdgError(
        "invalid-data",
        path,
        `makes more than ${MOST_BYTES} bytes, which Redis is not given`,
      );
    const hash = createHash("sha256");
    for (let at = 0, n = 0; at < size; n++) {
      const chunk = Buffer.alloc(Math.min(CHUNK_BYTES, size - at));
      for (let done = 0; done < chunk.length;) {
        const { bytesRead } = await file.read(chunk, done, chunk.length - done, at + done);
        if (bytesRead === 0) throw new QdgError("io", path, "became shorter while it was read");
        done += bytesRead;
      }
      hash.update(chunk);
      await place.redis.set(keyOf(place, upload, name, n), chunk, "EX", KEPT_SECONDS);
      at += chunk.length;
    }
    return { name, bytes: size, sha256: hash.digest("hex") };
  } finally {
    await file.close();
  }
}

/**
 * The bytes of one file.
 *
 * @throws QdgError `invalid-data` where a chunk is gone or of another size, or where the hash is another one
 */
export async function getFile(place: StorePlace, upload: string, file: StoredFile): Promise<Buffer> {
  const { name, bytes, sha256 } = file;
  const chunks: Buffer[] = [];
  for (let at = 0, n = 0; at < bytes; n++) {
    const key = keyOf(place, upload, name, n);
    const expected = Math.min(CHUNK_BYTES, bytes - at);
    // Before memory is taken.
    const found = await place.redis.strlen(key);
    const chunk = found === expected ? await place.redis.getBuffer(key) : null;
    if (chunk?.length !== expected)
      throw new QdgError(
        "invalid-data",
        place.id,
        `${name}: got ${found} bytes of a chunk in Redis, expected ${expected}`,
      );
    chunks.push(chunk);
    at += expected;
  }
  const whole = Buffer.concat(chunks);
  if (createHash("sha256").update(whole).digest("hex") === sha256) return whole;
  throw new QdgError("invalid-data", place.id, `${name}: what Redis holds has another SHA-256 than was said`);
}

export async function removeFiles(place: StorePlace, { upload, files }: StoredFiles): Promise<void> {
  const keys = files.flatMap(({ name, bytes }) =>
    Array.from({ length: Math.ceil(bytes / CHUNK_BYTES) }, (_, n) => keyOf(place, upload, name, n)),
  );
  if (keys.length > 0) await place.redis.del(keys);
}

/** JSON of what the last checkpoint has left there; null where there is none. */
export async function getState(place: StorePlace): Promise<unknown> {
  const text = await place.redis.get(stateKey(place));
  if (text === null) return null;
  try {
    return JSON.parse(text) as unknown;
  } catch (thrown) {
    throw new QdgError("invalid-data", place.id, "its state in Redis is not JSON", { cause: thrown });
  }
}

export async function setState(place: StorePlace, state: object): Promise<void> {
  await place.redis.set(stateKey(place), JSON.stringify(state), "EX", KEPT_SECONDS);
}

export async function removeState(place: StorePlace): Promise<void> {
  await place.redis.del(stateKey(place));
}

function stateKey({ queue, id }: StorePlace): string {
  return `qdg-state:${queue}:${id}`;
}

function keyOf({ queue, id }: StorePlace, upload: string, name: string, n: number): string {
  return `qdg-files:${queue}:${id}:${upload}:${name}:${n}`;
}
