// Lists of addresses that kernels walk through: of windows, of results, of what each window covers.

import { elementsInside, type Window } from "../../compute/window.js";
import type { Bytes, Storage } from "../bytes.js";
import { addressOf, pitchOf, widenBorder } from "../bytes.js";
import type { EngineMemory } from "../memory.js";

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

/**
 * Where the window of each position begins, row by row, the last one again until there are a multiple of `multiple`.
 * A window may begin in the border.
 */
export function putWindows(
  memory: EngineMemory,
  x: Storage,
  { rows, columns }: Windows,
  multiple: number,
  offset = 0,
): number {
  const list = positionList(rows.outputSize, columns.outputSize, multiple, (y, i) => {
    return addressOf(x, y * rows.stride - rows.padBegin, i * columns.stride - columns.padBegin) + offset;
  });
  return memory.put(list);
}

/** Where the results of each position go. */
export function putPlaces(memory: EngineMemory, y: Storage, multiple: number, offset = 0): number {
  return memory.put(positionList(y.H, y.W, multiple, (row, column) => addressOf(y, row, column) + offset));
}

function positionList(
  rows: number,
  columns: number,
  multiple: number,
  addressAt: (y: number, x: number) => number,
): Uint32Array {
  const list = new Uint32Array(Math.ceil((rows * columns) / multiple) * multiple);
  for (let at = 0; at < list.length; at++) {
    const position = Math.min(at, rows * columns - 1);
    list[at] = addressAt(Math.floor(position / columns), position % columns);
  }
  return list;
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
