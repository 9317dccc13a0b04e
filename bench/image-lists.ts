// Which images are judged and which calibrate: a rule on nothing but their paths, so that it gives the same lists on
// every machine. No image is in two lists.

import { createHash } from "node:crypto";
import { copyFile, mkdir, readdir } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { kept } from "./cache.js";

export interface ImageCounts {
  /** Of all domains together. */
  readonly judged: number;
  /** Of all domains together, in each draw. */
  readonly calibration: number;
  /** Lists to calibrate on. */
  readonly draws: number;
}

export interface ImageLists {
  readonly judged: readonly string[];
  /** One list a draw. */
  readonly calibration: readonly (readonly string[])[];
  /** Eight hexadecimal digits that tell lists apart. */
  readonly hash: string;
}

/**
 * The images of each domain, which is the first folder of a path, stand in the order of the SHA-256 of their paths. The
 * first `judged / domains` are judged, the next `calibration / domains` are those of draw 0, then those of draw 1, and so on.
 *
 * @param paths relative, with "/" between folders
 * @throws RangeError for counts that the domains cannot share evenly, and for a domain of too few images
 */
export function imageLists(
  paths: readonly string[],
  { judged, calibration, draws }: ImageCounts,
): ImageLists {
  const domains = [...new Set(paths.map(domainOf))].sort();
  const share = (count: number): number => {
    if (count % domains.length === 0) return count / domains.length;
    throw new RangeError(`got ${count} images of ${domains.length} domains, expected as many of each`);
  };
  const [first, each] = [share(judged), share(calibration)];
  const ordered = domains.map((domain) => {
    const images = paths.filter((path) => domainOf(path) === domain);
    const wanted = first + draws * each;
    if (images.length < wanted) {
      throw new RangeError(`${domain}: got ${images.length} images, expected ${wanted} or more`);
    }
    return images
      .map((path) => ({ path, key: sha256(path) }))
      .sort((a, b) => (a.key < b.key ? -1 : 1))
      .map(({ path }) => path);
  });
  const slice = (start: number, count: number): string[] =>
    ordered.flatMap((images) => images.slice(start, start + count));
  const lists = {
    judged: slice(0, first),
    calibration: Array.from({ length: draws }, (_, draw) => slice(first + draw * each, each)),
  };
  return { ...lists, hash: sha256(JSON.stringify(lists)).slice(0, 8) };
}

/** Images below a folder, as imageLists takes them. */
export async function imagePaths(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && /\.(jpe?g|png)$/i.test(entry.name))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/"));
}

/** A folder with copies of the images of one list, for what takes a folder: made once. */
export async function folderOf(from: string, list: readonly string[], folder: string): Promise<string> {
  await kept(`${folder}.json`, async () => {
    for (const path of list) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await copyFile(join(from, path), join(folder, path));
    }
    return { images: list.length };
  });
  return folder;
}

function domainOf(path: string): string {
  return path.slice(0, path.indexOf("/"));
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
