import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fakeQuantize, quantize } from "../../src/quant/affine.js";
import { pairedWeights, pairFits } from "../../src/quant/paired-weights.js";
import { qmax, qmin, type QuantSpec, weightSpec } from "../../src/quant/spec.js";
import { leastSquaresScale } from "../../src/quant/weight-scale.js";
import { gaussian, laplace, squaredError } from "../support/arbitrary.js";

const EIGHT = weightSpec(8, null);

function freeScale(w: Float32Array, spec: QuantSpec, powerOfTwo = false): number {
  return leastSquaresScale(w, [w.length], spec, { powerOfTwo }).scale[0] as number;
}

function paired(
  w: Float32Array,
  limit = 128,
  spec = EIGHT,
  powerOfTwo = false,
): { scale: number; integers: Int32Array } {
  return pairedWeights(w, freeScale(w, spec, powerOfTwo), limit, spec, { powerOfTwo });
}

function errorOf(w: Float32Array, { scale, integers }: { scale: number; integers: Int32Array }): number {
  return squaredError(
    w,
    Float64Array.from(integers, (q) => q * scale),
  );
}

/** Of the least squares scale, without a constraint. */
function freeError(w: Float32Array, bits: number): number {
  const spec = weightSpec(bits, null);
  const params = { scale: Float32Array.of(freeScale(w, spec)), zeroPoint: new Int32Array(1) };
  return squaredError(w, fakeQuantize(w, [w.length], { spec, params }));
}

/** Rows in which large weights of one sign stand together, over many sizes, and rows as layers have them. */
const anyRow = fc.oneof(
  fc.tuple(fc.integer({ min: 100, max: 1000 }), fc.nat()).map(([n, seed]) => gaussian(n, seed, 0.1)),
  fc
    .tuple(
      fc.array(fc.oneof(fc.double({ min: -1, max: 1, noNaN: true }), fc.constantFrom(1, -1, 0.9, -0.9, 0)), {
        minLength: 1,
        maxLength: 40,
      }),
      fc.constantFrom(1, 1e-6, 37),
    )
    .map(([values, size]) =>
      Float32Array.from(values, (value) => (Math.abs(value) < 1e-6 ? 0 : value * size)),
    ),
);

describe("weights that meet in pairs", () => {
  test("never break the limit, stay in range, and are never worse than one bit less", () => {
    let [constrained, projected] = [0, 0];
    fc.assert(
      fc.property(anyRow, fc.integer({ min: 128, max: 200 }), fc.boolean(), (w, limit, powerOfTwo) => {
        const found = paired(w, limit, EIGHT, powerOfTwo);
        const { scale, integers } = found;
        expect(integers.length).toBe(w.length);
        expect(scale).toBe(Math.fround(scale));
        expect(integers.every((q) => Math.round(q) === q && q >= -128 && q <= 127)).toBe(true);
        const pairs = Array.from(
          integers,
          (q, i) => [q, i % 2 === 1 ? (integers[i - 1] as number) : 0] as const,
        );
        expect(pairs.every(([a, b]) => pairFits(a, b, limit))).toBe(true);
        const rounding = squaredError(w, new Float32Array(w.length)) * 1e-12;
        const most = powerOfTwo ? Number.POSITIVE_INFINITY : freeError(w, 7) * (1 + 1e-5) + rounding;
        expect(errorOf(w, found)).toBeLessThanOrEqual(most);
        expect(!powerOfTwo || Number.isInteger(Math.log2(scale))).toBe(true);
        const params = { scale: Float32Array.of(scale), zeroPoint: new Int32Array(1) };
        if (scale !== freeScale(w, EIGHT, powerOfTwo)) constrained++;
        if (quantize(w, [w.length], { spec: EIGHT, params }).some((q, i) => q !== integers[i])) projected++;
      }),
      { seed: 5, numRuns: 300 },
    );
    // Some rows only take a wider scale, in others pairs go to the edge as well.
    expect(constrained).toBeGreaterThan(50);
    expect(projected).toBeGreaterThan(10);
  });

  test("are the best of all that keep the limit, by brute force over scales that are powers of two", () => {
    const spec = weightSpec(4, null);
    let constrained = 0;
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -40, max: 40 }), { minLength: 2, maxLength: 5 }),
        fc.integer({ min: 8, max: 11 }),
        (values, limit) => {
          const w = Float32Array.from(values, (value) => value / 40);
          const found = paired(w, limit, spec, true);
          let least = Number.POSITIVE_INFINITY;
          for (let exponent = -8; exponent <= 2; exponent++) {
            least = Math.min(least, bruteForce(w, 2 ** exponent, limit, spec));
          }
          expect(errorOf(w, found)).toBeCloseTo(least, 10);
          if (least > bruteForceAnyScale(w, spec) + 1e-9) constrained++;
        },
      ),
      { seed: 2, numRuns: 150 },
    );
    expect(constrained).toBeGreaterThan(20);
  });

  test("keep the integers of a row that fits as it is", () => {
    const w = Float32Array.of(1, -1, 0.9, -0.7, 0.2, 0.1, 1);
    const params = { scale: Float32Array.of(freeScale(w, EIGHT)), zeroPoint: new Int32Array(1) };
    expect(paired(w)).toEqual({
      scale: params.scale[0],
      integers: quantize(w, [w.length], { spec: EIGHT, params }),
    });
  });

  test("of common distributions lose at most half of what one bit less loses", () => {
    for (const w of [gaussian(576, 3, 0.05), gaussian(1152, 4, 1), laplace(576, 5), laplace(1152, 6)]) {
      const loss = Math.log(errorOf(w, paired(w)) / freeError(w, 8));
      expect(loss).toBeGreaterThan(0);
      expect(loss).toBeLessThan(Math.log(freeError(w, 7) / freeError(w, 8)) / 2);
    }
  });

  test("that are all 0 have scale 1, and a limit that 7 bits could break is refused", () => {
    expect(paired(new Float32Array(3))).toEqual({ scale: 1, integers: new Int32Array(3) });
    expect(() => paired(Float32Array.of(1, 1), 127)).toThrow(/limit of at least 128, got 127/);
  });
});

/** Least error at one scale, by every point of every pair. */
function bruteForce(w: Float32Array, scale: number, limit: number, spec: QuantSpec): number {
  const range = Array.from({ length: qmax(spec) - qmin(spec) + 1 }, (_, i) => qmin(spec) + i);
  let total = 0;
  for (let i = 0; i < w.length; i += 2) {
    const [x, y = 0] = [w[i] as number, w[i + 1]];
    let least = Number.POSITIVE_INFINITY;
    for (const a of range) {
      for (const b of range) {
        if (Math.sign(a) === Math.sign(b) && Math.abs(a) + Math.abs(b) > limit) continue;
        least = Math.min(least, (x - a * scale) ** 2 + (y - b * scale) ** 2);
      }
    }
    total += least;
  }
  return total;
}

function bruteForceAnyScale(w: Float32Array, spec: QuantSpec): number {
  return errorOf(w, {
    scale: freeScale(w, spec, true),
    integers: quantize(w, [w.length], {
      spec,
      params: leastSquaresScale(w, [w.length], spec, { powerOfTwo: true }),
    }),
  });
}
