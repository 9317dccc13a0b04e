// Pixels to image files. The sharp that decode.ts owns does the work; nothing is resized or converted here, so
// that decoding gives back the bytes.

import { QdgError } from "../base/error.js";
import { sharpLibrary } from "./decode.js";
import type { Image } from "./image.js";
import { checkImage } from "./image.js";

/**
 * A PNG file: lossless, decodeImage of it is the image.
 *
 * @throws QdgError `invalid-data` for an image without 3 channels or with other data than its sides say;
 * `unavailable` without sharp
 */
export async function encodePng(image: Image): Promise<Uint8Array> {
  checkImage(image, "image");
  const { width, height, data } = image;
  if (image.channels !== 3) {
    throw new QdgError("invalid-data", "image", `channels: got ${image.channels}, expected 3`);
  }
  const sharp = await sharpLibrary();
  return sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}
