// Networks that begin with the quantizer of an image: its pixels become bytes by one look-up, no float32 image is made.

import { QdgError } from "../base/error.js";
import { type Image } from "../image/image.js";
import { checkChannels } from "../image/preprocessing.js";
import { channelTable, type ImageInput } from "../image/to-tensor.js";
import { clip, roundHalfEven } from "../quant/affine.js";
import { addressOf, type Bytes, pitchOf } from "./bytes.js";
import type { EngineMemory } from "./memory.js";
import type { Kernels } from "./module.js";
import type { Quantizer } from "./operations/operation.js";

/** Of an image of the input's own size: RGB, or RGBA, which is put over white. */
export type Pixels = Pick<Image, "data"> | { readonly data: Uint8ClampedArray };

const LEVELS = 256;

/**
 * Writes bytes `quantize(table[c][level])` of an image, `table` that of its preprocessing; null where the bytes are no image
 * of the input's size and layout.
 *
 * @param y what the quantizer of the input writes
 * @throws QdgError `invalid-data` for a mean or std of another length than 1 or the input's channels; when called, for pixels of
 * another size
 */
export function pixelWriter(
  input: ImageInput,
  { scale, limits }: Quantizer,
  y: Bytes,
  memory: EngineMemory,
  kernels: Kernels,
): ((pixels: Pixels) => void) | null {
  const { height, width, channels, layout, preprocessing } = input;
  const [shape, axis] =
    layout === "nhwc" ? [[1, height, width, channels], 3] : [[1, channels, height, width], 1];
  if (y.channelAxis !== axis || y.shape.join() !== shape.join()) return null;
  checkChannels(preprocessing, channels, "preprocessing");
  const { low, high, zeroPoint } = limits;
  const tables = new Uint8Array(channels * LEVELS);
  for (let c = 0; c < channels; c++) {
    channelTable(preprocessing, c).forEach((x, level) => {
      tables[c * LEVELS + level] = clip(roundHalfEven(Math.fround(x / scale)) + zeroPoint, low, high);
    });
  }
  const address = memory.put(tables);
  const area = height * width;
  const from = memory.reserve(area * 4);
  return ({ data }) => {
    const size = data.length / area;
    if (size !== 3 && size !== 4) {
      throw new QdgError(
        "invalid-data",
        "pixels",
        `got ${data.length} bytes, expected ${width} x ${height} pixels of 3 or 4; resize the image`,
      );
    }
    new Uint8Array(memory.memory.buffer, from).set(data);
    const { storage } = y;
    const to = addressOf(storage, 0, 0);
    kernels.lookUpPixels(from, to, height, width, size, channels, pitchOf(storage), storage.step, address);
  };
}
