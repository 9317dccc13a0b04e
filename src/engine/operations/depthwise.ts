// Depthwise convolution as one call of its kernel.

import type { EngineMemory } from "../memory.js";
import type { Kernels } from "../module.js";
import { type Places, putParameters } from "./convolution.js";
import type { Run } from "./operation.js";
import { elementOffsets, elementsOf, putWindows, resultRows } from "./positions.js";
import { depthwiseKernel, type PackedWeights, withCentre } from "./product-kernels.js";
import { sumBounds, type WeightTotals } from "./sum-bounds.js";
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
  const blocks = Math.ceil(C / CHANNELS);
  // The last block ends with the last channel where there are enough: it computes some channels again.
  const firsts = Uint32Array.from({ length: blocks }, (_, b) =>
    Math.max(0, Math.min(b * CHANNELS, C - CHANNELS)),
  );
  const packed = (width: number): PackedWeights => {
    const steps = Math.ceil(elements / width);
    const address = memory.put(packedWeights(weights, firsts, C, elements, width));
    return { address, blocks, steps, bits };
  };
  const { multiple, centre, width, run, address, steps } = depthwiseKernel(packed, weights, kernels);
  const centred = withCentre(bias, (c) => (totals[c] as WeightTotals).sum, centre);
  const blockBias = new Int32Array(blocks * CHANNELS);
  const blockMultiplier = new Float32Array(blocks * CHANNELS);
  firsts.forEach((first, b) => {
    for (let i = 0; i < CHANNELS && first + i < C; i++) {
      blockBias[b * CHANNELS + i] = centred[first + i] as number;
      blockMultiplier[b * CHANNELS + i] = multiplier[first + i] as number;
    }
  });
  const offsets = elementOffsets(x.storage, windows);
  while (offsets.length % width !== 0) offsets.push(offsets.at(-1) as number);
  const call = [
    putWindows(memory, kernels, x.storage, windows, multiple),
    places(multiple, 0),
    Math.ceil((resultRows(windows) * windows.columns.outputSize) / multiple) * multiple,
    memory.put(firsts),
    blocks,
    address,
    putParameters(memory, blockBias, blockMultiplier, 0, blockBias.length, CHANNELS),
    memory.put(Uint32Array.from(offsets)),
    steps,
    target,
  ] as const;
  return () => run(...call);
}

/** [C, elements] as [blocks][steps][16 channels][width]. */
function packedWeights(
  weights: Int8Array,
  firsts: Uint32Array,
  C: number,
  elements: number,
  width: number,
): Int8Array {
  const steps = Math.ceil(elements / width);
  const packed = new Int8Array(firsts.length * steps * CHANNELS * width);
  firsts.forEach((first, b) => {
    const end = Math.min(first + CHANNELS, C) * elements;
    for (let e = 0; e < elements; e++) {
      const place = e % width;
      let to = (b * steps * width + e - place) * CHANNELS + place;
      for (let from = first * elements + e; from < end; from += elements, to += width) {
        packed[to] = weights[from] as number;
      }
    }
  });
  return packed;
}
