// Results that take long, kept as JSON files, so that a run which was interrupted goes on where it stopped.

import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

/** What `path` holds; otherwise what `make` gives, written there once it is whole. */
export async function kept<T>(path: string, make: () => Promise<T>): Promise<T> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as T;
  } catch (thrown) {
    // A missing file is the usual case; one that does not parse was not written here and is made again.
    const missing = (thrown as NodeJS.ErrnoException).code === "ENOENT";
    if (!missing && !(thrown instanceof SyntaxError)) throw thrown;
  }
  const made = await make();
  await mkdir(dirname(path), { recursive: true });
  await writeFile(`${path}.tmp`, JSON.stringify(made));
  await rename(`${path}.tmp`, path);
  return made;
}
