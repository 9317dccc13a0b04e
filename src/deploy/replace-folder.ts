// Puts a folder in place whole or not at all: written beside its final name, then renamed. What stood there is
// taken away only after the new one is complete.

import { randomBytes } from "node:crypto";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errorText, QdgError } from "../base/error.js";
import { markTemporary, unmarkTemporary } from "../base/temporaries.js";

/**
 * Writes `files` (path within the folder, with `/`, and bytes) as the folder `path`; replaces a folder that is there.
 *
 * @throws QdgError `io` with the system's reason; what stood there stands there still
 */
export async function replaceFolder(
  path: string,
  files: ReadonlyMap<string, Uint8Array | string>,
): Promise<void> {
  const name = (ending: string): string =>
    join(dirname(path), `.${basename(path)}.${randomBytes(6).toString("hex")}.${ending}`);
  const [temporary, previous] = [name("tmp"), name("old")];
  // A signal ends the process without unwinding; what was begun goes with it.
  markTemporary(temporary);
  try {
    await mkdir(dirname(path), { recursive: true });
    for (const [file, bytes] of files) {
      const target = join(temporary, ...file.split("/"));
      await mkdir(dirname(target), { recursive: true });
      await writeFile(target, bytes, { flush: true });
    }
    const replaced = await rename(path, previous).then(
      () => true,
      (thrown: NodeJS.ErrnoException) => {
        if (thrown.code === "ENOENT") return false;
        throw thrown;
      },
    );
    try {
      await rename(temporary, path);
    } catch (thrown) {
      if (replaced) await rename(previous, path);
      throw thrown;
    }
    // The new folder stands; a leftover of the old one is no failure of it.
    await rm(previous, { recursive: true, force: true }).catch(() => undefined);
  } catch (thrown) {
    throw new QdgError("io", path, `cannot be written: ${errorText(thrown)}; nothing was changed`, {
      cause: thrown,
    });
  } finally {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    unmarkTemporary(temporary);
  }
}
