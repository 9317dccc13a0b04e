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
  /** Where rows are those of several images, each of several layers: images and layers stand one below the other. */
  readonly stack?: Stack;
}

interface Stack {
  readonly images: number;
  readonly depth: Window;
}

const SINGLE: Stack = {
  images: 1,
  depth: { size: 1, kernel: 1, stride: 1, dilation: 1, padBegin: 0, padEnd: 0, outputSize: 1 },
};

/** Positions of a window. */
export function elementsOf({ rows, columns, stack = SINGLE }: Windows): number {
  return stack.depth.kernel * rows.kernel * columns.kernel;
}

/** Rows of results. */
export function resultRows({ rows, stack = SINGLE }: Windows): number {
  return stack.images * stack.depth.outputSize * rows.outputSize;
}

/** Asks x for the border that windows reach into; those over several images or layers reach into none. */
export function widenFor(x: Bytes, { rows, columns, stack }: Windows, value: number): void {
  if (stack) return;
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
  /** The address of the first position, of several grids one after the other; from row to row, and from position to position of a row. */
  readonly first: number | readonly number[];
  readonly pitch: number;
  readonly step: number;
  /** The last position again until there are a multiple of this. */
  readonly multiple: number;
}

/** Puts the addresses of positions. What one layer writes another reads: the same lists are there once. */
export function listAddresses(memory: EngineMemory, kernels: Kernels, grid: Grid): number {
  const { rows, columns, first, pitch, step, multiple } = grid;
  const firsts = typeof first === "number" ? [first] : first;
  const key = [rows, columns, pitch, step, multiple, ...firsts].join();
  return memory.once(key, () => {
    const each = rows * columns;
    const count = Math.ceil((firsts.length * each) / multiple) * multiple;
    const list = memory.reserve(count * 4);
    firsts.forEach((address, i) => {
      const own = i === firsts.length - 1 ? count - i * each : each;
      kernels.listPositions(list + i * each * 4, own, rows, columns, address, pitch, step);
    });
    return list;
  });
}

/** Where the window of each position begins: maybe in the border. */
export function putWindows(
  memory: EngineMemory,
  kernels: Kernels,
  x: Storage,
  { rows, columns, stack = SINGLE }: Windows,
  multiple: number,
  offset = 0,
): number {
  const { images, depth } = stack;
  const first = Array.from({ length: images * depth.outputSize }, (_, i) => {
    const image = Math.floor(i / depth.outputSize);
    const layer = (i % depth.outputSize) * depth.stride - depth.padBegin;
    const row = (image * depth.size + layer) * rows.size;
    return addressOf(x, row - rows.padBegin, -columns.padBegin) + offset;
  });
  return listAddresses(memory, kernels, {
    rows: rows.outputSize,
    columns: columns.outputSize,
    first,
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
export function elementOffsets(x: Storage, windows: Windows): number[] {
  const { rows, columns, stack = SINGLE } = windows;
  const pitch = pitchOf(x);
  return Array.from({ length: elementsOf(windows) }, (_, element) => {
    const s = element % columns.kernel;
    const line = Math.floor(element / columns.kernel);
    const layer = Math.floor(line / rows.kernel) * stack.depth.dilation * rows.size;
    const row = layer + (line % rows.kernel) * rows.dilation;
    return row * pitch + s * columns.dilation * x.step;
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
  const { rows, columns, stack = SINGLE } = windows;
  const offsets = elementOffsets(x, windows);
  const lists = new Uint32Array(resultRows(windows) * columns.outputSize * 2);
  const inside = new Float32Array(lists.length / 2);
  const cells = new Float32Array(lists.length / 2);
  const [layers, lines, places] = [coveredAlong(stack.depth), coveredAlong(rows), coveredAlong(columns)];
  const known = new Map<number, number>();
  for (let at = 0; at < inside.length; at++) {
    const line = Math.floor(at / columns.outputSize);
    const ds = layers[Math.floor(line / rows.outputSize) % layers.length] as Along;
    const hs = lines[line % lines.length] as Along;
    const vs = places[at % places.length] as Along;
    const key = (ds.kind * lines.length + hs.kind) * places.length + vs.kind;
    let address = known.get(key);
    if (address === undefined) {
      const list = ds.inside.flatMap((t) =>
        hs.inside.flatMap((r) =>
          vs.inside.map((s) => offsets[(t * rows.kernel + r) * columns.kernel + s] as number),
        ),
      );
      address = memory.put(Uint32Array.from(list));
      known.set(key, address);
    }
    const count = ds.inside.length * hs.inside.length * vs.inside.length;
    lists.set([address, count], at * 2);
    inside[at] = count;
    cells[at] = ds.cells * hs.cells * vs.cells;
  }
  return { lists: memory.put(lists), inside, cells };
}

/** What the window of one output covers along one axis. */
interface Along {
  readonly inside: readonly number[];
  readonly cells: number;
  /** The same for all outputs that cover the same. */
  readonly kind: number;
}

function coveredAlong(window: Window): Along[] {
  const kinds = new Map<string, number>();
  return Array.from({ length: window.outputSize }, (_, output) => {
    const { inside, cells } = elementsInside(window, output);
    const key = inside.join();
    const kind = kinds.get(key) ?? kinds.size;
    kinds.set(key, kind);
    return { inside, cells, kind };
  });
}
