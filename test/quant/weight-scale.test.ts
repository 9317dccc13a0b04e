import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fakeQuantize, quantize } from "../../src/quant/affine.js";
import type { QuantSpec } from "../../src/quant/spec.js";
import { qmax, qmin, weightSpec } from "../../src/quant/spec.js";
import { leastSquaresScale } from "../../src/quant/weight-scale.js";
import { anyBits, gaussian, laplace, squaredError } from "../support/arbitrary.js";

function errorAt(w: Float32Array, scale: number, spec: QuantSpec): number {
  const params = { scale: Float32Array.of(scale), zeroPoint: new Int32Array(1) };
  return squaredError(w, fakeQuantize(w, [w.length], { spec, params }));
}

function scaleOf(w: Float32Array, spec: QuantSpec, powerOfTwo = false): number {
  return leastSquaresScale(w, [w.length], spec, { powerOfTwo }).scale[0] as number;
}

/** The scale at which nothing clips. */
function minMaxScale(w: Float32Array, spec: QuantSpec): number {
  return Math.fround(Math.max(Math.max(...w) / qmax(spec), Math.min(...w) / qmin(spec)));
}

/** Least error over a grid so dense that it meets every assignment of integers, each with its best scale. */
function bruteForce(w: Float32Array, spec: QuantSpec): number {
  const largest = Math.max(...w.map(Math.abs));
  let least = Infinity;
  for (let scale = 1.1 * largest; scale > largest / 2 ** (spec.bits + 3); scale *= 0.998) {
    const params = { scale: Float32Array.of(scale), zeroPoint: new Int32Array(1) };
    const q = quantize(w, [w.length], { spec, params });
    let wq = 0;
    let qq = 0;
    q.forEach((integer, i) => {
      wq += (w[i] as number) * integer;
      qq += integer * integer;
    });
    if (wq > 0) least = Math.min(least, errorAt(w, wq / qq, spec));
  }
  return least;
}

const anyWeights = fc
  .tuple(
    fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 1, maxLength: 24 }),
    fc.constantFrom(1, 1e-6, 37),
  )
  .map(([values, size]) => Float32Array.from(values, (value) => (Math.abs(value) < 1e-6 ? 0 : value * size)))
  .filter((w) => w.some((x) => x !== 0));

describe("the least squares scale", () => {
  test("is as good as brute force on a few weights", () => {
    fc.assert(
      fc.property(anyWeights, fc.constantFrom(2, 3, 4), (w, bits) => {
        const spec = weightSpec(bits, null);
        const power = squaredError(w, new Float32Array(w.length));
        expect(errorAt(w, scaleOf(w, spec), spec)).toBeLessThanOrEqual(
          bruteForce(w, spec) * 1.001 + power * 1e-10,
        );
      }),
      { numRuns: 40 },
    );
  });

  test.each([
    ["gaussian", 2, 0.01],
    ["gaussian", 3, 0.01],
    ["gaussian", 8, 0.05],
    ["laplace", 2, 0.01],
    ["laplace", 3, 0.01],
    ["laplace", 8, 0.05],
  ] as const)("is as good as brute force on 1152 %s weights at %i bits, to %f", (kind, bits, tolerance) => {
    const w = kind === "gaussian" ? gaussian(1152, 11, 0.03) : laplace(1152, 12);
    const spec = weightSpec(bits, null);
    expect(errorAt(w, scaleOf(w, spec), spec)).toBeLessThanOrEqual(bruteForce(w, spec) * (1 + tolerance));
  });

  test("never leaves more error than the scale at which nothing clips", () => {
    fc.assert(
      fc.property(anyWeights, anyBits, fc.boolean(), (w, bits, narrowRange) => {
        const spec = { ...weightSpec(bits, null), narrowRange };
        const power = squaredError(w, new Float32Array(w.length));
        const found = errorAt(w, scaleOf(w, spec), spec);
        expect(found).toBeLessThanOrEqual(errorAt(w, minMaxScale(w, spec), spec) + power * 1e-10);
      }),
      { numRuns: 500 },
    );
  });

  test("finds the scale that weights were made with, above 5 bits where they reach an end of the range", () => {
    fc.assert(
      fc.property(
        anyBits.chain((bits) =>
          fc.tuple(
            fc.constant(bits),
            fc.array(fc.integer({ min: -(2 ** (bits - 1)), max: 2 ** (bits - 1) - 1 }), {
              minLength: 8,
              maxLength: 40,
            }),
          ),
        ),
        ([bits, integers]) => {
          fc.pre(integers.some((q) => q !== 0));
          if (bits > 5) integers[0] = integers[0] === 0 ? -(2 ** (bits - 1)) : 2 ** (bits - 1) - 1;
          const spec = weightSpec(bits, null);
          const w = Float32Array.from(integers, (q) => q * 0.0123);
          const power = squaredError(w, new Float32Array(w.length));
          expect(errorAt(w, scaleOf(w, spec), spec)).toBeLessThanOrEqual(power * 1e-10);
        },
      ),
      { numRuns: 200 },
    );
  });

  test("uses the lowest integer too", () => {
    const w = Float32Array.of(-2, -2, 1, -1, 1, 0);
    const params = leastSquaresScale(w, [6], weightSpec(2, null));
    expect([...params.scale]).toEqual([1]);
    expect([...params.zeroPoint]).toEqual([0]);
    const narrow = leastSquaresScale(w, [6], { ...weightSpec(2, null), narrowRange: true });
    expect(narrow.scale[0]).toBeGreaterThan(1.2);
  });

  test("ignores one outlier among many weights", () => {
    const w = gaussian(4096, 5);
    w[100] = 12;
    const scale = scaleOf(w, weightSpec(3, null));
    expect(scale).toBeGreaterThan(0.4);
    expect(scale).toBeLessThan(0.9);
  });

  test("of a channel is that of the channel alone, on either axis", () => {
    const shape = [6, 4, 3, 3];
    const w = gaussian(6 * 36, 3);
    w.forEach((x, i) => {
      w[i] = x * (1 + Math.floor(i / 36)) * (1 + (Math.floor(i / 9) % 4));
    });
    const first = leastSquaresScale(w, shape, weightSpec(3, 0));
    expect(first.scale).toHaveLength(6);
    for (let k = 0; k < 6; k++) {
      expect(first.scale[k]).toBe(scaleOf(w.slice(k * 36, (k + 1) * 36), weightSpec(3, null)));
    }
    const second = leastSquaresScale(w, shape, weightSpec(3, 1));
    expect(second.scale).toHaveLength(4);
    for (let k = 0; k < 4; k++) {
      const channel = w.filter((_, i) => Math.floor(i / 9) % 4 === k);
      expect(second.scale[k]).toBe(scaleOf(channel, weightSpec(3, null)));
    }
  });

  test("of a channel without weights is 1, beside channels that have some", () => {
    const w = Float32Array.of(0, 0, 0, 0.5, -0.5, 0.25, 1e-44, -1e-45, 0);
    const { scale } = leastSquaresScale(w, [3, 3], weightSpec(3, 0));
    expect(scale[0]).toBe(1);
    expect(scale[1]).toBeGreaterThan(0);
    expect(scale[2]).toBe(1);
  });

  test("is a normal float32 > 0 at the ends of float32 as well", () => {
    for (const size of [1e-37, 1e-38, 3e38]) {
      const { scale } = leastSquaresScale(
        Float32Array.of(size, -size / 3, size / 2),
        [3],
        weightSpec(8, null),
      );
      expect(scale[0]).toBeGreaterThanOrEqual(2 ** -126);
      expect(Number.isFinite(scale[0])).toBe(true);
    }
  });

  test.each([NaN, Infinity, -Infinity])("refuses %f among the weights, by name", (bad) => {
    expect(() =>
      leastSquaresScale(Float32Array.of(1, bad), [2], weightSpec(3, null), { where: "conv1/kernel" }),
    ).toThrow(`conv1/kernel: got ${bad}, expected finite numbers`);
  });
});

describe("the best power of two", () => {
  test("is the one that brute force finds", () => {
    fc.assert(
      fc.property(anyWeights, anyBits, (w, bits) => {
        const spec = weightSpec(bits, null);
        const scale = scaleOf(w, spec, true);
        expect(Number.isInteger(Math.log2(scale))).toBe(true);
        let least = Infinity;
        for (let e = -60; e <= 10; e++) least = Math.min(least, errorAt(w, 2 ** e, spec));
        const power = squaredError(w, new Float32Array(w.length));
        expect(errorAt(w, scale, spec)).toBeLessThanOrEqual(least + power * 1e-10);
      }),
    );
  });
});
