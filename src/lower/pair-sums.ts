// Whether signed 8-bit weights are safe on x86-64 without VNNI, where a kernel adds two products of uint8 and
// int8 in int16, and saturates.

import { sizeOf } from "../base/tensor.js";

const LARGEST_INT16 = 32767;

/**
 * Whether no two products of one output channel can leave int16: `largestX * (|w_1| + |w_2|) <= 32767` for its
 * two largest weights of one sign. Which two weights meet depends on the kernel, so it is asked of any two.
 *
 * @param weights integers, row-major
 * @param axis of the output channels
 * @param largestX of the stored inputs, 0..255
 */
export function pairsFitInt16(
  weights: Int32Array,
  shape: readonly number[],
  axis: number,
  largestX: number,
): boolean {
  const limit = LARGEST_INT16 / largestX;
  const inner = sizeOf(shape.slice(axis + 1));
  const channels = shape[axis] ?? 0;
  // First and second of each sign, by channel.
  const largest = [1, -1].map(() => [new Int32Array(channels), new Int32Array(channels)] as const);
  for (let i = 0; i < weights.length; i++) {
    const w = weights[i] as number;
    const k = Math.floor(i / inner) % channels;
    const [first, second] = largest[w > 0 ? 0 : 1] as readonly [Int32Array, Int32Array];
    const size = Math.abs(w);
    if (size > (first[k] as number)) {
      second[k] = first[k] as number;
      first[k] = size;
    } else if (size > (second[k] as number)) second[k] = size;
  }
  return largest.every(([first, second]) => first.every((w, k) => w + (second[k] as number) <= limit));
}
