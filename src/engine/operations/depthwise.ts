// Depthwise convolution as one call of its kernel.

import type { EngineMemory } from "../memory.js";
import type { Kernels } from "../module.js";
import { type Places, putParameters } from "./convolution.js";
import type { Run } from "./operation.js";
import { elementOffsets, elementsOf, putWindows, resultRows } from "./positions.js";
import { depthwiseKernel } from "./product-kernels.js";
import { sumBounds } from "./sum-bounds.js";
import type { WeightedSum } from "./weighted-sum.js";

/** Channels of the kernel at a time. */
export const CHANNELS = 16;

/** @returns null where sums are too large for its rounding @throws QdgError `unsupported-op` for sums that may leave int32 */
export function preparedDepthwise(
  sum: WeightedSum,
  places: Places,
  target: number,
  memory: EngineMemory,
  kernels: Kernels,
): Run | null {
  const { x, windows, weights, multiplier } = sum;
  const { C } = x.storage;
  const elements = elementsOf(windows);
  let bits = 0;
  const totals = Array.from({ length: C }, (_, c) => {
    let total = 0;
    let absolute = 0;
    for (let i = c * elements; i < (c + 1) * elements; i++) {
      const weight = weights[i] as number;
      total += weight;
      absolute += Math.abs(weight);
      bits |= weight;
    }
    return { sum: total, absolute };
  });
  const { bias, isNear } = sumBounds(sum, totals);
  if (!isNear) return null;
  const pairs = Math.ceil(elements / 2);
  const blocks = Math.ceil(C / CHANNELS);
  // The last block ends with the last channel where there are enough: it computes some channels again.
  const firsts = Uint32Array.from({ length: blocks }, (_, b) =>
    Math.max(0, Math.min(b * CHANNELS, C - CHANNELS)),
  );
  const packed = new Int8Array(blocks * pairs * CHANNELS * 2);
  const blockBias = new Int32Array(blocks * CHANNELS);
  const blockMultiplier = new Float32Array(blocks * CHANNELS);
  firsts.forEach((first, b) => {
    for (let i = 0; i < CHANNELS && first + i < C; i++) {
      const c = first + i;
      blockBias[b * CHANNELS + i] = bias[c] as number;
      blockMultiplier[b * CHANNELS + i] = multiplier[c] as number;
      for (let e = 0; e < elements; e++) {
        packed[((b * pairs + (e >> 1)) * CHANNELS + i) * 2 + (e & 1)] = weights[c * elements + e] as number;
      }
    }
  });
  const address = memory.put(packed);
  const kernel = depthwiseKernel({ address, blocks, steps: pairs, bits }, kernels);
  const offsets = elementOffsets(x.storage, windows);
  if (offsets.length % 2 !== 0) offsets.push(offsets.at(-1) as number);
  const call = [
    putWindows(memory, kernels, x.storage, windows, 1),
    places(1, 0),
    resultRows(windows) * windows.columns.outputSize,
    memory.put(firsts),
    blocks,
    address,
    putParameters(memory, blockBias, blockMultiplier, 0, blockBias.length, CHANNELS),
    memory.put(Uint32Array.from(offsets)),
    pairs,
    target,
  ] as const;
  return () => kernel.run(...call);
}
