// A transposed convolution as ordinary ones: the outputs of every stride-th row and column see the same elements of the kernel,
// from the last to the first, each at an input position of its own.

import type { Window } from "../compute/window.js";
import type { Windows } from "./operations/positions.js";
import type { Part, WeightedSum } from "./operations/weighted-sum.js";

/** Outputs `first`, `first + stride`, ... along one axis: the window over the input, and which element of the kernel each of its is. */
interface Phase {
  readonly window: Window;
  readonly elements: readonly number[];
  readonly first: number;
  readonly stride: number;
}

/** Output o gets `x[(o + padBegin - r * dilation) / stride] * w[r]` for the elements r where that is whole. */
function phasesOf({ size, kernel, stride, dilation, padBegin, outputSize }: Window): Phase[] {
  const count = Math.min(stride, outputSize);
  return Array.from({ length: count }, (_, first): Phase => {
    const places = Array.from({ length: kernel }, (__, r) => ({
      r,
      at: (first + padBegin - r * dilation) / stride,
    }));
    const [begin, next, ...rest] = places.filter(({ at }) => Number.isInteger(at)).reverse();
    const elements = [begin, next, ...rest].flatMap((each) => (each ? [each.r] : []));
    const window = {
      size,
      // No element at all: one that is multiplied by 0.
      kernel: Math.max(1, elements.length),
      stride: 1,
      dilation: begin && next ? next.at - begin.at : 1,
      padBegin: begin ? -begin.at : 0,
      padEnd: 0,
      outputSize: Math.ceil((outputSize - first) / stride),
    };
    return { window, elements, first, stride };
  });
}

/** @param sum with the windows of the transposed convolution, weights [K, C / group, R, S] */
export function transposedParts(sum: WeightedSum): Part[] {
  const { rows, columns } = sum.windows;
  return phasesOf(rows).flatMap((row) =>
    phasesOf(columns).map((column): Part => {
      const windows = { rows: row.window, columns: column.window };
      return {
        sum: { ...sum, windows, weights: weightsOf(sum, row.elements, column.elements, windows) },
        rows: row,
        columns: column,
      };
    }),
  );
}

/** The weights of some elements of the kernel. */
function weightsOf(
  { weights, windows: { rows, columns } }: WeightedSum,
  rowElements: readonly number[],
  columnElements: readonly number[],
  windows: Windows,
): Int8Array {
  const own = windows.rows.kernel * windows.columns.kernel;
  const all = rows.kernel * columns.kernel;
  const filters = weights.length / all;
  const picked = new Int8Array(filters * own);
  for (let f = 0; f < filters; f++) {
    rowElements.forEach((r, i) => {
      columnElements.forEach((s, j) => {
        picked[f * own + i * windows.columns.kernel + j] = weights[
          f * all + r * columns.kernel + s
        ] as number;
      });
    });
  }
  return picked;
}
