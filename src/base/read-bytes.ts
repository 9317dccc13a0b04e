// Reads a user's file whole, and says in one way why it cannot be. For Node: what loads in browsers imports it where
// a path is read.

import { readFile, stat } from "node:fs/promises";
import { errorText, QdgError } from "./error.js";

/**
 * @param mostBytes a file that is larger is not read
 * @throws QdgError as {@link readError}; `invalid-data` for a file that is too large
 */
export async function readBytes(path: string, mostBytes: number = Number.POSITIVE_INFINITY): Promise<Buffer> {
  try {
    const sizeBytes = mostBytes < Number.POSITIVE_INFINITY ? (await stat(path)).size : 0;
    if (sizeBytes > mostBytes) {
      throw new QdgError("invalid-data", path, `has ${sizeBytes} bytes, expected at most ${mostBytes}`);
    }
    return await readFile(path);
  } catch (thrown) {
    throw readError(path, thrown);
  }
}

/** `not-found` for a path that leads nowhere, else `io` with the system's reason in plain words; a QdgError stays what it is. */
export function readError(path: string, thrown: unknown): QdgError {
  if (thrown instanceof QdgError) return thrown;
  const missing = ["ENOENT", "ENOTDIR"].includes((thrown as NodeJS.ErrnoException).code ?? "");
  return new QdgError(missing ? "not-found" : "io", path, `cannot be read: ${errorText(thrown)}`, {
    cause: thrown,
  });
}
