// Reads a user's file whole, and says in one way why it cannot be. For Node: what loads in browsers imports it where
// a path is read.

import { readFile } from "node:fs/promises";
import { errorText, QdgError } from "./error.js";

/** @throws QdgError as {@link readError} */
export async function readBytes(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (thrown) {
    throw readError(path, thrown);
  }
}

/** `not-found` for a path that leads nowhere, else `io` with the system's reason; a QdgError stays what it is. */
export function readError(path: string, thrown: unknown): QdgError {
  if (thrown instanceof QdgError) return thrown;
  const missing = (thrown as NodeJS.ErrnoException).code === "ENOENT";
  return new QdgError(missing ? "not-found" : "io", path, `cannot be read: ${errorText(thrown)}`, {
    cause: thrown,
  });
}
