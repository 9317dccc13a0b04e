// A search over bits: within the room, never worse than its start, and better where errors of layers do not add up.

import * as fc from "fast-check";
import { expect, test } from "vitest";
import { allocate, bytesOf, type LayerOptions } from "../../../src/export/budget/allocate.js";
import { searchBits } from "../../../src/export/budget/search-bits.js";
import { uniform } from "../../../src/export/random-feeds.js";

const BITS = [2, 3, 4, 5, 6, 8];

function layersOf(sizes: readonly number[], says: (layer: number) => number): LayerOptions[] {
  return sizes.map((size, layer) =>
    BITS.map((bits) => ({ bits, bytes: bits * size, error: says(layer) * 4 ** -bits })),
  ) as unknown as LayerOptions[];
}

test("what is found fits the room and has no more error than the start", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 2, maxLength: 8 }),
      fc.double({ min: 2, max: 8, noNaN: true }),
      fc.nat(),
      async (sizes, bits, seed) => {
        const layers = layersOf(sizes, (layer) => 1 + layer);
        const room = Math.ceil(bits * sizes.reduce((sum, size) => sum + size, 0));
        const start = allocate(layers, room)!;
        let left = 100;
        // In truth the first layers matter most, the other way round than was measured.
        const found = await searchBits(
          layers,
          start,
          async (chosen) => chosen.reduce((sum, { bits: b }, i) => sum + 4 ** -b / (1 + i), 0),
          { room, goesOn: () => left-- > 0, random: uniform(seed) },
        );
        expect(bytesOf(found.chosen)).toBeLessThanOrEqual(room);
        expect(found.error).toBeLessThanOrEqual(found.errorBefore);
      },
    ),
    { numRuns: 50 },
  );
});

test("bits move to the layer that matters in truth, and a search that knows all neighbours ends", async () => {
  const layers = layersOf([10, 10, 10], (layer) => (layer === 2 ? 1000 : 1));
  const start = allocate(layers, 120)!;
  const found = await searchBits(
    layers,
    start,
    async (chosen) => chosen.reduce((sum, { bits }, i) => sum + (i === 0 ? 1000 : 1) * 4 ** -bits, 0),
    { room: 120, goesOn: () => true, random: uniform(1) },
  );
  expect(start.map(({ bits }) => bits)).toEqual([2, 2, 8]);
  expect(found.chosen.map(({ bits }) => bits)).toEqual([8, 2, 2]);
});
