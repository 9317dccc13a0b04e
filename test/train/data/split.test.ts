import * as fc from "fast-check";
import { expect, test } from "vitest";
import { createDomain, type Domain } from "../../../src/train/data/dataset.js";
import { splitDomain } from "../../../src/train/data/split.js";

/** A domain of 4 x 4 images with these labels. */
function domain(labels: readonly number[], name = "photo"): Domain {
  const files = labels.map((label, i) => `${name}/${label}/${i}.png`);
  return createDomain(name, 4, Uint16Array.from(labels), files, new Uint8Array(labels.length * 48));
}

const countsOf = (d: Domain, indices: Uint32Array): number[] => {
  const counts = [0, 0, 0];
  for (const i of indices) counts[d.labels[i] as number] = (counts[d.labels[i] as number] as number) + 1;
  return counts;
};

test("keeps a fifth of each class for validation", () => {
  const d = domain([...Array<number>(50).fill(0), ...Array<number>(23).fill(1), ...Array<number>(7).fill(2)]);
  const { training, validation } = splitDomain(d, 0.2, 1);
  // round(10), round(4.6), round(1.4)
  expect(countsOf(d, validation)).toEqual([10, 5, 1]);
  expect(countsOf(d, training)).toEqual([40, 18, 6]);
});

test("uses every image once, in ascending order, for any labels, fraction and seed", () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(2), { minLength: 1, maxLength: 60 }),
      fc.double({ min: 0, max: 0.99, noNaN: true }),
      fc.nat(2 ** 32 - 1),
      (labels, fraction, seed) => {
        const { training, validation } = splitDomain(domain(labels), fraction, seed);
        const all = [...training, ...validation].sort((a, b) => a - b);
        expect(all).toEqual(labels.map((_, i) => i));
        expect([...training]).toEqual([...training].sort((a, b) => a - b));
        for (const label of new Set(labels))
          expect([...training].some((i) => labels[i] === label)).toBe(true);
      },
    ),
  );
});

test("validates on one image at least where a class has two, and on none at fraction 0", () => {
  const d = domain([0, 0, 1, 2, 2, 2]);
  expect(countsOf(d, splitDomain(d, 0.01, 0).validation)).toEqual([1, 0, 1]);
  expect(splitDomain(d, 0, 0).validation.length).toBe(0);
  expect(countsOf(d, splitDomain(d, 0.99, 0).training)).toEqual([1, 1, 1]);
});

test("depends on the seed and the domain's name", () => {
  const labels = Array<number>(40).fill(0);
  const splits = [
    splitDomain(domain(labels), 0.2, 1),
    splitDomain(domain(labels), 0.2, 2),
    splitDomain(domain(labels, "sketch"), 0.2, 1),
  ].map((split) => split.validation.join());
  expect(new Set(splits).size).toBe(3);
  expect(splitDomain(domain(labels), 0.2, 1).validation.join()).toBe(splits[0]);
});

test.each([
  [-0.1, 0],
  [1, 0],
  [Number.NaN, 0],
  [0.2, -1],
  [0.2, 2 ** 32],
  [0.2, 1.5],
])("refuses fraction %s with seed %s", (fraction, seed) => {
  expect(() => splitDomain(domain([0, 1]), fraction, seed)).toThrow(/expected .*\[usage\]$/);
});
