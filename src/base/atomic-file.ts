// Writes files whole or not at all: to a temporary name in the same folder, then renamed. Nothing in
// qdg writes a user's file in any other way, so an interrupted run leaves no half-written file.

import { randomBytes } from "node:crypto";
import { unlinkSync } from "node:fs";
import { access, link, mkdir, open, rename, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errorText, QdgError } from "./error.js";

const pending = new Set<string>();

/** Removes temporary files of writes under way. Synchronous: for signal handlers and `exit`. */
export function removePendingFiles(): void {
  for (const path of pending) {
    try {
      unlinkSync(path);
    } catch {
      // Already renamed or never created: nothing is left behind either way.
    }
  }
  pending.clear();
}

/** @throws QdgError `exists` when `path` is there and `force` is not set */
export async function refuseExisting(path: string, force: boolean): Promise<void> {
  if (force) return;
  try {
    await access(path);
  } catch {
    return;
  }
  throw existing(path);
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
    pending.add(temporary);
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
    pending.delete(temporary);
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
