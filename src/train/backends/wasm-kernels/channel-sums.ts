// Sums over all axes but the last, straight from memory.

import * as tf from "@tensorflow/tfjs";
import { loopsOf } from "./loops.js";
import { addressOf, allocate, floatsOf, type WasmBackend } from "./heap.js";

/** Sums are made over so many pixels in float32, and those added up in float64. */
const BLOCK = 256;

/** `sum(a b)` of each channel over all pixels; of a alone where b is null. a and b [..., C] */
export function sumByChannel(a: tf.Tensor, b: tf.Tensor | null): Float64Array {
  const backend = tf.backend() as unknown as WasmBackend;
  const loops = loopsOf(backend);
  const channels = a.shape[a.rank - 1] as number;
  const pixels = a.size / channels;
  const sums = new Float64Array(channels);
  tf.tidy(() => {
    // Without b: the same ones for all pixels.
    const other = b ?? tf.ones([channels]);
    const out = allocate(backend, [channels]);
    const [first, second, into] = [a, other, out].map((tensor) => addressOf(backend, tensor)) as [
      number,
      number,
      number,
    ];
    const step = channels * 4;
    const otherStep = b ? step : 0;
    const partial = floatsOf(backend, out);
    for (let start = 0; start < pixels; start += BLOCK) {
      const count = Math.min(BLOCK, pixels - start);
      partial.fill(0);
      for (let c = 0; c < channels;) {
        const width = channels - c >= 16 ? 16 : channels - c >= 4 ? 4 : 1;
        const [x, y] = [first + start * step + c * 4, second + start * otherStep + c * 4];
        loops[`inner${width}`](x, y, into + c * 4, 1, count, step, 0, otherStep, 0, 0);
        c += width;
      }
      for (let c = 0; c < channels; c++) sums[c] = (sums[c] as number) + (partial[c] as number);
    }
  });
  return sums;
}
