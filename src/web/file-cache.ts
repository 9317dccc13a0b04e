// Fetched files kept in the browser's Cache API under their SHA-256, so that a second visit needs no network
// and a new model never meets an old file. Keeping a file is a favour: that it cannot be kept is no error.

import { browserGlobals } from "./browser.js";

export interface FileCache {
  /** null when it is not there. The caller checks the hash again. */
  get(sha256: string): Promise<Uint8Array<ArrayBuffer> | null>;
  put(sha256: string, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
}

const CACHE_NAME = "qdg-files";

/** null where there is no Cache API: in Node, and on pages that are not secure. */
export function browserFileCache(): FileCache | null {
  const { caches } = browserGlobals();
  if (caches === undefined) return null;
  return {
    async get(sha256) {
      try {
        const response = await (await caches.open(CACHE_NAME)).match(addressOf(sha256));
        return response === undefined ? null : new Uint8Array(await response.arrayBuffer());
      } catch {
        return null;
      }
    },
    async put(sha256, bytes) {
      try {
        await (await caches.open(CACHE_NAME)).put(addressOf(sha256), new Response(bytes));
      } catch {
        // No space, or private browsing: the next visit fetches the file again.
      }
    },
  };
}

/** Forgets every file that `load` has kept on this origin. */
export async function clearCache(): Promise<void> {
  await browserGlobals().caches?.delete(CACHE_NAME);
}

/** A key has to look like an address; this name belongs to nobody and is never fetched. */
function addressOf(sha256: string): string {
  return `https://qdg.invalid/${sha256}`;
}
