// Writes files whole or not at all: to a temporary name in the same folder, then renamed. Nothing in
// qdg writes a user's file in any other way, so an interrupted run leaves no half-written file.

import type { Stats } from "node:fs";
import { access, constants, link, mkdir, open, rename, stat, unlink } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { errorText, QdgError } from "./error.js";
import { sweepLeftovers, temporaryName } from "./leftovers.js";
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

/** A file to write: its bytes, or its text. */
export interface FileToWrite {
  readonly path: string;
  readonly bytes: Uint8Array | string;
}

export interface WriteOptions {
  /** Replace files that exist. */
  readonly force?: boolean;
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
  options: WriteOptions = {},
): Promise<void> {
  await writeFilesAtomic([{ path, bytes }], options);
}

/**
 * Writes files that belong together: each is whole under a temporary name before the first one gets its own. What a
 * killed process has left in their folders is taken away.
 *
 * @param files in the order in which they get their names
 * @throws QdgError as writeFileAtomic. Without `force` nothing is changed then; with it files may be new that come before
 * the one at fault, and the message says which
 */
export async function writeFilesAtomic(
  files: readonly FileToWrite[],
  { force = false }: WriteOptions = {},
): Promise<void> {
  for (const { path } of files) await refuseExisting(path, force);
  const staged = files.map(({ path, bytes }) => ({ path, bytes, temporary: temporaryName(path) }));
  const placed: string[] = [];
  let current = "";
  try {
    for (const { path, bytes, temporary } of staged) {
      current = path;
      await mkdir(dirname(path), { recursive: true });
      await sweepLeftovers(dirname(path));
      markTemporary(temporary);
      await writeWhole(temporary, bytes);
    }
    for (const { path, temporary } of staged) {
      current = path;
      // A link fails where the name is taken; a rename would replace the other file in silence.
      await (force ? rename(temporary, path) : linkOrRename(temporary, path));
      placed.push(path);
    }
  } catch (thrown) {
    for (const { temporary } of staged) await unlink(temporary).catch(() => undefined);
    if (!force) for (const path of placed) await unlink(path).catch(() => undefined);
    if (thrown instanceof QdgError) throw thrown;
    const changed =
      force && placed.length > 0 ? `${placed.join(", ")} is the new one` : "nothing was changed";
    throw new QdgError("io", current, `cannot be written: ${errorText(thrown)}; ${changed}`, {
      cause: thrown,
    });
  } finally {
    for (const { temporary } of staged) unmarkTemporary(temporary);
  }
}

/** A new file, on the disk itself when this returns. */
export async function writeWhole(path: string, bytes: Uint8Array | string): Promise<void> {
  const file = await open(path, "wx");
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
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
