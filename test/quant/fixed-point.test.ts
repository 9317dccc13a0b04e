// Oracle: the staircase itself, sum by sum. A fraction that is off at one sum of millions would be a silent error.

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { generator } from "../../src/image/draw-shapes.js";
import { clip, requantize } from "../../src/quant/affine.js";
import { fixedPoint, type IntegerSum } from "../../src/quant/fixed-point.js";

/** The sums of products for which the two sides differ. */
function differing(multiplier: number, low: number, high: number, sum: IntegerSum): number[] {
  const found = fixedPoint(multiplier, low, high, sum);
  if (!found) throw new Error("got no fraction");
  const { factor, offset } = found;
  const wrong: number[] = [];
  for (let p = -sum.products; p <= sum.products; p++) {
    const exact = factor * p + offset;
    const got = clip(Math.floor(Math.fround(exact)), low, high);
    if (got !== requantize(p + sum.bias, multiplier, 0, low, high) || Math.fround(exact) !== exact)
      wrong.push(p);
  }
  return wrong;
}

const multiplierOf = fc
  .tuple(fc.double({ min: 1, max: 2, noNaN: true }), fc.integer({ min: -9, max: 1 }), fc.boolean())
  .map(([m, exponent, negative]) => Math.fround((negative ? -m : m) * 2 ** exponent));

describe("a multiplier as a fraction", () => {
  test("gives the integer of the multiplication for every sum, whatever its sign and the bias", () => {
    fc.assert(
      fc.property(
        multiplierOf,
        fc.integer({ min: -8, max: 0 }),
        fc.integer({ min: 1, max: 15 }),
        fc.integer({ min: 1, max: 3000 }),
        fc.integer({ min: -2000, max: 2000 }),
        (multiplier, low, range, products, bias) => {
          // Ties may leave no line between the steps; they need a multiplier of few bits, which the next test has.
          fc.pre(fixedPoint(multiplier, low, low + range, { products, bias }) !== null);
          expect(differing(multiplier, low, low + range, { products, bias })).toEqual([]);
        },
      ),
      { numRuns: 400 },
    );
  });

  test("is none where ties to even make steps of one and of three sums by turns", () => {
    expect(fixedPoint(0.5, 0, 7, { products: 40, bias: 0 })).toBeNull();
    expect(fixedPoint(-0.5, -4, 3, { products: 40, bias: 1 })).toBeNull();
    expect(differing(0.5, 0, 1, { products: 40, bias: 0 })).toEqual([]);
  });

  test("is there for nearly every multiplier of a 3-bit layer", () => {
    const random = generator(3);
    const found = Array.from({ length: 500 }, () => {
      const multiplier = Math.fround(0.002 + 0.01 * random());
      return fixedPoint(multiplier, 0, 7, { products: 6000, bias: Math.floor(400 * random()) - 200 });
    });
    expect(found.filter((each) => each !== null).length).toBeGreaterThan(490);
  });

  test("is there where all sums are clipped, and where the multiplier is 0", () => {
    expect(differing(0.25, 0, 7, { products: 9, bias: -1000 })).toEqual([]);
    expect(differing(0.25, 0, 7, { products: 9, bias: 1000 })).toEqual([]);
    expect(differing(0, -3, 3, { products: 100, bias: 5 })).toEqual([]);
    expect(differing(3, 2, 2, { products: 10, bias: 0 })).toEqual([]);
  });

  test("keeps what is added up below 2^24 of its own unit, or is none", () => {
    fc.assert(
      fc.property(
        multiplierOf,
        fc.integer({ min: 1, max: 2 ** 22 }),
        fc.integer({ min: -(2 ** 20), max: 2 ** 20 }),
        (multiplier, products, bias) => {
          const found = fixedPoint(multiplier, 0, 255, { products, bias });
          if (!found) return;
          let unit = 1;
          while (!Number.isInteger(found.factor / unit) || !Number.isInteger(found.offset / unit)) unit /= 2;
          expect((Math.abs(found.factor) * products + Math.abs(found.offset)) / unit).toBeLessThan(2 ** 24);
        },
      ),
    );
    expect(fixedPoint(Math.fround(0.0123), 0, 255, { products: 2 ** 21, bias: 0 })).toBeNull();
  });

  test("takes the shortest fraction", () => {
    expect(fixedPoint(Math.fround(0.99), 0, 3, { products: 20, bias: 0 })?.factor).toBe(1);
    expect(fixedPoint(Math.fround(0.1909), 0, 7, { products: 160, bias: 3 })?.factor).toBe(49 / 256);
  });
});
