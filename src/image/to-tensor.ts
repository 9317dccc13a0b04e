// From a decoded image to the numbers that a network is fed: crop, resample, luma, range. The same code runs
// in Node and in browsers, so no Node built-ins and no image library here.

import { QdgError } from "../base/error.js";
import type { Tensor } from "../base/tensor.js";
import type { Image } from "./image.js";
import { checkSide, cropCenter } from "./image.js";
import type { Preprocessing } from "./preprocessing.js";
import { checkChannels } from "./preprocessing.js";
import { resample } from "./resample.js";

export type Layout = "nhwc" | "nchw";

/** The image input of a network, and how images become it. */
export interface ImageInput {
  readonly preprocessing: Preprocessing;
  readonly height: number;
  readonly width: number;
  readonly channels: 1 | 3;
  readonly layout: Layout;
}

/** [N, H, W, C] or [N, C, H, W]. */
export function batchShape(input: ImageInput, batch: number): number[] {
  const { height, width, channels } = input;
  return input.layout === "nhwc" ? [batch, height, width, channels] : [batch, channels, height, width];
}

/** One image as a batch of one; see writeImage. */
export function imageToTensor(image: Image, input: ImageInput): Tensor<"float32"> {
  const data = new Float32Array(input.height * input.width * input.channels);
  writeImage(image, input, data, 0);
  return { dtype: "float32", shape: batchShape(input, 1), data };
}

/**
 * Writes one image of 3 channels into slot `slot` of a batch:
 *
 * `x = (low + (high - low) * pixel / 255 - mean[c]) / std[c]`, computed in float64 and rounded once to
 * float32. For one channel, `pixel = (19595 R + 38470 G + 7471 B + 32768) >> 16` of the resized image:
 * BT.601 luma, where gray stays what it is.
 *
 * @param batch the data of a tensor of shape batchShape(input, N), N > slot
 * @throws QdgError `invalid-data` for an image without 3 channels, sizes out of range, or a mean or std of
 * another length than 1 or `channels`; `internal` for a slot outside the batch
 */
export function writeImage(image: Image, input: ImageInput, batch: Float32Array, slot: number): void {
  const { preprocessing, height, width, channels, layout } = input;
  checkSide(height, "height");
  checkSide(width, "width");
  checkChannels(preprocessing, channels, "preprocessing");
  if (image.channels !== 3) {
    throw new QdgError("invalid-data", "image", `channels: got ${image.channels}, expected 3`);
  }
  const area = height * width;
  const offset = slot * area * channels;
  if (!Number.isInteger(slot) || slot < 0 || offset + area * channels > batch.length) {
    throw new QdgError(
      "internal",
      "writeImage",
      `slot ${slot} is outside a batch of ${batch.length} elements`,
    );
  }
  const resized = fitImage(image, input);
  const pixels = channels === 1 ? luma(resized) : resized.data;
  for (let c = 0; c < channels; c++) {
    const table = channelTable(preprocessing, c);
    const start = layout === "nhwc" ? offset + c : offset + c * area;
    const step = layout === "nhwc" ? channels : 1;
    for (let i = 0; i < area; i++) {
      batch[start + i * step] = table[pixels[i * channels + c] as number] as number;
    }
  }
}

/** The image cropped as its preprocessing says, and resampled to the input's size. */
export function fitImage(image: Image, { preprocessing, width, height }: ImageInput): Image {
  const cut = preprocessing.resize === "center-crop" ? cropCenter(image, width, height) : image;
  return resample(cut, width, height);
}

/** The network's input for each of the 256 levels of channel c. */
export function channelTable(preprocessing: Preprocessing, c: number): Float32Array {
  const { range, mean, std } = preprocessing;
  const [low, high] = range;
  const offset = mean[mean.length === 1 ? 0 : c] as number;
  const divisor = std[std.length === 1 ? 0 : c] as number;
  return Float32Array.from(
    { length: 256 },
    (_, pixel) => (low + ((high - low) * pixel) / 255 - offset) / divisor,
  );
}

function luma(image: Image): Uint8Array {
  const { data } = image;
  const gray = new Uint8Array(image.width * image.height);
  for (let i = 0; i < gray.length; i++) {
    const red = data[3 * i] as number;
    const green = data[3 * i + 1] as number;
    const blue = data[3 * i + 2] as number;
    gray[i] = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16;
  }
  return gray;
}
