// Oracle: every pair of every channel, added as the kernel does, against the rule that looks at two.

import * as fc from "fast-check";
import { expect, test } from "vitest";
import { pairsFitInt16 } from "../../src/lower/pair-sums.js";

function everyPairFits(weights: Int32Array, channels: number, largestX: number): boolean {
  const size = weights.length / channels;
  for (let k = 0; k < channels; k++) {
    const channel = weights.subarray(k * size, (k + 1) * size);
    for (let i = 0; i < size; i++) {
      for (let j = i + 1; j < size; j++) {
        const [a, b] = [channel[i] as number, channel[j] as number];
        for (const [x, y] of [
          [largestX, largestX],
          [largestX, 0],
          [0, largestX],
        ] as const) {
          if (Math.abs(a * x + b * y) > 32767) return false;
        }
      }
    }
  }
  return true;
}

test("the rule says what looking at every pair says", () => {
  let fitting = 0;
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: -127, max: 127 }), { minLength: 6, maxLength: 6 }),
      fc.integer({ min: 1, max: 255 }),
      (list, largestX) => {
        const weights = Int32Array.from(list);
        const fits = pairsFitInt16(weights, [2, 3], 0, largestX);
        if (fits) fitting++;
        expect(fits).toBe(everyPairFits(weights, 2, largestX));
      },
    ),
    { seed: 3, numRuns: 400 },
  );
  expect(fitting).toBeGreaterThan(50);
  expect(fitting).toBeLessThan(350);
});

test("the axis of the output channels need not come first", () => {
  // [2, 2]: by rows 100 meets 1, by columns 100 meets 100.
  const weights = Int32Array.of(100, 1, 100, 1);
  expect(pairsFitInt16(weights, [2, 2], 0, 255)).toBe(true);
  expect(pairsFitInt16(weights, [2, 2], 1, 255)).toBe(false);
});
