// Philox against the vectors that its authors publish with Random123 (kat_vectors, "philox4x32 10"); the rest
// are properties.

import { describe, expect, test } from "vitest";
import { philox, Random, wordOf } from "../../../src/train/data/random.js";

describe("philox", () => {
  test.each([
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ] as const)("of %s with key %s is as published", (counter, key, expected) => {
    expect(philox(counter, key)).toEqual(expected);
  });
});

const numbers = (random: Random, count: number): number[] =>
  Array.from({ length: count }, () => random.uniform());

const at = (...place: ConstructorParameters<typeof Random>): string =>
  numbers(new Random(...place), 5).join();

describe("Random", () => {
  test("gives the same numbers at the same place, and others at any other", () => {
    const places: ConstructorParameters<typeof Random>[] = [
      [1, "order", 2, 3],
      [2, "order", 2, 3],
      [1, "split", 2, 3],
      [1, "augmentation", 2, 3],
      [1, "order", 3, 3],
      [1, "order", 2, 4],
      // Beyond 32 bits the index still counts.
      [1, "order", 2, 3 + 2 ** 32],
      [0xffffffff, "order", 2, 3],
    ];
    expect(new Set(places.map((place) => at(...place))).size).toBe(places.length);
    expect(at(1, "order", 2, 3)).toBe(at(1, "order", 2, 3));
  });

  test("is made of the words of philox, two a number", () => {
    const [a, b, c, d] = philox([0, 7, 9, 1], [5, 1]);
    const [e, f] = philox([1, 7, 9, 1], [5, 1]);
    const expected = [a, b, c, d, e, f].map((word) => word / 2 ** 32);
    const found = numbers(new Random(5, "order", 7, 9 + 2 ** 32), 3);
    // The upper word of a number alone is right to 32 bits, less the 5 that the lower one brings.
    found.forEach((value, i) => expect(value).toBeCloseTo(expected[2 * i] as number, 7));
  });

  test("is uniform in [0, 1)", () => {
    const found = numbers(new Random(3, "order", 0, 0), 20_000);
    expect(Math.min(...found)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...found)).toBeLessThan(1);
    const tenths = Array<number>(10).fill(0);
    for (const value of found)
      tenths[Math.floor(value * 10)] = (tenths[Math.floor(value * 10)] as number) + 1;
    // Standard deviation of each count: sqrt(20000 * 0.1 * 0.9) = 42.
    for (const count of tenths) expect(Math.abs(count - 2000)).toBeLessThan(5 * 42);
    const pairs = found
      .slice(1)
      .reduce((sum, value, i) => sum + (value - 0.5) * ((found[i] as number) - 0.5), 0);
    // Neighbours are not correlated: standard deviation (1/12) / sqrt(20000).
    expect(Math.abs(pairs / 20_000)).toBeLessThan(5 / 12 / Math.sqrt(20_000));
  });

  test("shuffles: every number once, and every order of three as often", () => {
    expect([...new Random(1, "order", 0, 0).permutation(100)].sort((a, b) => a - b)).toEqual(
      Array.from({ length: 100 }, (_, i) => i),
    );
    const seen = new Map<string, number>();
    for (let i = 0; i < 6000; i++) {
      const order = new Random(1, "order", 0, i).permutation(3).join();
      seen.set(order, (seen.get(order) ?? 0) + 1);
    }
    expect(seen.size).toBe(6);
    // sqrt(6000 / 6 * 5 / 6) = 29
    for (const count of seen.values()) expect(Math.abs(count - 1000)).toBeLessThan(5 * 29);
  });
});

test.each([
  // FNV-1a's published values for these texts.
  ["", 0x811c9dc5],
  ["a", 0xe40c292c],
  ["foobar", 0xbf9cf968],
])("the word of %j is FNV-1a's", (name, word) => {
  expect(wordOf(name)).toBe(word);
});
