// Lists of addresses that kernels walk through: of windows, of results, of what each window covers.

import { elementsInside, type Window } from "../../compute/window.js";
import type { Bytes, Storage } from "../bytes.js";
import { addressOf, pitchOf, widenBorder } from "../bytes.js";
import type { EngineMemory } from "../memory.js";
import type { Kernels } from "../module.js";

/** The windows of an operator over an image. */
export interface Windows {
  readonly rows: Window;
  readonly columns: Window;
}

/** Asks x for the border that windows reach into. */
export function widenFor(x: Bytes, { rows, columns }: Windows, value: number): void {
  const { H, W } = x.storage;
  widenBorder(
    x,
    {
      top: rows.padBegin,
      left: columns.padBegin,
      bottom: reach(rows) - H,
      right: reach(columns) - W,
    },
    value,
  );
}

/** One past the last element that a window covers. */
function reach({ outputSize, stride, kernel, dilation, padBegin }: Window): number {
  return (outputSize - 1) * stride + (kernel - 1) * dilation + 1 - padBegin;
}

/** Positions, row by row. */
export interface Grid {
  readonly rows: number;
  readonly columns: number;
  /** The address of the first position; from row to row, and from position to position of a row. */
  readonly first: number;
  readonly pitch: number;
  readonly step: number;
  /** The last position again until there are a multiple of this. */
  readonly multiple: number;
}

/** Puts the addresses of positions. */
export function listAddresses(memory: EngineMemory, kernels: Kernels, grid: Grid): number {
  const { rows, columns, first, pitch, step, multiple } = grid;
  const count = Math.ceil((rows * columns) / multiple) * multiple;
  const list = memory.reserve(count * 4);
  kernels.listPositions(list, count, rows, columns, first, pitch, step);
  return list;
}

/** Where the window of each position begins: maybe in the border. */
export function putWindows(
  memory: EngineMemory,
  kernels: Kernels,
  x: Storage,
  { rows, columns }: Windows,
  multiple: number,
  offset = 0,
): number {
  return listAddresses(memory, kernels, {
    rows: rows.outputSize,
    columns: columns.outputSize,
    first: addressOf(x, -rows.padBegin, -columns.padBegin) + offset,
    pitch: rows.stride * pitchOf(x),
    step: columns.stride * x.step,
    multiple,
  });
}

/** Where the results of each position go. */
export function putPlaces(memory: EngineMemory, kernels: Kernels, y: Storage, multiple: number): number {
  const { H, W, step } = y;
  const first = addressOf(y, 0, 0);
  return listAddresses(memory, kernels, { rows: H, columns: W, first, pitch: pitchOf(y), step, multiple });
}

/** From the beginning of a window to each of its elements, row by row. */
export function elementOffsets(x: Storage, { rows, columns }: Windows): number[] {
  const pitch = pitchOf(x);
  return Array.from({ length: rows.kernel * columns.kernel }, (_, element) => {
    const r = Math.floor(element / columns.kernel);
    const s = element % columns.kernel;
    return r * rows.dilation * pitch + s * columns.dilation * x.step;
  });
}

/** What each window covers of the image, and how many positions of the window lie in the image or its padding. */
export interface Covered {
  /** u32 [positions][2]: the address of a list of offsets, and its length. */
  readonly lists: number;
  readonly inside: Float32Array;
  readonly cells: Float32Array;
}

export function putCovered(memory: EngineMemory, x: Storage, windows: Windows): Covered {
  const { rows, columns } = windows;
  const offsets = elementOffsets(x, windows);
  const lists = new Uint32Array(rows.outputSize * columns.outputSize * 2);
  const inside = new Float32Array(lists.length / 2);
  const cells = new Float32Array(lists.length / 2);
  const known = new Map<string, number>();
  for (let at = 0; at < inside.length; at++) {
    const y = Math.floor(at / columns.outputSize);
    const hs = elementsInside(rows, y);
    const vs = elementsInside(columns, at % columns.outputSize);
    const key = `${hs.inside.join()}|${vs.inside.join()}`;
    let address = known.get(key);
    if (address === undefined) {
      const list = hs.inside.flatMap((r) => vs.inside.map((s) => offsets[r * columns.kernel + s] as number));
      address = memory.put(Uint32Array.from(list));
      known.set(key, address);
    }
    const count = hs.inside.length * vs.inside.length;
    lists.set([address, count], at * 2);
    inside[at] = count;
    cells[at] = hs.cells * vs.cells;
  }
  return { lists: memory.put(lists), inside, cells };
}
