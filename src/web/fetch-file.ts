// Files over a network: bounded in size, counted while they come, checked against their hash before anyone
// sees them. A file whose bytes are not the promised ones is never returned and never cached.

import { errorText, QdgError } from "../base/error.js";
import type { FileCache } from "./file-cache.js";

export interface FileRequest {
  readonly url: string;
  /** Exactly so many bytes ("=") or at most ("<="). */
  readonly size: { readonly bound: "=" | "<="; readonly bytes: number };
  /** null: nothing is known to check against. */
  readonly sha256: string | null;
  /** Looked up and filled by sha256. */
  readonly cache: FileCache | null;
  readonly signal: AbortSignal | undefined;
  /** Why the file is needed, where that is no matter of course: for messages. */
  readonly reason?: string;
  /** Called with the bytes of this file that are here so far. */
  readonly onBytes?: (loadedBytes: number) => void;
  /** Asks the server whether the browser's own copy is still right. */
  readonly revalidate?: boolean;
}

/** Longer than this without a byte, a download has stalled; one that moves may take as long as it takes. */
const STALL_LIMIT_MS = 30_000;

/**
 * The bytes of a file: from the cache when they are there and have the right hash, else from its server.
 *
 * @throws QdgError `interrupted` when aborted, `not-found` for 404 and 410, `io` for other answers, no answer,
 * and 30 s without a byte, `invalid-data` for another size or hash than promised
 */
export async function fetchFile(request: FileRequest): Promise<Uint8Array<ArrayBuffer>> {
  const { url, size, sha256, cache, signal, onBytes } = request;
  checkSignal(signal, url);
  if (cache !== null && sha256 !== null) {
    const bytes = await cache.get(sha256);
    // A cache is storage that others on this origin can write to.
    if (bytes !== null && (await sha256Of(bytes)) === sha256) {
      checkSignal(signal, url);
      onBytes?.(bytes.length);
      return bytes;
    }
  }
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = await download(request);
  } catch (thrown) {
    checkSignal(signal, url);
    if (thrown instanceof QdgError) throw thrown;
    const why = request.reason === undefined ? "" : `, and is needed because ${request.reason}`;
    throw new QdgError(
      "io",
      url,
      `cannot be fetched: ${errorText(thrown)}${why}; check the network and try again`,
      { cause: thrown },
    );
  }
  if (size.bound === "=" && bytes.length !== size.bytes) {
    throw damaged(url, `got ${bytes.length} bytes, expected ${size.bytes}`);
  }
  if (sha256 !== null) {
    const hash = await sha256Of(bytes);
    if (hash !== sha256) throw damaged(url, `got SHA-256 ${hash}, expected ${sha256}`);
    await cache?.put(sha256, bytes);
  }
  checkSignal(signal, url);
  return bytes;
}

async function download(request: FileRequest): Promise<Uint8Array<ArrayBuffer>> {
  const { signal } = request;
  const controller = new AbortController();
  const forward = (): void => controller.abort(signal?.reason);
  signal?.addEventListener("abort", forward);
  if (signal?.aborted === true) forward();
  let stalled = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const moving = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      stalled = true;
      controller.abort();
    }, STALL_LIMIT_MS);
  };
  try {
    moving();
    return await receive(request, controller.signal, moving);
  } catch (thrown) {
    if (!stalled) throw thrown;
    throw new Error(`not a byte came in ${STALL_LIMIT_MS / 1000} s`, { cause: thrown });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", forward);
  }
}

/** @param moving called whenever something has come */
async function receive(
  { url, size, onBytes, revalidate }: FileRequest,
  signal: AbortSignal,
  moving: () => void,
): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(url, {
    signal,
    ...(revalidate === true && { cache: "no-cache" }),
  });
  if (!response.ok) {
    await response.body?.cancel();
    const missing = response.status === 404 || response.status === 410;
    throw new QdgError(
      missing ? "not-found" : "io",
      url,
      `got HTTP status ${response.status}, expected 200; check the address and that the model is deployed there`,
    );
  }
  moving();
  const chunks: Uint8Array[] = [];
  let loadedBytes = 0;
  // A body is absent only where there is nothing to send.
  const reader = ((response.body ?? new Blob([]).stream()) as ReadableStream<Uint8Array>).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    moving();
    loadedBytes += value.length;
    if (loadedBytes > size.bytes) {
      await reader.cancel();
      throw damaged(url, `got over ${size.bytes} bytes, expected ${size.bound} ${size.bytes}`);
    }
    chunks.push(value);
    onBytes?.(loadedBytes);
  }
  const bytes = new Uint8Array(loadedBytes);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/**
 * SHA-256 as 64 digits in lower case.
 *
 * @throws QdgError `unavailable` on a page that is not secure: browsers hash only on https and localhost
 */
export async function sha256Of(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const { subtle } = globalThis.crypto as Partial<typeof crypto>;
  if (subtle === undefined) {
    throw new QdgError(
      "unavailable",
      "SHA-256",
      "files cannot be checked on a page that is not secure; serve it over https, or from localhost",
    );
  }
  const digest = new Uint8Array(await subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @throws QdgError `interrupted` when the caller has aborted */
export function checkSignal(signal: AbortSignal | undefined, where: string): void {
  if (signal?.aborted !== true) return;
  throw new QdgError("interrupted", where, "loading was aborted", { cause: signal.reason });
}

function damaged(url: string, what: string): QdgError {
  return new QdgError(
    "invalid-data",
    url,
    `${what}; the file was damaged or changed after the model was deployed and is not used; deploy it again`,
  );
}
