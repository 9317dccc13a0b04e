// A decoded picture: 8-bit samples in rows from the top, channels interleaved. Loads in browsers.

import { QdgError } from "../base/error.js";

/** `data[(y * width + x) * channels + c]`, 0..255. From a decoder: 3 channels, sRGB. */
export interface Image {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly data: Uint8Array;
}

/** The longest side taken; the resampler's integers are exact up to it. */
export const MAX_SIDE = 65535;

/** @throws QdgError `invalid-data` unless `size` is an integer in 1..65535 */
export function checkSide(size: number, where: string): void {
  if (!Number.isInteger(size) || size < 1 || size > MAX_SIDE) {
    throw new QdgError("invalid-data", where, `got ${size}, expected an integer from 1 to ${MAX_SIDE}`);
  }
}

/** @throws QdgError `invalid-data` for a side out of range, no channel, or data that does not fill the image */
export function checkImage(image: Image, where: string): void {
  checkSide(image.width, `${where}: width`);
  checkSide(image.height, `${where}: height`);
  if (!Number.isInteger(image.channels) || image.channels < 1) {
    throw new QdgError("invalid-data", where, `channels: got ${image.channels}, expected an integer >= 1`);
  }
  const expected = image.width * image.height * image.channels;
  if (image.data.length !== expected) {
    throw new QdgError(
      "invalid-data",
      where,
      `got ${image.data.length} samples, expected ${expected} for ${image.width} x ${image.height} x ${image.channels}`,
    );
  }
}

/**
 * The largest centered rectangle whose sides are as `width : height`, cut out. Its size is rounded to whole
 * pixels, half up; of an odd remainder the larger part falls away at the right and at the bottom.
 *
 * @throws QdgError `invalid-data` as checkImage and checkSide
 */
export function cropCenter(image: Image, width: number, height: number): Image {
  checkImage(image, "image");
  checkSide(width, "width");
  checkSide(height, "height");
  const wider = image.width * height > image.height * width;
  const cutWidth = wider ? Math.max(1, Math.round((image.height * width) / height)) : image.width;
  const cutHeight = wider ? image.height : Math.max(1, Math.round((image.width * height) / width));
  if (cutWidth >= image.width && cutHeight >= image.height) return image;
  const { channels } = image;
  const left = Math.floor((image.width - cutWidth) / 2);
  const top = Math.floor((image.height - cutHeight) / 2);
  const data = new Uint8Array(cutWidth * cutHeight * channels);
  for (let y = 0; y < cutHeight; y++) {
    const start = ((top + y) * image.width + left) * channels;
    data.set(image.data.subarray(start, start + cutWidth * channels), y * cutWidth * channels);
  }
  return { width: cutWidth, height: cutHeight, channels, data };
}
