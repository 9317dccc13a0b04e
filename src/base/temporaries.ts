// What lies on the disk only while work is under way: files that are not yet renamed, folders of intermediate files.
// Whoever ends the process takes it away. Nothing here creates anything but temporary folders.

import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Called with each path as it becomes a temporary (`true`) and as it is none any more. */
export type TemporariesListener = (path: string, exists: boolean) => void;

const temporaries = new Set<string>();
let listener: TemporariesListener | null = null;

/** Says that `path`, which is about to be created, is to go when the process ends. */
export function markTemporary(path: string): void {
  temporaries.add(path);
  listener?.(path, true);
}

/** Says that `path` is renamed or removed. */
export function unmarkTemporary(path: string): void {
  if (temporaries.delete(path)) listener?.(path, false);
}

/** Tells somebody else, who can take away what this process leaves behind when it is killed; null: nobody. */
export function watchTemporaries(watcher: TemporariesListener | null): void {
  listener = watcher;
}

/** Removes all temporaries of this process. Synchronous: for signals and the end of the process. */
export function removeTemporaries(): void {
  removePaths(temporaries);
  temporaries.clear();
}

/** Removes files and folders, as far as that can be done. */
export function removePaths(paths: Iterable<string>): void {
  for (const path of paths) {
    try {
      rmSync(path, { recursive: true, force: true });
    } catch {
      // Whoever ends has no one left to tell; the system's folder for temporary files is cleared by the system.
    }
  }
}

/** A folder of its own in the system's folder for temporary files, and how to take it away. */
export async function temporaryFolder(
  prefix: string,
): Promise<{ readonly path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), prefix));
  markTemporary(path);
  return {
    path,
    async remove() {
      await rm(path, { recursive: true, force: true });
      unmarkTemporary(path);
    },
  };
}
