// Image files to 8-bit sRGB pixels. The only importer of sharp, which is loaded at the first image. It must
// never resize: that is resample.ts's, since browsers have to give the same bytes.

import { errorText, QdgError } from "../base/error.js";
import { readBytes } from "../base/read-bytes.js";
import { Budget } from "./budget.js";
import type { Image } from "./image.js";
import { MAX_SIDE } from "./image.js";

/** More pixels than this are refused by what the file's header says: at 3 bytes each, 300 MB. */
export const MAX_PIXELS = 100_000_000;
/** A file that is larger is not read. */
const MAX_FILE_BYTES = 2 ** 29;

/** Pixels in memory at a time, of all images that are being decoded: a dozen kilobytes of PNG can be the largest image. */
export const pixelsInFlight: Budget = new Budget(MAX_PIXELS);

/** Endings of files that count as images, in lower case. */
export const IMAGE_EXTENSIONS: readonly string[] = [
  ".avif",
  ".gif",
  ".jpeg",
  ".jpg",
  ".png",
  ".tif",
  ".tiff",
  ".webp",
];

/** As sharp calls them. SVG is left out: it is a program that draws, and it can read other files. */
const FORMATS: ReadonlySet<string> = new Set(["gif", "heif", "jpeg", "png", "tiff", "webp"]);

type Sharp = (typeof import("sharp"))["default"];

let loading: Promise<Sharp> | null = null;

async function loadSharp(): Promise<Sharp> {
  let sharp: Sharp;
  try {
    sharp = (await import("sharp")).default;
  } catch (thrown) {
    throw new QdgError("unavailable", "sharp", `${errorText(thrown)}; install sharp for this platform`, {
      cause: thrown,
    });
  }
  // Each image is read once, and several are decoded at a time: a cache and threads within one image would
  // only hold memory.
  sharp.cache(false);
  sharp.concurrency(1);
  return sharp;
}

/**
 * sharp, loaded once: for this file and encode.ts alone.
 *
 * @throws QdgError `unavailable`
 */
export function sharpLibrary(): Promise<Sharp> {
  loading ??= loadSharp().catch((thrown: unknown) => {
    loading = null;
    throw thrown;
  });
  return loading;
}

/**
 * {@link useImage} for one image that is looked at by itself; of many at a time nothing bounds the memory.
 *
 * @throws QdgError the same
 */
export function decodeImage(source: string | Uint8Array, where?: string): Promise<Image> {
  return useImage(source, (image) => image, where);
}

/**
 * Decodes to 3 channels of 8 bits, sRGB: EXIF orientation applied, alpha over white, embedded color profile
 * (CMYK among them), 16-bit and gray converted, the first picture of an animation.
, and gives that to `use`. Only MAX_PIXELS are in memory at a time, however
 * many images are asked for: the others wait.
 *
 * @param source a path, or the bytes of a file
 * @param use takes what it needs of the pixels; it must not keep them
 * @param where what messages call it; the path when absent
 * @throws QdgError `invalid-data` for what is no image, is damaged, or has too many pixels; `not-found` or
 * `io` when the file cannot be read; `unavailable` without sharp
 */
export async function useImage<T>(
  source: string | Uint8Array,
  use: (image: Image) => T,
  where?: string,
): Promise<T> {
  const name = where ?? (typeof source === "string" ? source : "image");
  const bytes = typeof source === "string" ? await readBytes(source, MAX_FILE_BYTES) : source;
  if (bytes.length === 0) throw broken(name, "the file is empty");
  const sharp = await sharpLibrary();
  const input = sharp(bytes, { failOn: "error", limitInputPixels: MAX_PIXELS });
  let pixels: number;
  try {
    const { format, width, height } = await input.metadata();
    if (!FORMATS.has(format ?? "")) {
      throw broken(name, `format: got ${format}, expected one of ${[...FORMATS].join(", ")}`);
    }
    if (width > MAX_SIDE || height > MAX_SIDE) {
      throw broken(name, `got ${width} x ${height} pixels, expected sides up to ${MAX_SIDE}`);
    }
    pixels = width * height;
    if (pixels > MAX_PIXELS) {
      throw broken(name, `got ${width} x ${height} pixels, expected at most ${MAX_PIXELS} in all`);
    }
  } catch (thrown) {
    if (thrown instanceof QdgError) throw thrown;
    throw broken(name, errorText(thrown), thrown);
  }
  return pixelsInFlight.spend(pixels, async () => use(await decoded(input, name)));
}

async function decoded(input: ReturnType<Sharp>, name: string): Promise<Image> {
  try {
    const { data, info } = await input
      .autoOrient()
      .flatten({ background: "#ffffff" })
      .toColourspace("srgb")
      .raw({ depth: "uchar" })
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== 3) {
      throw new QdgError("internal", name, `decoded to ${info.channels} channels, expected 3`);
    }
    return {
      width: info.width,
      height: info.height,
      channels: 3,
      data: new Uint8Array(data.buffer, data.byteOffset, data.length),
    };
  } catch (thrown) {
    if (thrown instanceof QdgError) throw thrown;
    throw broken(name, errorText(thrown), thrown);
  }
}

function broken(where: string, what: string, cause?: unknown): QdgError {
  return new QdgError("invalid-data", where, `cannot be decoded as an image: ${what}`, { cause });
}
