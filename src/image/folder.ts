// Folders of images: which files count, in which order, and batches of them as tensors. A broken image is
// never left out in silence.

import { readdir, realpath, stat } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { extname, isAbsolute, join, relative, sep } from "node:path";
import { QdgError } from "../base/error.js";
import { readError } from "../base/read-bytes.js";
import type { Progress } from "../base/progress.js";
import { noProgress } from "../base/progress.js";
import type { Tensor } from "../base/tensor.js";
import { IMAGE_EXTENSIONS, useImage } from "./decode.js";
import type { ImageInput } from "./to-tensor.js";
import { batchShape, writeImage } from "./to-tensor.js";

/** An image file. In `photo/dog/1.jpg` the label is "dog" and the group "photo". */
export interface ImageEntry {
  readonly path: string;
  /** From the folder that was listed, with "/" on every system. */
  readonly relativePath: string;
  /** Name of the folder that holds it; null for an image directly in the listed folder. */
  readonly label: string | null;
  /** Path of the folders above the label ("photo", a domain); "" when there are none. */
  readonly group: string;
}

export interface BrokenImage {
  readonly entry: ImageEntry;
  readonly reason: string;
}

/**
 * All images in a folder and below, in code-unit order of their relative paths, the same on every system.
 * Hidden files and folders (".name") and files of other endings are left out. A link counts when it leads
 * to an image file inside the folder.
 *
 * @throws QdgError `not-found` or `io` when the folder cannot be read; `invalid-path` for an image that is
 * a link out of the folder or into nothing, and for a link to a folder; `invalid-data` when it holds no image
 */
export async function listImages(folder: string): Promise<ImageEntry[]> {
  let root: string;
  try {
    root = await realpath(folder);
    if (!(await stat(root)).isDirectory()) {
      throw new QdgError("invalid-data", folder, "got a file, expected a folder of images");
    }
  } catch (thrown) {
    throw readError(folder, thrown);
  }
  const relativePaths: string[] = [];
  const walk = async (below: string): Promise<void> => {
    const path = join(root, below);
    const entries = await readdir(path, { withFileTypes: true }).catch((thrown: unknown) => {
      throw readError(path, thrown);
    });
    for (const entry of entries) {
      if (entry.name.startsWith(".")) continue;
      const next = below === "" ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory()) await walk(next);
      else if (entry.isFile() ? isImageName(entry.name) : entry.isSymbolicLink()) {
        if (!entry.isSymbolicLink() || (await linkCounts(root, next))) relativePaths.push(next);
      }
    }
  };
  await walk("");
  if (relativePaths.length === 0) {
    throw new QdgError(
      "invalid-data",
      folder,
      `got no image in it or below, expected files ending in ${IMAGE_EXTENSIONS.join(" ")}; put images there, or give another folder`,
    );
  }
  // The default order of sort is by UTF-16 code units, whatever the locale.
  return relativePaths.sort().map((relativePath) => {
    const parts = relativePath.split("/").slice(0, -1);
    return {
      path: join(folder, relativePath),
      relativePath,
      label: parts.at(-1) ?? null,
      group: parts.slice(0, -1).join("/"),
    };
  });
}

/** By its ending. */
export function isImageName(name: string): boolean {
  return IMAGE_EXTENSIONS.includes(extname(name).toLowerCase());
}

async function linkCounts(root: string, below: string): Promise<boolean> {
  const path = join(root, below);
  const refused = (what: string): QdgError =>
    new QdgError("invalid-path", path, `${what}; copy what it points to, or remove it`);
  const target = await realpath(path).catch(() => null);
  if (target === null) {
    if (isImageName(below)) throw refused("is a link to nothing");
    return false;
  }
  const found = await stat(target);
  if (found.isDirectory()) throw refused("is a link to a folder, which is not followed");
  if (!isImageName(below)) return false;
  const way = relative(root, target);
  if (way.startsWith(`..${sep}`) || isAbsolute(way)) throw refused("is a link out of the folder");
  return found.isFile();
}

export interface ImageBatch {
  /** [N, H, W, C] or [N, C, H, W], N = entries.length. */
  readonly tensor: Tensor<"float32">;
  readonly entries: readonly ImageEntry[];
}

export interface LoadOptions {
  /** Images a batch; the last one may hold fewer. 1 when absent. */
  readonly batchSize?: number;
  /** Leave broken images out instead of failing. */
  readonly skipBroken?: boolean;
  /** Called for each image left out, in order. */
  readonly onSkipped?: (broken: BrokenImage) => void;
  readonly progress?: Progress;
  /** Images decoded at a time; the number of cores when absent. */
  readonly concurrency?: number;
}

/**
 * Decodes images and yields them in order, as batches. At most `concurrency` images are decoded ahead of
 * the batch at hand.
 *
 * @returns the images left out, when skipBroken is set
 * @throws QdgError `invalid-data` naming the first broken images and counting all of them, after the last
 * batch before the first of them; with skipBroken when every one is broken
 */
export async function* loadImages(
  entries: readonly ImageEntry[],
  input: ImageInput,
  options: LoadOptions = {},
): AsyncGenerator<ImageBatch, readonly BrokenImage[], undefined> {
  const { batchSize = 1, skipBroken = false, progress = noProgress } = options;
  const concurrency = options.concurrency ?? availableParallelism();
  for (const [name, value] of Object.entries({ batchSize, concurrency })) {
    if (Number.isInteger(value) && value >= 1) continue;
    throw new QdgError("usage", name, `got ${value}, expected an integer >= 1`);
  }
  const sampleSize = input.height * input.width * input.channels;
  const skipped: BrokenImage[] = [];
  let good: { entry: ImageEntry; data: Float32Array }[] = [];
  let loaded = 0;
  const batch = (): ImageBatch => {
    const data = new Float32Array(good.length * sampleSize);
    good.forEach((image, slot) => data.set(image.data, slot * sampleSize));
    const result: ImageBatch = {
      tensor: { dtype: "float32", shape: batchShape(input, good.length), data },
      entries: good.map((image) => image.entry),
    };
    good = [];
    return result;
  };
  for await (const { entry, data, reason } of decodeInOrder(entries, input, concurrency)) {
    loaded++;
    progress.report("images", loaded, entries.length);
    if (data === null) {
      skipped.push({ entry, reason });
      if (skipBroken) options.onSkipped?.({ entry, reason });
      continue;
    }
    // After a broken image the rest is only decoded to count how many there are.
    if (skipped.length > 0 && !skipBroken) continue;
    good.push({ entry, data });
    if (good.length === batchSize) yield batch();
  }
  if (skipped.length > 0 && (!skipBroken || skipped.length === entries.length)) {
    throw brokenImages(skipped, entries.length);
  }
  if (good.length > 0) yield batch();
  return skipped;
}

interface Decoded {
  readonly entry: ImageEntry;
  /** null: broken, for `reason`. */
  readonly data: Float32Array | null;
  readonly reason: string;
}

async function* decodeInOrder(
  entries: readonly ImageEntry[],
  input: ImageInput,
  concurrency: number,
): AsyncGenerator<Decoded, void, undefined> {
  const decode = async (entry: ImageEntry): Promise<Decoded> => {
    try {
      const data = await useImage(
        entry.path,
        (image) => {
          const sample = new Float32Array(input.height * input.width * input.channels);
          writeImage(image, input, sample, 0);
          return sample;
        },
        entry.relativePath,
      );
      return { entry, data, reason: "" };
    } catch (thrown) {
      // Anything but the image itself, as sharp not being there, concerns all of them.
      if (!(thrown instanceof QdgError) || !["invalid-data", "not-found", "io"].includes(thrown.code)) {
        throw thrown;
      }
      return { entry, data: null, reason: thrown.message };
    }
  };
  const ahead: Promise<Decoded>[] = [];
  let next = 0;
  while (next < entries.length || ahead.length > 0) {
    while (next < entries.length && ahead.length < concurrency) {
      const promise = decode(entries[next++] as ImageEntry);
      // Awaited in its turn; without this, an earlier failure would leave it unhandled.
      promise.catch(() => undefined);
      ahead.push(promise);
    }
    yield await (ahead.shift() as Promise<Decoded>);
  }
}

function brokenImages(broken: readonly BrokenImage[], total: number): QdgError {
  const shown = broken.slice(0, 3).map(({ reason }) => reason.replace(/ \[[a-z-]+\]$/, ""));
  const more = broken.length - shown.length;
  return new QdgError(
    "invalid-data",
    `${broken.length} of ${total} images`,
    `broken: ${shown.join("; ")}${more > 0 ? `; and ${more} more` : ""}; mend or remove them, or --skip-broken`,
  );
}
