// What a set of images by domain is, and which of its domains a run may use. Holds pixels, opens no file:
// open-dataset.ts does.

import { QdgError } from "../../base/error.js";

/** The images of one domain, all of one size, in the order of `files`. */
export interface Domain {
  readonly name: string;
  /** Images, N. */
  readonly count: number;
  /** [N] indices into the classes of the set. */
  readonly labels: Uint16Array;
  /** [N] paths from the folder of the set, with "/" on every system. */
  readonly files: readonly string[];
  /** [N, H, W, 3] uint8 RGB. On a SharedArrayBuffer, so that workers read it in place. */
  readonly pixels: Uint8Array;
  /** [H, W, 3], a view of `pixels`: the very bytes that a deployed network would be fed. */
  image(index: number): Uint8Array;
}

export interface Dataset {
  /** Sorted by code units; the same in every domain. */
  readonly classes: readonly string[];
  /** Sorted by name. */
  readonly domains: readonly Domain[];
  /** H = W, in pixels. */
  readonly imageSize: number;
}

/** Channels of an image. */
export const CHANNELS = 3;

/** Smallest and largest H = W that is taken, in pixels. */
export const IMAGE_SIZES: readonly [least: number, most: number] = [4, 2048];

/** @throws QdgError `usage` unless `imageSize` is an integer in IMAGE_SIZES */
export function checkImageSize(imageSize: number): void {
  checkInteger("image size", imageSize, ...IMAGE_SIZES);
}

/** @throws QdgError `usage` unless `value` is an integer in least..most */
export function checkInteger(where: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new QdgError("usage", where, `got ${value}, expected an integer from ${least} to ${most}`);
}

/**
 * A domain over memory that is there already.
 *
 * @param pixels [N, H, W, 3], N = files.length = labels.length, H = W = imageSize
 * @throws QdgError `internal` when the lengths do not agree
 */
export function createDomain(
  name: string,
  imageSize: number,
  labels: Uint16Array,
  files: readonly string[],
  pixels: Uint8Array,
): Domain {
  const size = imageSize * imageSize * CHANNELS;
  if (labels.length !== files.length || pixels.length !== files.length * size) {
    throw new QdgError(
      "internal",
      `domain ${name}`,
      `got ${files.length} files, ${labels.length} labels, ${pixels.length} bytes of ${size} an image`,
    );
  }
  return {
    name,
    count: files.length,
    labels,
    files,
    pixels,
    image(index) {
      if (!Number.isInteger(index) || index < 0 || index >= files.length) {
        throw new QdgError("internal", `domain ${name}`, `image: got ${index}, there are ${files.length}`);
      }
      return pixels.subarray(index * size, (index + 1) * size);
    },
  };
}

/**
 * `bytes` zeros that threads can share.
 *
 * @throws QdgError `invalid-data` when the machine does not give as much
 */
export function sharedBytes(bytes: number, where: string): Uint8Array<SharedArrayBuffer> {
  try {
    return new Uint8Array(new SharedArrayBuffer(bytes));
  } catch (thrown) {
    const what = `its images take ${(bytes / 2 ** 20).toFixed(0)} MiB, which could not be had; a smaller image size takes less`;
    throw new QdgError("invalid-data", where, what, { cause: thrown });
  }
}

/**
 * The domains of these names, in the order of the names.
 *
 * @throws QdgError `not-found` for a name that is none, listing those that are; `usage` for one given twice
 */
export function findDomains(dataset: Dataset, names: readonly string[]): Domain[] {
  const repeated = names.find((name, i) => names.indexOf(name) !== i);
  if (repeated !== undefined)
    throw new QdgError("usage", `domain ${repeated}`, "is given twice; name it once");
  return names.map((name) => {
    const found = dataset.domains.find((domain) => domain.name === name);
    if (found) return found;
    const known = dataset.domains.map((domain) => domain.name).join(", ");
    throw new QdgError(
      "not-found",
      `domain ${name}`,
      `is not in the data, which has ${known}; name one of them`,
    );
  });
}

/** @throws QdgError `usage` without a domain to train on */
export function checkSourceDomains(sources: readonly Domain[]): void {
  if (sources.length > 0) return;
  throw new QdgError(
    "usage",
    "--test-domain",
    "got every domain of the data, expected one or more to be left to train on; name fewer, or none",
  );
}
