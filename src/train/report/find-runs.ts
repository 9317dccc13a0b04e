// The run folders that a path means: itself, or, for the folder of a sweep, all those in it.

import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { readError } from "../../base/read-bytes.js";

export interface FoundRuns {
  readonly folders: readonly string[];
  /** Whether any of them was found in a folder of runs. */
  readonly isSweep: boolean;
}

/**
 * Paths that are no folder of runs are given back as they are; readRun says what is wrong with them.
 *
 * @throws QdgError `io` for a folder that cannot be read
 */
export async function findRuns(paths: readonly string[]): Promise<FoundRuns> {
  const folders: string[] = [];
  let isSweep = false;
  for (const path of paths) {
    const inside = (await isRun(path)) ? [] : await runsIn(path);
    if (inside.length > 0) isSweep = true;
    folders.push(...(inside.length > 0 ? inside : [path]));
  }
  return { folders, isSweep };
}

async function runsIn(folder: string): Promise<string[]> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return [];
    throw readError(folder, thrown);
  }
  const found: string[] = [];
  for (const name of names.sort()) if (await isRun(join(folder, name))) found.push(join(folder, name));
  return found;
}

async function isRun(folder: string): Promise<boolean> {
  return (await stat(join(folder, "run.json")).catch(() => null)) !== null;
}
