// Bytes that change their places: transposes, reshapes, slices, pads, concatenations, resizing to the nearest.

import type { Bytes } from "../bytes.js";
import { addressesOf, placesOf } from "../bytes.js";
import type { Operation } from "./operation.js";

/** Element `index[i]` of source `source[i]` becomes element i; a negative source is the constant byte -1 - source. */
export interface Moves {
  readonly source: Int32Array;
  readonly index: Int32Array;
}

/** Whether y is x under another shape: the same bytes in the same order in memory. */
export function isSameInMemory(x: Bytes, y: Bytes, { source, index }: Moves): boolean {
  const { H, W, C } = x.storage;
  if (y.storage.H !== H || y.storage.W !== W || y.storage.C !== C) return false;
  if (source.some((each) => each !== 0)) return false;
  const from = placesOf(x);
  return placesOf(y).every((place, i) => from[index[i] as number] === place);
}

export function move(where: string, sources: readonly Bytes[], moves: Moves, y: Bytes): Operation {
  return {
    where,
    reads: sources,
    writes: y,
    prepare: (memory, kernels) => {
      const { source, index } = moves;
      const tables = sources.map(addressesOf);
      const to = addressesOf(y);
      // In the order of y's memory, so that neighbours become runs.
      const order = Array.from(to, (_, i) => i).sort((a, b) => (to[a] as number) - (to[b] as number));
      const constants = new Map<number, number>();
      const constant = (byte: number): number => {
        const address = constants.get(byte) ?? memory.put(Uint8Array.of(byte));
        constants.set(byte, address);
        return address;
      };
      const from = order.map((i) => {
        const s = source[i] as number;
        return s < 0 ? constant(-1 - s) : (tables[s]?.[index[i] as number] as number);
      });
      const run = longestRun(
        order.map((i) => to[i] as number),
        from,
      );
      const copies = new Uint32Array((order.length / run) * 2);
      for (let i = 0; i < order.length; i += run) {
        copies.set([from[i] as number, to[order[i] as number] as number], (i / run) * 2);
      }
      const list = memory.put(copies);
      return () => kernels.copy(list, copies.length / 2, run);
    },
  };
}

/** The largest length that divides all runs of neighbours. */
function longestRun(to: readonly number[], from: readonly number[]): number {
  let common = 0;
  let start = 0;
  for (let i = 1; i <= to.length; i++) {
    const follows = to[i] === (to[i - 1] as number) + 1 && from[i] === (from[i - 1] as number) + 1;
    if (follows) continue;
    common = divisor(common, i - start);
    start = i;
  }
  return common;
}

function divisor(a: number, b: number): number {
  return b === 0 ? a : divisor(b, a % b);
}
