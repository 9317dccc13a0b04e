// What a folder of images holds: its domains, classes and files. Two layouts are known by where the images lie,
// class/image and domain/class/image. Looks at names and sizes, opens no image. A folder laid out otherwise is
// an error, never a guess.

import { readdir, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
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
const LAYOUTS = "class/image, or domain/class/image";

/** A domain's name, and its images before classes have numbers. */
interface NamedDomain {
  readonly name: string;
  readonly entries: readonly ImageEntry[];
  /** Folders in it that are not hidden: its classes. */
  readonly classes: readonly string[];
}

/**
 * The domains and classes of `folder`, both sorted by code units. Images that all lie at class/image are one domain,
 * named after the folder; those that all lie at domain/class/image are as many as there are folders. Hidden files and
 * folders, and files that are no images, are left out.
 *
 * @throws QdgError `not-found`, `io`, `invalid-path` as listImages; `invalid-data` for images that do not all lie in
 * one of the two layouts, a class without an image in a domain that others have one in, or less than two classes
 */
export async function listDomains(folder: string): Promise<ListedFolder> {
  const found = await findDomainFolders(folder);
  const classes = [...new Set(found.flatMap((domain) => domain.classes))].sort();
  if (classes.length < 2 || classes.length > MAX_CLASSES) {
    const what = `got ${classes.length} classes (${some(classes)}), expected 2 to ${MAX_CLASSES}; the folders that hold the images are the classes, as ${LAYOUTS}`;
    throw new QdgError("invalid-data", folder, what);
  }
  checkClasses(folder, classes, found);
  const labels = new Map(classes.map((name, label) => [name, label]));
  const domains: ListedDomain[] = [];
  for (const { name, entries } of found) {
    const files = await filesOf(entries, ({ label }) => labels.get(label as string) as number);
    domains.push({ name, files });
  }
  return { classes, domains };
}

/** The one class of images without classes. */
const UNLABELED = "image";

/**
 * All images in `folder` and below, in any layout, as one domain named after the folder, with one class.
 *
 * @throws QdgError as listImages
 */
export async function listUnlabeled(folder: string): Promise<ListedFolder> {
  const files = await filesOf(await listImages(folder), () => 0);
  return { classes: [UNLABELED], domains: [{ name: nameOf(folder), files }] };
}

async function filesOf(
  entries: readonly ImageEntry[],
  labelOf: (entry: ImageEntry) => number,
): Promise<ListedFile[]> {
  const files: ListedFile[] = [];
  for (const entry of entries) {
    const { path, relativePath } = entry;
    const { size, mtimeMs } = await statOf(path);
    files.push({ path, relativePath, label: labelOf(entry), sizeBytes: size, modifiedMs: mtimeMs });
  }
  return files;
}

/** The folder of a whole disk has no name. */
function nameOf(folder: string): string {
  return basename(resolve(folder)) || "images";
}

/** The names of the domains alone, as listDomains has them. @throws QdgError as listDomains does of the layout */
export async function listDomainNames(folder: string): Promise<readonly string[]> {
  return (await findDomainFolders(folder)).map(({ name }) => name);
}

async function findDomainFolders(folder: string): Promise<NamedDomain[]> {
  const entries = await listImages(folder);
  const names = await foldersIn(folder);
  if (isClassLayout(folder, entries)) {
    return [{ name: nameOf(folder), entries, classes: names }];
  }
  const domains: NamedDomain[] = [];
  for (const name of names) {
    const own = entries.filter(({ group }) => group === name);
    domains.push({ name, entries: own, classes: await foldersIn(join(folder, name)) });
  }
  return domains;
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

/** Folders between the listed one and an image: 1 at class/image, 2 at domain/class/image. */
function depthOf({ relativePath }: ImageEntry): number {
  return relativePath.split("/").length - 1;
}

/**
 * Whether all images lie at class/image.
 *
 * @throws QdgError `invalid-data` unless all lie there, or all at domain/class/image
 */
function isClassLayout(folder: string, entries: readonly ImageEntry[]): boolean {
  const depths = new Set(entries.map(depthOf));
  if (depths.size === 1 && depths.has(1)) return true;
  if (depths.size === 1 && depths.has(2)) return false;
  const at = (depth: number): ImageEntry[] => entries.filter((entry) => depthOf(entry) === depth);
  const [inClasses, inDomains] = [at(1), at(2)];
  let what: string;
  if (inClasses.length > 0 && inDomains.length > 0) {
    const counts = `${inClasses.length} images at class/image (${named(inClasses.slice(0, 1))}) and ${inDomains.length} at domain/class/image (${named(inDomains.slice(0, 1))})`;
    what = `got ${counts}, expected one of the two for all; move or remove those that lie otherwise`;
  } else if (inClasses.length + inDomains.length === 0) {
    what = `got images at ${named(entries)}, expected ${LAYOUTS}; ${remedyFor(depths)}`;
  } else {
    const [right, layout] =
      inClasses.length > 0 ? [inClasses, "class/image"] : [inDomains, "domain/class/image"];
    const wrong = entries.filter((entry) => !right.includes(entry));
    what = `got ${wrong.length} of ${entries.length} images elsewhere than at ${layout}: ${named(wrong)}, expected all there; move or remove them`;
  }
  throw new QdgError("invalid-data", folder, what);
}

function named(entries: readonly ImageEntry[]): string {
  return some(entries.map(({ relativePath }) => relativePath));
}

/** For images of which none lies as it should. */
function remedyFor(depths: ReadonlySet<number>): string {
  if (depths.size > 1) return "move them";
  return depths.has(0)
    ? "make a folder for each class and move its images there"
    : "give the folder in it that holds the domains or the classes";
}

function checkClasses(folder: string, classes: readonly string[], domains: readonly NamedDomain[]): void {
  const missing = domains.flatMap(({ name, entries }) => {
    const found = new Set(entries.map((entry) => entry.label));
    const where = domains.length > 1 ? ` in domain ${name}` : "";
    return classes.filter((label) => !found.has(label)).map((label) => `class ${label}${where}`);
  });
  if (missing.length === 0) return;
  const remedy =
    domains.length > 1
      ? `expected every class in each of the ${domains.length} domains; add images or remove the class from all domains ` +
        `(if ${some(domains.map(({ name }) => name))} are the classes, their images must lie directly in them)`
      : "expected one image or more in the folder of each class; add images or remove the folder";
  throw new QdgError("invalid-data", folder, `got no image of ${some(missing)}, ${remedy}`);
}

/** The first few, and how many more. */
export function some(names: readonly string[]): string {
  const more = names.length - NAMED;
  return names.slice(0, NAMED).join(", ") + (more > 0 ? ` and ${more} more` : "");
}
