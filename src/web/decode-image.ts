// Whatever a page has for a picture becomes 8-bit RGB. Decoding is the browser's; nothing is resized here,
// because only src/image/resample.ts gives the same bytes everywhere.

import { errorText, QdgError } from "../base/error.js";
import type { Image } from "../image/image.js";
import { checkImage, MAX_SIDE } from "../image/image.js";
import type { BitmapLike, CanvasLike } from "./browser.js";
import { browserGlobals } from "./browser.js";

/** An ImageData: RGBA, alpha not multiplied in. */
export interface ImageDataLike {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray;
  readonly colorSpace?: string;
}

/** HTMLImageElement, HTMLCanvasElement, OffscreenCanvas, ImageBitmap, HTMLVideoElement: by shape. */
export interface DrawableLike {
  readonly width: number;
  readonly height: number;
}

/**
 * A picture: an encoded file (Blob, File), what a page shows (image, canvas, video, ImageBitmap), pixels
 * (ImageData), or an Image of 3 channels that is decoded already.
 */
export type ImageLike = Blob | DrawableLike | ImageDataLike | Image;

/** As in Node: more are refused, since each takes 4 bytes and more. */
const MAX_PIXELS = 100_000_000;

const EXPECTED =
  "expected a Blob or File, ImageData, ImageBitmap, an image, canvas or video element, or an OffscreenCanvas";

/**
 * 8-bit sRGB, the orientation of EXIF and an embedded color profile applied, alpha over white; of a video the
 * frame that is shown. An encoded file or an image element that is still loading is waited for.
 *
 * The same pixels as decodeImage gives in Node for PNG and lossless WebP; partly transparent pixels may be one
 * level off, since canvases hold them multiplied by their alpha, and so may those with a color profile.
 *
 * @throws QdgError `invalid-data` for what is no image or cannot be decoded, is empty or too large, or may
 * not be read because it came from another origin; `unavailable` where there is no browser to decode
 */
export async function decodeBrowserImage(source: ImageLike): Promise<Image> {
  if (typeof source !== "object" || source === null) {
    throw new QdgError("invalid-data", "image", `got ${typeof source}, ${EXPECTED}`);
  }
  if (isImage(source)) {
    checkImage(source, "image");
    return source;
  }
  if (isImageData(source)) return fromImageData(source);
  const { ImageBitmap } = browserGlobals();
  if (ImageBitmap !== undefined && source instanceof ImageBitmap) return fromBitmap(source);
  const bitmap = await bitmapOf(source);
  try {
    return fromBitmap(bitmap);
  } finally {
    bitmap.close();
  }
}

/**
 * Alpha over white, `(alpha v + (255 - alpha) 255) / 255` rounded down, as decodeImage does it in Node.
 *
 * @param rgba 4 bytes per pixel
 */
export function overWhite(rgba: Uint8ClampedArray, width: number, height: number): Image {
  const data = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < data.length; from += 4, to += 3) {
    const alpha = rgba[from + 3] as number;
    const white = 255 * (255 - alpha);
    for (let c = 0; c < 3; c++) {
      data[to + c] = Math.floor((alpha * (rgba[from + c] as number) + white) / 255);
    }
  }
  return { width, height, channels: 3, data };
}

function isImage(source: object): source is Image {
  return "channels" in source && "data" in source && source.data instanceof Uint8Array;
}

function isImageData(source: object): source is ImageDataLike {
  return "data" in source && ArrayBuffer.isView(source.data);
}

function fromImageData({ width, height, data, colorSpace }: ImageDataLike): Image {
  if (!(data instanceof Uint8ClampedArray) || (colorSpace ?? "srgb") !== "srgb") {
    const got = data instanceof Uint8ClampedArray ? colorSpace : "other samples than 8-bit ones";
    throw new QdgError("invalid-data", "image", `got ${got}, expected ImageData of 8 bits in sRGB`);
  }
  checkSize(width, height);
  if (data.length !== width * height * 4) {
    throw new QdgError(
      "invalid-data",
      "image",
      `got ${data.length} samples, expected ${width * height * 4} for ${width} x ${height} x 4`,
    );
  }
  return overWhite(data, width, height);
}

async function bitmapOf(source: Blob | DrawableLike): Promise<BitmapLike> {
  const { createImageBitmap } = browserGlobals();
  if (createImageBitmap === undefined) {
    throw new QdgError(
      "unavailable",
      "image",
      "there is no browser here to decode it; give an Image (src/image/decode.ts makes one in Node)",
    );
  }
  try {
    // An image element may still be loading.
    await (source as { decode?: () => Promise<void> }).decode?.();
    // Colors as in Node: to sRGB by the embedded profile. With "none", a photo of a phone (Display P3) was up to
    // 81 of 255 levels off; without a profile the two are the same.
    const options = { colorSpaceConversion: "default", premultiplyAlpha: "none" };
    return await createImageBitmap(source as never, options);
  } catch (thrown) {
    throw new QdgError("invalid-data", "image", `cannot be decoded: ${errorText(thrown)}; ${EXPECTED}`, {
      cause: thrown,
    });
  }
}

function fromBitmap(bitmap: BitmapLike): Image {
  const { width, height } = bitmap;
  checkSize(width, height);
  const settings = { willReadFrequently: true, colorSpace: "srgb" };
  const context = canvasOf(width, height).getContext("2d", settings);
  if (context === null) {
    throw new QdgError("unavailable", "image", `the browser has no canvas of ${width} x ${height} left`);
  }
  try {
    context.drawImage(bitmap, 0, 0);
    return overWhite(context.getImageData(0, 0, width, height, { colorSpace: "srgb" }).data, width, height);
  } catch (thrown) {
    throw new QdgError(
      "invalid-data",
      "image",
      `its pixels cannot be read: ${errorText(thrown)}; an image of another origin needs crossorigin="anonymous" and a server that allows it`,
      { cause: thrown },
    );
  }
}

function canvasOf(width: number, height: number): CanvasLike {
  const { OffscreenCanvas, document } = browserGlobals();
  if (OffscreenCanvas !== undefined) return new OffscreenCanvas(width, height);
  if (document === undefined) {
    throw new QdgError("unavailable", "image", "this worker has no OffscreenCanvas; classify ImageData");
  }
  return Object.assign(document.createElement("canvas"), { width, height });
}

function checkSize(width: number, height: number): void {
  const integers = Number.isInteger(width) && Number.isInteger(height);
  if (
    integers &&
    width > 0 &&
    height > 0 &&
    Math.max(width, height) <= MAX_SIDE &&
    width * height <= MAX_PIXELS
  ) {
    return;
  }
  throw new QdgError(
    "invalid-data",
    "image",
    `got ${width} x ${height} pixels, expected sides from 1 to ${MAX_SIDE} and up to ${MAX_PIXELS} pixels`,
  );
}
