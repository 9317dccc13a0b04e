// A constant operand as numbers along one axis of what it is broadcast to.

import type { Tensor } from "../../base/tensor.js";

/** No layer has more channels; a size that a file merely declares may be anything. */
export const MOST_CHANNELS: number = 2 ** 24;

/**
 * The numbers of a float32 constant for each of `size` indices of `axis`, where it is broadcast to `rank` axes; null where it varies
 * along another axis, has more axes or another size.
 */
export function spreadOver(constant: Tensor, rank: number, axis: number, size: number): Float32Array | null {
  const { shape, data, dtype } = constant;
  if (dtype !== "float32" || shape.length > rank || size > MOST_CHANNELS) return null;
  const at = axis - (rank - shape.length);
  const varies = shape.every((dim, i) => dim === 1 || (i === at && dim === size));
  if (!varies || (data.length !== 1 && data.length !== size)) return null;
  const numbers = data as Float32Array;
  return data.length === size
    ? Float32Array.from(numbers)
    : new Float32Array(size).fill(numbers[0] as number);
}
