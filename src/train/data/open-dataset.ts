// From a folder of images, or the name of a drawn set, to pixels in memory. Each file is decoded once and
// resampled by the code of deployment, so that what a run evaluates on is what a deployed network sees.

import { realpath } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { errorText, QdgError } from "../../base/error.js";
import type { Progress } from "../../base/progress.js";
import { noProgress } from "../../base/progress.js";
import { VERSION } from "../../base/version.js";
import { useImage } from "../../image/decode.js";
import { cropCenter, type Image } from "../../image/image.js";
import type { Preprocessing } from "../../image/preprocessing.js";
import { STYLES } from "../../image/draw-styles.js";
import { isDrawnSet } from "../../image/drawn-sets.js";
import { resample } from "../../image/resample.js";
import type { Dataset } from "./dataset.js";
import { CHANNELS, checkImageSize, checkInteger, createDomain, sharedBytes } from "./dataset.js";
import { drawDataset, type DrawnOptions } from "./drawn-dataset.js";
import type { CachedImages } from "./image-cache.js";
import { defaultCacheFolder, keyOf, readCachedImages, writeCachedImages } from "./image-cache.js";
import type { ListedDomain, ListedFile } from "./list-domains.js";
import { listDomainNames, listDomains, listUnlabeled } from "./list-domains.js";

export interface OpenOptions {
  /** H = W of the network's input, in pixels. */
  readonly imageSize: number;
  /** How files come to that size; that of the preprocessing. "stretch" when absent. */
  readonly resize?: Preprocessing["resize"];
  /** Where decoded images are kept; null: nowhere. `$XDG_CACHE_HOME/qdg` or `~/.cache/qdg` when absent. */
  readonly cacheFolder?: string | null;
  /** Images decoded at a time; the number of cores when absent. */
  readonly threads?: number;
  /** Leave out what cannot be decoded or is too small, instead of failing. */
  readonly skipBroken?: boolean;
  /** Images in any layout, as listUnlabeled; folders in it are told to be no classes. */
  readonly unlabeled?: boolean;
  /** For a drawn set only: "shapes-dg", "digits-drawn". */
  readonly shapes?: DrawnOptions;
  /** Called with what the user may want to know: images left out, a cache that was damaged or not written. */
  readonly onNote?: (note: string) => void;
}

/** How many broken images a message names. */
const NAMED = 5;

/** A side of an image below this is too small: an eighth of what the network sees, and never one pixel. */
export function leastSide(imageSize: number): number {
  return Math.max(2, Math.ceil(imageSize / 8));
}

/**
 * Opens `source`: a drawn set ("shapes-dg", "digits-drawn"), or a folder in the layout class/image or
 * domain/class/image (a folder of that name is "./shapes-dg"). Images are those of listImages, decoded by decodeImage and brought to [S, S, 3] by
 * cropCenter (for "center-crop") and resample: the bytes that writeImage makes a network's input of.
 *
 * @throws QdgError `usage` for options out of range; `not-found`, `io`, `invalid-path` for a folder or file that
 * cannot be read; `invalid-data` as listDomains, for images that are broken or have a side below
 * leastSide (named, and counted), and when there is not the memory; `unavailable` without sharp
 */
export async function openDataset(
  source: string,
  options: OpenOptions,
  progress: Progress = noProgress,
): Promise<Dataset> {
  const { imageSize, skipBroken = false, onNote = () => undefined } = options;
  checkImageSize(imageSize);
  const threads = options.threads ?? availableParallelism();
  checkInteger("threads", threads, 1, 1024);
  if (isDrawnSet(source)) return drawDataset(source, imageSize, options.shapes, progress);
  const { classes, domains } = await (options.unlabeled ? listUnlabeled(source) : listDomains(source));
  if (options.unlabeled) sayFolders(domains, onNote);
  const top = await realpath(source);
  const resize = options.resize ?? "stretch";
  const cacheFolder =
    options.cacheFolder === undefined ? defaultCacheFolder(process.env) : options.cacheFolder;

  const cached = new Map<ListedDomain, CachedImages>();
  const places = new Map<ListedDomain, { readonly path: string; readonly key: string }>();
  for (const domain of domains) {
    if (cacheFolder === null) continue;
    const name = domain.name.replaceAll(/[^\w-]/g, "_").slice(0, 40);
    const place = keyOf([top, domain.name, imageSize, resize]).slice(0, 16);
    const path = join(cacheFolder, `${name}-${place}.images`);
    const key = keyOf([VERSION, imageSize, resize, classes, domain.files.map(identity)]);
    places.set(domain, { path, key });
    const found = await readCachedImages(path, key, imageSize * imageSize * CHANNELS);
    if ("damage" in found) {
      if (found.damage !== null) onNote(`${path}: the cache is damaged (${found.damage}) and made again`);
    } else if (skipBroken || found.skipped.length === 0) {
      cached.set(domain, found);
    }
  }

  const undone = domains.filter((domain) => !cached.has(domain));
  const total = undone.reduce((sum, domain) => sum + domain.files.length, 0);
  let done = 0;
  const decoded = (): void => progress.report("decode images", ++done, total);
  const broken: string[] = [];
  for (const domain of undone) {
    const images = await decodeDomain(domain, imageSize, resize, threads, decoded);
    cached.set(domain, images);
    for (const [, reason] of images.skipped) broken.push(reason);
    const place = places.get(domain);
    if (!place || (images.skipped.length > 0 && !skipBroken)) continue;
    try {
      await writeCachedImages(place.path, place.key, images);
    } catch (thrown) {
      // Training needs the images, not the cache: the next run decodes again.
      onNote(`the cache was not written: ${errorText(thrown)}; name another folder for it`);
    }
  }
  if (broken.length > 0 && !skipBroken) throw brokenImages(broken, total);

  return {
    classes,
    imageSize,
    domains: domains.map((domain) => {
      const images = cached.get(domain) as CachedImages;
      for (const [, reason] of images.skipped) onNote(`left out: ${reason}`);
      checkNoClassEmptied(domain, classes, images);
      return createDomain(domain.name, imageSize, images.labels, images.files, images.pixels);
    }),
  };
}

/**
 * The names of the domains of `source`, as openDataset has them, without opening an image.
 *
 * @throws QdgError as listDomainNames
 */
export async function domainNames(source: string): Promise<readonly string[]> {
  return isDrawnSet(source) ? STYLES : listDomainNames(source);
}

function sayFolders([all]: readonly ListedDomain[], onNote: (note: string) => void): void {
  const inFolder = all?.files.find(({ relativePath }) => relativePath.includes("/"));
  if (inFolder)
    onNote(`folders as that of ${inFolder.relativePath} are no classes here: images are taken as they are`);
}

/** What tells a file from another that took its place. */
function identity({ relativePath, sizeBytes, modifiedMs }: ListedFile): readonly (string | number)[] {
  return [relativePath, sizeBytes, modifiedMs];
}

/** All images of a domain; those that are broken or too small are in `skipped`. */
async function decodeDomain(
  { name, files }: ListedDomain,
  imageSize: number,
  resize: Preprocessing["resize"],
  threads: number,
  decoded: () => void,
): Promise<CachedImages> {
  const size = imageSize * imageSize * CHANNELS;
  const pixels = sharedBytes(files.length * size, `domain ${name}`);
  const reasons = new Map<number, string>();
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < files.length) {
      const i = next++;
      try {
        pixels.set(await readPixels(files[i] as ListedFile, imageSize, resize), i * size);
      } catch (thrown) {
        // Anything but the image itself may be gone tomorrow, as a full disk or sharp not being there.
        if (!(thrown instanceof QdgError) || thrown.code !== "invalid-data") throw thrown;
        reasons.set(i, thrown.message.replace(/ \[[a-z-]+\]$/, ""));
      }
      decoded();
    }
  };
  await Promise.all(Array.from({ length: Math.min(threads, files.length) }, work));
  const good = files.map((_, i) => i).filter((i) => !reasons.has(i));
  good.forEach((from, to) => {
    if (from !== to) pixels.copyWithin(to * size, from * size, (from + 1) * size);
  });
  return {
    files: good.map((i) => (files[i] as ListedFile).relativePath),
    labels: Uint16Array.from(good, (i) => (files[i] as ListedFile).label),
    skipped: [...reasons]
      .sort(([a], [b]) => a - b)
      .map(([i, reason]) => [(files[i] as ListedFile).relativePath, reason]),
    pixels: pixels.subarray(0, good.length * size),
  };
}

function readPixels(
  { path, relativePath }: ListedFile,
  imageSize: number,
  resize: Preprocessing["resize"],
): Promise<Uint8Array> {
  return useImage(path, (image) => squarePixels(image, relativePath, imageSize, resize), relativePath);
}

function squarePixels(
  image: Image,
  relativePath: string,
  imageSize: number,
  resize: Preprocessing["resize"],
): Uint8Array {
  const least = leastSide(imageSize);
  if (image.width < least || image.height < least) {
    throw new QdgError(
      "invalid-data",
      relativePath,
      `is too small: got ${image.width} x ${image.height} pixels, expected ${least} x ${least} or more ` +
        `for a network that sees ${imageSize} x ${imageSize}`,
    );
  }
  const cut = resize === "center-crop" ? cropCenter(image, imageSize, imageSize) : image;
  return resample(cut, imageSize, imageSize).data;
}

function brokenImages(reasons: readonly string[], total: number): QdgError {
  const more = reasons.length - NAMED;
  return new QdgError(
    "invalid-data",
    `${reasons.length} of ${total} images`,
    `cannot be used: ${reasons.slice(0, NAMED).join("; ")}${more > 0 ? `; and ${more} more` : ""}; ` +
      "mend or remove them, or --skip-broken",
  );
}

function checkNoClassEmptied(domain: ListedDomain, classes: readonly string[], images: CachedImages): void {
  const found = new Set(images.labels);
  const label = classes.findIndex((_, i) => !found.has(i));
  if (label === -1) return;
  const own = new Set(domain.files.filter((file) => file.label === label).map((file) => file.relativePath));
  const reason = images.skipped.find(([file]) => own.has(file))?.[1];
  throw new QdgError(
    "invalid-data",
    `class ${classes[label]} in domain ${domain.name}`,
    `every image is broken, as ${reason}`,
  );
}
