// Windows over several images of one sample, and over volumes: images stand one below the other in memory, so that what lies
// around each of them is written out as bytes before.

import { sizeOf } from "../base/tensor.js";
import { whereOf } from "../compute/kernel.js";
import type { Volume, Window } from "../compute/window.js";
import type { Node } from "../graph/graph.js";
import { type Bytes, newBytes } from "./bytes.js";
import { type Moves, move } from "./operations/move.js";
import type { Windows } from "./operations/positions.js";
import type { Raising } from "./raising.js";

/** The windows of a pool [N, C, D, H, W], of which fewer axes may be: it leaves padding out by itself. */
export function poolWindows({ shape }: Bytes, { depth, rows, columns }: Volume): Windows {
  return isOneImage(shape, depth)
    ? { rows, columns }
    : { rows, columns, stack: { images: shape[0] as number, depth } };
}

/**
 * The windows of a convolution over x [N, C, D, H, W], of which fewer axes may be, and the bytes that they are over.
 *
 * @param zero what padding holds
 */
export function convolutionWindows(
  node: Node,
  x: Bytes,
  { depth, rows, columns }: Volume,
  zero: number,
  raising: Raising,
): { readonly x: Bytes; readonly windows: Windows } {
  if (isOneImage(x.shape, depth)) return { x, windows: { rows, columns } };
  const axes = [depth, rows, columns];
  const images = x.shape[0] as number;
  const windows = {
    rows: padded(rows),
    columns: padded(columns),
    stack: { images, depth: padded(depth) },
  };
  if (axes.every(({ padBegin, padEnd }) => padBegin === 0 && padEnd === 0)) return { x, windows };
  const rank = x.shape.length - 2;
  const sizes = axes.map((axis) => padded(axis).size);
  const y = newBytes(x.name, [images, x.shape[1] as number, ...sizes.slice(3 - rank)], 1);
  raising.add(move(whereOf(node), [x], paddingMoves(images * x.storage.C, axes, zero), y));
  return { x: y, windows };
}

function isOneImage(shape: readonly number[], depth: Window): boolean {
  return shape[0] === 1 && depth.size === 1 && depth.kernel === 1 && depth.outputSize === 1;
}

/** The same window where its padding belongs to the image. */
function padded(window: Window): Window {
  const { size, padBegin, padEnd } = window;
  return { ...window, size: padBegin + size + padEnd, padBegin: 0, padEnd: 0 };
}

/** From volumes without their padding to volumes with it. */
function paddingMoves(volumes: number, axes: readonly Window[], zero: number): Moves {
  const sizes = axes.map((axis) => padded(axis).size);
  const source = new Int32Array(volumes * sizeOf(sizes)).fill(-1 - zero);
  const index = new Int32Array(source.length);
  const [depth, rows, columns] = axes as [Window, Window, Window];
  const [, H = 0, W = 0] = sizes;
  let from = 0;
  for (let v = 0; v < volumes; v++) {
    for (let d = 0; d < depth.size; d++) {
      for (let h = 0; h < rows.size; h++) {
        const row = (v * (sizes[0] as number) + d + depth.padBegin) * H + h + rows.padBegin;
        const at = row * W + columns.padBegin;
        source.fill(0, at, at + columns.size);
        for (let w = 0; w < columns.size; w++) index[at + w] = from++;
      }
    }
  }
  return { source, index };
}
