// What a folder in DomainBed's layout, domain/class/image, holds: its domains, classes and files. Looks at
// names and sizes, opens no image. A folder laid out otherwise is an error, never a guess.

import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { errorText, QdgError } from "../../base/error.js";
import type { ImageEntry } from "../../image/folder.js";
import { listImages } from "../../image/folder.js";

export interface ListedFile {
  readonly path: string;
  /** From the top folder, with "/" on every system. */
  readonly relativePath: string;
  /** Index into the classes. */
  readonly label: number;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
}

export interface ListedDomain {
  readonly name: string;
  /** In code-unit order of their paths. */
  readonly files: readonly ListedFile[];
}

export interface ListedFolder {
  readonly classes: readonly string[];
  readonly domains: readonly ListedDomain[];
}

/** More than a label's 16 bits hold is no set of classes. */
const MAX_CLASSES = 2 ** 16;
/** How many of a kind a message names. */
const NAMED = 5;
const LAYOUT = "expected domain/class/image";

/**
 * The domains and classes of `folder`, both sorted by code units. Hidden files and folders, and files that are
 * no images, are left out.
 *
 * @throws QdgError `not-found`, `io`, `invalid-path` as listImages; `invalid-data` for images that do not
 * lie at domain/class/image, a class without an image in a domain that others have one in, or less than two
 * classes
 */
export async function listDomains(folder: string): Promise<ListedFolder> {
  const entries = await listImages(folder);
  checkDepth(folder, entries);
  const names = await foldersIn(folder);
  const found = new Set<string>();
  for (const name of names) for (const inner of await foldersIn(join(folder, name))) found.add(inner);
  const classes = [...found].sort();
  if (classes.length < 2 || classes.length > MAX_CLASSES) {
    const what = `got ${classes.length} classes (${some(classes)}), expected 2 to ${MAX_CLASSES}; ${LAYOUT}`;
    throw new QdgError("invalid-data", folder, what);
  }
  const byDomain = new Map<string, ImageEntry[]>(names.map((name) => [name, []]));
  for (const entry of entries) byDomain.get(entry.group)?.push(entry);
  checkClasses(folder, classes, byDomain);
  const labels = new Map(classes.map((name, label) => [name, label]));
  const domains: ListedDomain[] = [];
  for (const [name, list] of byDomain) {
    const files: ListedFile[] = [];
    for (const { path, relativePath, label } of list) {
      const { size, mtimeMs } = await statOf(path);
      files.push({
        path,
        relativePath,
        label: labels.get(label as string) as number,
        sizeBytes: size,
        modifiedMs: mtimeMs,
      });
    }
    domains.push({ name, files });
  }
  return { classes, domains };
}

/** Names of the folders in a folder that are not hidden, sorted. */
async function foldersIn(folder: string): Promise<string[]> {
  try {
    const found = await readdir(folder, { withFileTypes: true });
    return found
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
      .map((entry) => entry.name)
      .sort();
  } catch (thrown) {
    throw new QdgError("io", folder, `cannot be read: ${errorText(thrown)}`, { cause: thrown });
  }
}

async function statOf(path: string): Promise<{ readonly size: number; readonly mtimeMs: number }> {
  try {
    return await stat(path);
  } catch (thrown) {
    throw new QdgError("io", path, `cannot be looked at: ${errorText(thrown)}`, { cause: thrown });
  }
}

function checkDepth(folder: string, entries: readonly ImageEntry[]): void {
  const depths = entries.map((entry) => entry.relativePath.split("/").length);
  const wrong = entries.filter((_, i) => depths[i] !== 3);
  if (wrong.length === 0) return;
  const count = `${wrong.length} of ${entries.length} images do not lie at domain/class/image: `;
  let remedy = "move or remove them";
  if (depths.every((depth) => depth === 2)) remedy = "this looks like one domain; give the folder above it";
  if (depths.every((depth) => depth === 4)) remedy = "give the folder in it that holds the domains";
  throw new QdgError(
    "invalid-data",
    folder,
    `${count}${some(wrong.map((entry) => entry.relativePath))}; ${remedy}`,
  );
}

function checkClasses(
  folder: string,
  classes: readonly string[],
  byDomain: ReadonlyMap<string, readonly ImageEntry[]>,
): void {
  const missing: string[] = [];
  for (const [domain, list] of byDomain) {
    const found = new Set(list.map((entry) => entry.label));
    for (const name of classes) if (!found.has(name)) missing.push(`class ${name} in domain ${domain}`);
  }
  if (missing.length === 0) return;
  throw new QdgError(
    "invalid-data",
    folder,
    `no image of ${some(missing)}; every domain needs every class, add images or remove the class from all`,
  );
}

/** The first few, and how many more. */
export function some(names: readonly string[]): string {
  const more = names.length - NAMED;
  return names.slice(0, NAMED).join(", ") + (more > 0 ? ` and ${more} more` : "");
}
