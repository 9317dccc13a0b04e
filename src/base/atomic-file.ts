// Writes files whole or not at all: to a temporary name in the same folder, then renamed. Nothing in
// qdg writes a user's file in any other way, so an interrupted run leaves no half-written file.

import { randomBytes } from "node:crypto";
import type { Stats } from "node:fs";
import { access, constants, link, mkdir, open, rename, stat, unlink } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { errorText, QdgError } from "./error.js";
import { markTemporary, unmarkTemporary } from "./temporaries.js";

/**
 * Looks, before long work, whether `path` can be written after it. Changes nothing.
 *
 * @throws QdgError `exists` when it is there and `force` is not set; `io` when it is a folder, a device or a
 * pipe, or when its folder is none or not writable
 */
export async function checkWritable(path: string, force: boolean): Promise<void> {
  await refuseExisting(path, force);
  for (let folder = dirname(resolve(path)); ; folder = dirname(folder)) {
    const found = await statOf(folder);
    if (!found && folder !== dirname(folder)) continue;
    if (!found?.isDirectory()) throw new QdgError("io", folder, "is a file, expected a folder");
    try {
      await access(folder, constants.W_OK);
    } catch (thrown) {
      throw new QdgError("io", folder, `the folder is not writable (${errorText(thrown)})`, {
        cause: thrown,
      });
    }
    return;
  }
}

async function refuseExisting(path: string, force: boolean): Promise<void> {
  const found = await statOf(path);
  if (!found) return;
  if (found.isDirectory()) throw new QdgError("io", path, "is a folder, expected the name of a file");
  // A rename would put a file where /dev/null was.
  if (!found.isFile()) throw new QdgError("io", path, "is no plain file, and is not replaced");
  if (!force) throw existing(path);
}

/** What a path leads to; null when there is nothing. */
async function statOf(path: string): Promise<Stats | null> {
  try {
    return await stat(path);
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    // ENOTDIR: a file where a folder should be; the folders above it are looked at in their turn.
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    throw new QdgError("io", path, `cannot be looked at: ${errorText(thrown)}`, { cause: thrown });
  }
}

/**
 * Writes `bytes` to `path`, making its folder. Without `force` an existing file is left as it is,
 * also one that appeared since the caller looked.
 *
 * @throws QdgError `exists`, or `io` with the system's reason (disk full, not writable)
 */
export async function writeFileAtomic(
  path: string,
  bytes: Uint8Array | string,
  options: { readonly force?: boolean } = {},
): Promise<void> {
  await refuseExisting(path, options.force ?? false);
  const folder = dirname(path);
  const temporary = join(folder, `.${basename(path)}.${randomBytes(6).toString("hex")}.tmp`);
  try {
    await mkdir(folder, { recursive: true });
    markTemporary(temporary);
    const file = await open(temporary, "wx");
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    if (options.force) {
      await rename(temporary, path);
    } else {
      // A link fails where the name is taken; a rename would replace the other file in silence.
      await linkOrRename(temporary, path);
    }
  } catch (thrown) {
    await unlink(temporary).catch(() => undefined);
    if (thrown instanceof QdgError) throw thrown;
    throw new QdgError("io", path, `cannot be written: ${errorText(thrown)}; nothing was changed`, {
      cause: thrown,
    });
  } finally {
    unmarkTemporary(temporary);
  }
}

async function linkOrRename(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path);
  } catch (thrown) {
    const code = (thrown as NodeJS.ErrnoException).code;
    if (code === "EEXIST") throw existing(path);
    // File systems without hard links (some network and FAT ones).
    if (code === "EPERM" || code === "ENOTSUP" || code === "ENOSYS") return rename(temporary, path);
    throw thrown;
  }
  await unlink(temporary);
}

function existing(path: string): QdgError {
  return new QdgError("exists", path, "the file exists already; give another name or --force");
}
