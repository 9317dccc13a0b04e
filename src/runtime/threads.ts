// How many threads may be asked for, the same for every runtime; and what a page may have.

import { QdgError } from "../base/error.js";

/** @throws QdgError `usage` for what is no integer >= 1 */
export function checkThreads(threads: number): void {
  if (Number.isInteger(threads) && threads >= 1) return;
  throw new QdgError("usage", "threads", `got ${threads}, expected an integer >= 1`);
}

/** Memory can be shared with threads: only on pages that no other origin can look into. */
export function mayThread(): boolean {
  return (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === true;
}

/** @throws QdgError `usage`; `unavailable` for more than one on a page that may not share memory */
export function checkPageThreads(threads: number): void {
  checkThreads(threads);
  if (threads === 1 || mayThread()) return;
  throw new QdgError(
    "unavailable",
    "threads",
    `got ${threads}, but this page is not cross-origin isolated; serve it with Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp`,
  );
}
