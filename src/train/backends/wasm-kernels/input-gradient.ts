// The gradient of a convolution by its input, ordinary or depthwise, as convolutions of stride 1: one for each
// phase of the stride, each with the taps that reach that phase.

import * as tf from "@tensorflow/tfjs";
import { copyRows } from "./copy-rows.js";
import { allocate, floatsOf, type WasmBackend } from "./heap.js";
import { crop, type ExplicitPads, type Margin, type Window, type WindowAxis } from "./window.js";

/** Input positions `first, first + stride, ...` of one axis, and the taps that reach them. */
interface Phase {
  readonly first: number;
  readonly count: number;
  /** In the order in which they meet dy. */
  readonly taps: readonly number[];
  readonly margin: Margin;
}

/** dy, cropped, with the filter of the taps given by rows and columns, at stride 1. */
export type Convolve = (
  dy: tf.Tensor4D,
  rows: readonly number[],
  columns: readonly number[],
  pads: ExplicitPads,
) => tf.Tensor4D;

/**
 * `dx[i] = sum_{r: i + before - r dilation = o stride} dy[o] w[r]` on both axes. With `i + before = q stride + a`,
 * only taps of `r dilation = a + t stride` reach phase a, from `o = q - t`: a convolution of dy with those taps in
 * reverse. At stride 1 there is one phase, which is the result.
 *
 * @param shape of dx [N,H,W,C]
 */
export function inputGradient(
  backend: WasmBackend,
  dy: tf.Tensor4D,
  shape: readonly number[],
  window: Window,
  convolve: Convolve,
): tf.Tensor4D {
  const rowPhases = phasesOf(window.rows);
  const columnPhases = phasesOf(window.columns);
  const [row, column] = [rowPhases[0], columnPhases[0]];
  if (
    window.rows.stride * window.columns.stride === 1 &&
    row &&
    column &&
    row.taps.length * column.taps.length
  ) {
    return computePhase(dy, row, column, convolve);
  }
  const parts = rowPhases.flatMap((rows) =>
    columnPhases.flatMap((columns) => {
      const empty = rows.taps.length * columns.taps.length * rows.count * columns.count === 0;
      return empty ? [] : [{ rows, columns, dx: computePhase(dy, rows, columns, convolve) }];
    }),
  );
  // Positions that no tap reaches stay 0.
  const dx = allocate(backend, shape) as tf.Tensor4D;
  floatsOf(backend, dx).fill(0);
  for (const part of parts) {
    interleave(backend, part.dx, dx, window, part.rows, part.columns);
  }
  return dx;
}

function computePhase(dy: tf.Tensor4D, rows: Phase, columns: Phase, convolve: Convolve): tf.Tensor4D {
  const cropped = crop(dy, rows.margin, columns.margin);
  return convolve(cropped.x, rows.taps, columns.taps, cropped.pads);
}

function phasesOf({ input, output, taps, stride, dilation, before }: WindowAxis): Phase[] {
  if (dilation !== 1 && stride !== 1) throw new Error("a window has a stride or a dilation, not both");
  return Array.from({ length: stride }, (_, phase) => {
    const own: number[] = [];
    for (let tap = phase; tap < taps; tap += stride) own.unshift(tap);
    // q of the first and the last position of this phase inside the input.
    const start = Math.ceil((before - phase) / stride);
    const end = Math.floor((input - 1 + before - phase) / stride);
    const reach = (own.length - 1) * dilation;
    return {
      first: start * stride + phase - before,
      count: end - start + 1,
      taps: own,
      margin: { before: reach - start, after: end - output + 1 },
    };
  });
}

/** from [N, rows.count, columns.count, C] into every stride-th row and column of [N,H,W,C]. */
function interleave(
  backend: WasmBackend,
  from: tf.Tensor,
  into: tf.Tensor,
  { rows: { stride: rowStride }, columns: { stride: columnStride } }: Window,
  rows: Phase,
  columns: Phase,
): void {
  const [n, h, w, c] = into.shape as [number, number, number, number];
  for (let image = 0; image < n; image++) {
    for (let i = 0; i < rows.count; i++) {
      const source = (image * rows.count + i) * columns.count * c;
      const target = ((image * h + rows.first + i * rowStride) * w + columns.first) * c;
      const [taken, put] = [
        { start: source, step: c },
        { start: target, step: columnStride * c },
      ];
      copyRows(backend, from, taken, into, put, columns.count, c);
    }
  }
}
