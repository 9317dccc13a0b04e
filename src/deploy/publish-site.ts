// Puts a site in place so that a server finds a whole one at every moment: the old or the new. Two folders cannot change
// places in one step from Node, and a link to a folder for each version is nothing that every host takes. Files can: what
// has its hash in its name stands beside that of the old site, and the few fixed names are renamed over the old ones last.

import { lstat, mkdir, readdir, readFile, rename, rm, rmdir } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";
import { writeWhole } from "../base/atomic-file.js";
import { errorText, QdgError } from "../base/error.js";
import { isTemporaryName, sweepLeftovers, temporaryName } from "../base/leftovers.js";
import { takeLock } from "../base/process-lock.js";
import { markTemporary, unmarkTemporary } from "../base/temporaries.js";
import { formatHeaders, HEADERS_FILE, type HeaderRule, parseHeaders } from "./headers.js";

export interface PublishedFile {
  readonly bytes: Uint8Array;
  /** Whether the name holds the hash of the bytes: then it may stand beside the files of another version. */
  readonly hashed: boolean;
}

/**
 * Writes `files` (path within the folder, with `/`) as the folder `path`. Of a folder that is there all other files go.
 *
 * All files are whole on the disk before the first gets its name. Then come those with a hash, then the others in their
 * order: the last are the moments of change, each for all that it refers to. `_headers` says of old and new files what they
 * are until the old ones are gone. Killed at any point, it leaves a whole site, and files that the next call removes.
 *
 * @throws QdgError `unavailable` where another process publishes there; `io` with the system's reason: what stands there
 * then is whole, and the message says whether it is the old site
 */
export async function publishSite(path: string, files: ReadonlyMap<string, PublishedFile>): Promise<void> {
  const lock = await takeLock(join(dirname(path), `.${basename(path)}.lock`), path);
  let isChanged = false;
  try {
    await sweepLeftovers(dirname(path));
    if (await isFolder(path)) {
      await update(path, files, () => {
        isChanged = true;
      });
    } else {
      await create(path, files);
    }
  } catch (thrown) {
    if (thrown instanceof QdgError) throw thrown;
    const state = isChanged
      ? "a part of the new site is in place, and each page is whole; deploy again"
      : "the site is as it was";
    throw new QdgError("io", path, `cannot be written: ${errorText(thrown)}; ${state}`, { cause: thrown });
  } finally {
    await lock.release();
  }
}

/** A site where there is none appears whole in one step. */
async function create(path: string, files: ReadonlyMap<string, PublishedFile>): Promise<void> {
  const temporary = temporaryName(path);
  markTemporary(temporary);
  try {
    for (const [name, { bytes }] of files) {
      const file = join(temporary, ...name.split("/"));
      await mkdir(dirname(file), { recursive: true });
      await writeWhole(file, bytes);
    }
    await rename(temporary, path);
  } finally {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    unmarkTemporary(temporary);
  }
}

async function update(
  path: string,
  files: ReadonlyMap<string, PublishedFile>,
  onChange: () => void,
): Promise<void> {
  await clearTheWay(path, [...files.keys()]);
  const before = await filesOf(path);
  const temporaries: string[] = [];
  /** Writes a file under another name; what comes back gives it its own. */
  const stage = async (name: string, bytes: Uint8Array | string): Promise<() => Promise<void>> => {
    const target = join(path, ...name.split("/"));
    await mkdir(dirname(target), { recursive: true });
    await sweepLeftovers(dirname(target));
    const temporary = temporaryName(target);
    markTemporary(temporary);
    temporaries.push(temporary);
    await writeWhole(temporary, bytes);
    return async () => {
      await rename(temporary, target);
      onChange();
    };
  };
  try {
    const inOrder = [...files].filter(([name]) => name !== HEADERS_FILE);
    const headers = files.get(HEADERS_FILE)?.bytes ?? "";
    const placeMerged = await stage(HEADERS_FILE, await mergedHeaders(path, headers));
    const placeHeaders = await stage(HEADERS_FILE, headers);
    const places: (() => Promise<void>)[] = [];
    for (const hashedNow of [true, false]) {
      for (const [name, { bytes, hashed }] of inOrder) {
        if (hashed === hashedNow) places.push(await stage(name, bytes));
      }
    }
    // First, so that files of a version that was never finished are known for ours.
    await placeMerged();
    for (const place of places) await place();
    for (const name of before) {
      if (!files.has(name)) await rm(join(path, ...name.split("/")), { force: true });
    }
    await removeEmptyFolders(path);
    await placeHeaders();
  } finally {
    for (const temporary of temporaries) {
      await rm(temporary, { force: true }).catch(() => undefined);
      unmarkTemporary(temporary);
    }
  }
}

/** The rules of the new site, and those of the old one for its other files. */
async function mergedHeaders(path: string, headers: Uint8Array | string): Promise<string> {
  const own = typeof headers === "string" ? headers : new TextDecoder().decode(headers);
  const rules = parseHeaders(own, HEADERS_FILE);
  const known = new Set(rules.map((rule) => rule.path));
  const old = await readFile(join(path, HEADERS_FILE), "utf8")
    .then((text) => parseHeaders(text, HEADERS_FILE))
    // Absent, or of somebody else, whose folder is to be replaced.
    .catch((): HeaderRule[] => []);
  return formatHeaders([...rules, ...old.filter((rule) => !known.has(rule.path))]);
}

/** All files and links in a folder, by path within it with `/`. */
export async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory() && !isTemporaryName(entry.name))
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(folder.length + 1)
        .split(sep)
        .join("/"),
    );
}

/** Folders where files are to be, and files or links where folders are to be: only in a folder of somebody else. */
async function clearTheWay(path: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const parts = name.split("/");
    for (let depth = 1; depth <= parts.length; depth++) {
      const at = join(path, ...parts.slice(0, depth));
      const found = await lstat(at).catch(() => null);
      if (found === null) break;
      if (found.isDirectory() !== depth < parts.length) await rm(at, { recursive: true });
    }
  }
}

async function removeEmptyFolders(path: string): Promise<void> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const folders = entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name));
  // The longest path first: the innermost. One that holds something stays.
  for (const folder of folders.sort((a, b) => b.length - a.length))
    await rmdir(folder).catch(() => undefined);
}

async function isFolder(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => null))?.isDirectory() === true;
}
