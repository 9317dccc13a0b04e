// Shares of room: within it, near the best there is, and no worse with more of it.

import * as fc from "fast-check";
import { expect, test } from "vitest";
import {
  allocate,
  allocateMade,
  type BitOption,
  bytesOf,
  errorOf,
  type LayerOptions,
} from "../../../src/export/budget/allocate.js";

const BITS = [2, 3, 4, 5, 6, 8];

/** A layer of some elements; errors fall by about four a bit, and now and then rise by chance. */
const layer: fc.Arbitrary<LayerOptions> = fc
  .record({
    elements: fc.integer({ min: 1, max: 5000 }),
    first: fc.double({ min: 1e-6, max: 10, noNaN: true }),
    falls: fc.array(fc.double({ min: 0.05, max: 1.2, noNaN: true }), { minLength: 5, maxLength: 5 }),
  })
  .map(({ elements, first, falls }) => {
    let error = first;
    return BITS.map((bits, i) => {
      if (i > 0) error *= falls[i - 1] as number;
      return { bits, bytes: bits * Math.ceil(elements / 8), error };
    }) as unknown as LayerOptions;
  });

const least = (layers: readonly LayerOptions[]): number => bytesOf(layers.map(([first]) => first));
const most = (layers: readonly LayerOptions[]): number =>
  bytesOf(layers.map((options) => options.at(-1) as BitOption));
const between = (layers: readonly LayerOptions[], share: number): number =>
  Math.floor(least(layers) + share * (most(layers) - least(layers)));
const share = fc.double({ min: 0, max: 1, noNaN: true });

/** Every combination. */
function best(layers: readonly LayerOptions[], room: number): number {
  const combinations = layers.reduce<BitOption[][]>(
    (all, options) => all.flatMap((chosen) => options.map((option) => [...chosen, option])),
    [[]],
  );
  return Math.min(...combinations.filter((each) => bytesOf(each) <= room).map(errorOf));
}

test("what is allocated fits the room, and is null only where two bits everywhere do not fit", () => {
  fc.assert(
    fc.property(fc.array(layer, { minLength: 1, maxLength: 20 }), share, (layers, s) => {
      const room = between(layers, s);
      const chosen = allocate(layers, room);
      expect(chosen).not.toBeNull();
      expect(bytesOf(chosen!)).toBeLessThanOrEqual(room);
      chosen!.forEach((option, i) => expect(layers[i]).toContain(option));
      expect(allocate(layers, least(layers) - 1)).toBeNull();
    }),
  );
});

test("the error is within one step of one layer of the least there is", () => {
  fc.assert(
    fc.property(fc.array(layer, { minLength: 1, maxLength: 4 }), share, (layers, s) => {
      const room = between(layers, s);
      const step = Math.max(
        ...layers.map((options) => options[0].error - Math.min(...options.map(({ error }) => error))),
      );
      expect(errorOf(allocate(layers, room)!)).toBeLessThanOrEqual(best(layers, room) + step);
    }),
  );
});

test("room for all the bits that help gives each layer the least error it has", () => {
  fc.assert(
    fc.property(fc.array(layer, { minLength: 1, maxLength: 20 }), (layers) => {
      const total = layers.reduce((sum, options) => sum + Math.min(...options.map(({ error }) => error)), 0);
      expect(errorOf(allocate(layers, most(layers))!)).toBeCloseTo(total, 12);
    }),
  );
});

test("more room is never worse by more than one step of one layer", () => {
  fc.assert(
    fc.property(fc.array(layer, { minLength: 1, maxLength: 12 }), share, share, (layers, a, b) => {
      const [small, large] = [Math.min(a, b), Math.max(a, b)];
      const step = Math.max(...layers.map((options) => options[0].error));
      const [before, after] = [small, large].map((s) => errorOf(allocate(layers, between(layers, s))!));
      expect(after!).toBeLessThanOrEqual(before! + step);
    }),
  );
});

/** Errors that fall to a quarter with each bit. */
function falling(elements: number, error: number): LayerOptions {
  return BITS.map((bits) => ({
    bits,
    bytes: (bits * elements) / 8,
    error: error * 4 ** -bits,
  })) as unknown as LayerOptions;
}

test("a sensitive small layer takes more bits than an indifferent large one", () => {
  const layers = [falling(144, 100), falling(80_000, 1), falling(80_000, 1)];
  const room = 4 * 18 + 4 * 20_000;
  expect(allocate(layers, room)!.map(({ bits }) => bits)).toEqual([8, 4, 3]);
});

/** Errors halve with each bit. */
const plain = (bytesOfBit: number): LayerOptions =>
  BITS.map((bits) => ({ bits, bytes: bits * bytesOfBit, error: 2 ** -bits })) as unknown as LayerOptions;

test("a file that is over its size by less than was left of the room gives way to a smaller one", async () => {
  const layers = [plain(1000), plain(1000)];
  // 12 bits leave 900 bytes of the room: 10 less would change nothing of what is chosen.
  const tried: number[] = [];
  const over = await allocateMade(layers, 12_900, async (chosen) => {
    tried.push(bytesOf(chosen));
    return bytesOf(chosen) - 11_990;
  });
  expect(over).toBeLessThanOrEqual(0);
  expect(tried).toEqual([12_000, 11_000]);
});

test("where the file of the fewest bits does not fit, it says by how much", async () => {
  const layers = [plain(1000), plain(1000)];
  expect(await allocateMade(layers, 9000, async (chosen) => bytesOf(chosen) - 3500)).toBe(500);
  expect(await allocateMade(layers, 3000, async (chosen) => bytesOf(chosen) - 3500)).toBe(500);
});
