// Pools: the largest of each window, means, the sum over all positions.

import { type Bytes, addressOf, pitchOf } from "../bytes.js";
import type { Limits, Operation } from "./operation.js";
import { putCovered, putPlaces, putWindows, type Windows } from "./positions.js";

/** MaxPool: padding never wins. */
export function largestOfWindows(where: string, x: Bytes, windows: Windows, y: Bytes): Operation {
  return {
    where,
    reads: [x],
    writes: y,
    prepare: (memory, kernels) => {
      const { lists, inside } = putCovered(memory, x.storage, windows);
      const call = [
        putWindows(memory, kernels, x.storage, windows, 1),
        putPlaces(memory, kernels, y.storage, 1),
        inside.length,
        Math.ceil(x.storage.C / 8) * 8,
        lists,
      ] as const;
      return () => kernels.largest(...call);
    },
  };
}

/** QLinearAveragePool, in float32 in the order of the window. */
export interface Mean {
  readonly where: string;
  readonly x: Bytes;
  readonly windows: Windows;
  readonly zeroX: number;
  readonly scaleX: number;
  readonly scaleY: number;
  readonly includePad: boolean;
}

export function meanOfWindows(mean: Mean, y: Bytes, limits: Limits): Operation {
  const { where, x, windows, zeroX, scaleX, scaleY, includePad } = mean;
  return {
    where,
    reads: [x],
    writes: y,
    prepare: (memory, kernels) => {
      const { lists, inside, cells } = putCovered(memory, x.storage, windows);
      const call = [
        putWindows(memory, kernels, x.storage, windows, 1),
        putPlaces(memory, kernels, y.storage, 1),
        inside.length,
        Math.ceil(x.storage.C / 8) * 8,
        lists,
        memory.put(includePad ? cells : inside),
        zeroX,
        scaleX,
        scaleY,
        limits.zeroPoint,
        memory.putTarget(limits.low, limits.high, 0),
      ] as const;
      return () => kernels.mean(...call);
    },
  };
}

/** `requantize(sum (q - z) over all positions of each image, m)`. */
export interface Total {
  readonly where: string;
  readonly x: Bytes;
  readonly zeroX: number;
  readonly multiplier: number;
}

export function totalOfPositions(
  { where, x, zeroX, multiplier }: Total,
  y: Bytes,
  limits: Limits,
): Operation {
  return {
    where,
    reads: [x],
    writes: y,
    prepare: (memory, kernels) => {
      const { H, W, C, step } = x.storage;
      const images = x.shape[0] as number;
      const rows = H / images;
      const target = memory.putTarget(limits.low, limits.high, limits.zeroPoint);
      const calls = Array.from(
        { length: images },
        (_, n) =>
          [
            addressOf(x.storage, n * rows, 0),
            rows,
            W,
            pitchOf(x.storage),
            step,
            Math.ceil(C / 8) * 8,
            addressOf(y.storage, n, 0),
            -zeroX * rows * W,
            multiplier,
            target,
          ] as const,
      );
      return () => {
        for (const call of calls) kernels.total(...call);
      };
    },
  };
}
