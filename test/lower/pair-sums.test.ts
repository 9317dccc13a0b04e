// Oracle: the sum written out as nested loops, in the order that was measured of ONNX Runtime's kernels, two
// products at a time as x86-64 without VNNI adds them. scripts/parity-haswell.mjs holds the order itself.

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { GraphBuilder } from "../../src/graph/builder.js";
import { float32, sizeOf } from "../../src/base/tensor.js";
import type { Node } from "../../src/graph/graph.js";
import { addsInPairs, pairsFitInt16, reductionOrder } from "../../src/lower/pair-sums.js";
import { pairLimit } from "../../src/quant/paired-weights.js";

/** Flat indices of the weights of filter k of [K, C, R, S], in the order of the sum. */
function filterOf(shape: readonly [number, number, number, number], k: number): number[] {
  const [, C, R, S] = shape;
  const list: number[] = [];
  for (let r = 0; r < R; r++) {
    for (let s = 0; s < S; s++) {
      for (let c = 0; c < C; c++) list.push(((k * C + c) * R + r) * S + s);
    }
  }
  return list;
}

/** Whether no pair leaves -32767..32767 for inputs at either end. */
function everyPairFits(weights: readonly number[], largestX: number): boolean {
  for (let i = 0; i + 1 < weights.length; i += 2) {
    const [a, b] = [weights[i] as number, weights[i + 1] as number];
    for (const x of [0, largestX]) {
      for (const y of [0, largestX]) if (Math.abs(a * x + b * y) > 32767) return false;
    }
  }
  return true;
}

function conv(filters: number, channelsEach: number, group: number): Node {
  const g = new GraphBuilder("test");
  const shape = [filters, channelsEach, 3, 3];
  const weight = g.constant("w", float32(shape, new Float32Array(sizeOf(shape))));
  const x = g.input("x", [1, group * channelsEach, 9, 9]);
  g.node("Conv", "conv", [x, weight], { name: "y", shape: [1, filters, 7, 7] }, { group });
  return g.graph.nodes[0] as Node;
}

const dims = fc.record({
  K: fc.integer({ min: 1, max: 3 }),
  C: fc.integer({ min: 1, max: 5 }),
  R: fc.integer({ min: 1, max: 3 }),
  S: fc.integer({ min: 1, max: 3 }),
});

describe("the pairs of a convolution", () => {
  test("are neighbours in the order kernel row, kernel column, input channel", () => {
    fc.assert(
      fc.property(dims, ({ K, C, R, S }) => {
        const shape = [K, C, R, S] as const;
        const order = [...reductionOrder(shape, 0)];
        for (let k = 0; k < K; k++) expect(order.map((at) => at + k * C * R * S)).toEqual(filterOf(shape, k));
      }),
      { seed: 1 },
    );
  });

  test("fit exactly when no two products that meet leave int16", () => {
    let fitting = 0;
    const property = fc.property(
      dims,
      fc.integer({ min: 120, max: 255 }),
      fc.double({ min: 0.3, max: 1, noNaN: true }),
      fc.infiniteStream(fc.integer({ min: -128, max: 127 })),
      ({ K, C, R, S }, largestX, share, stream) => {
        const shape = [K, C, R, S] as const;
        const weights = Int32Array.from({ length: sizeOf(shape) }, () =>
          Math.trunc(share * (stream.next().value as number)),
        );
        const filters = Array.from({ length: K }, (_, k) =>
          filterOf(shape, k).map((at) => weights[at] as number),
        );
        const fits = pairsFitInt16(weights, shape, 0, largestX);
        if (fits) fitting++;
        expect(fits).toBe(filters.every((filter) => everyPairFits(filter, largestX)));
      },
    );
    fc.assert(property, { seed: 3, numRuns: 500 });
    expect(fitting).toBeGreaterThan(100);
    expect(fitting).toBeLessThan(450);
  });

  test("fit where neighbours that do not meet break the bound", () => {
    const weights = Int32Array.of(1, 127, 127, 1);
    expect(pairsFitInt16(weights, [1, 4, 1, 1], 0, 255)).toBe(true);
    // The same numbers as 2 channels at 2 positions: 1 meets 127 and 127 meets 1, by way of the channels.
    expect(pairsFitInt16(weights, [1, 2, 2, 1], 0, 255)).toBe(true);
    expect(pairsFitInt16(Int32Array.of(1, 1, 127, 127), [1, 2, 2, 1], 0, 255)).toBe(true);
    expect(pairsFitInt16(Int32Array.of(1, 1, 127, 127), [1, 4, 1, 1], 0, 255)).toBe(false);
  });

  test("run on over positions where the channels are odd", () => {
    // One channel at three positions: the first two meet, the third stands alone.
    expect(pairsFitInt16(Int32Array.of(100, 100, 1), [1, 1, 3, 1], 0, 255)).toBe(false);
    expect(pairsFitInt16(Int32Array.of(1, 100, 100), [1, 1, 3, 1], 0, 255)).toBe(true);
  });
});

test("a matrix of weights is read along its inputs, whichever axis they are", () => {
  // [2, 2]: by rows 100 meets 1, by columns 100 meets 100.
  const weights = Int32Array.of(100, 1, 100, 1);
  expect(pairsFitInt16(weights, [2, 2], 0, 255)).toBe(true);
  expect(pairsFitInt16(weights, [2, 2], 1, 255)).toBe(false);
  expect([...reductionOrder([3, 4], 0)]).toEqual([0, 1, 2, 3]);
  expect([...reductionOrder([3, 4], 1)]).toEqual([0, 4, 8]);
});

test("weights of opposite sign fit at any size, and the least bound holds in both directions", () => {
  expect(pairLimit(255)).toBe(128);
  expect(pairsFitInt16(Int32Array.of(127, -128), [1, 2], 0, 255)).toBe(true);
  expect(pairsFitInt16(Int32Array.of(-128, 0), [1, 2], 0, 255)).toBe(true);
  expect(pairsFitInt16(Int32Array.of(-128, -1), [1, 2], 0, 255)).toBe(false);
  expect(pairsFitInt16(Int32Array.of(64, 64), [1, 2], 0, 255)).toBe(true);
  expect(pairsFitInt16(Int32Array.of(65, 64), [1, 2], 0, 255)).toBe(false);
});

test("a convolution of one filter for one channel each is free, one of several channels a group is not", () => {
  expect(addsInPairs(conv(4, 1, 4), true)).toBe(false);
  expect(addsInPairs(conv(8, 1, 4), true)).toBe(true);
  expect(addsInPairs(conv(4, 2, 4), true)).toBe(true);
  expect(addsInPairs(conv(4, 4, 1), true)).toBe(true);
  expect(addsInPairs(conv(4, 4, 1), false)).toBe(false);
});
