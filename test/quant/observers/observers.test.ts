import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fakeQuantize } from "../../../src/quant/affine.js";
import { Histogram, HALF_BINS } from "../../../src/quant/observers/histogram.js";
import type { ObserverName } from "../../../src/quant/observers/observers.js";
import { OBSERVER_NAMES, observers } from "../../../src/quant/observers/observers.js";
import { PercentileObserver } from "../../../src/quant/observers/percentile.js";
import type { QuantParams, QuantSpec } from "../../../src/quant/spec.js";
import { activationSpec, checkParams, qmax, qmin, weightSpec } from "../../../src/quant/spec.js";
import { anySpec, gaussian, laplace, squaredError } from "../../support/arbitrary.js";

function paramsOf(name: ObserverName, x: Float32Array, spec: QuantSpec, powerOfTwo = false): QuantParams {
  const observer = observers[name]();
  observer.observe(x);
  return observer.params(spec, { powerOfTwo });
}

function errorOf(x: Float32Array, spec: QuantSpec, params: QuantParams): number {
  return squaredError(x, fakeQuantize(x, [x.length], { spec, params })) / x.length;
}

const relu = (x: Float32Array) => x.map((value) => Math.max(value, 0));
const anyData = fc
  .array(fc.oneof(fc.double({ min: -50, max: 50, noNaN: true }), fc.constant(0)), { maxLength: 50 })
  .map((values) => Float32Array.from(values));

describe.each(OBSERVER_NAMES)("the observer %s", (name) => {
  test("gives valid parameters for any data and spec, with a power of two when asked", () => {
    fc.assert(
      fc.property(anyData, anySpec, fc.boolean(), (x, spec, powerOfTwo) => {
        const params = paramsOf(name, x, spec, powerOfTwo);
        checkParams(spec, params, 1, name);
        expect(!powerOfTwo || Number.isInteger(Math.log2(params.scale[0] as number))).toBe(true);
        // Real 0 stays 0.
        expect(fakeQuantize(new Float32Array(1), [1], { spec, params })[0]).toBe(0);
      }),
    );
  });

  test("gives scale 1 when it has seen nothing, or nothing but 0", () => {
    for (const x of [new Float32Array(0), new Float32Array(9), Float32Array.of(1e-44)]) {
      for (const range of ["non-negative", "signed", "asymmetric"] as const) {
        const params = paramsOf(name, x, activationSpec(4, range));
        expect([params.scale[0], params.zeroPoint[0]]).toEqual([1, 0]);
      }
    }
    const unseen = observers[name]().params(activationSpec(8, "signed"));
    expect([unseen.scale[0], unseen.zeroPoint[0]]).toEqual([1, 0]);
  });

  test.each([NaN, Infinity, -Infinity])("refuses %f and names the value", (bad) => {
    const observer = observers[name]();
    observer.observe(Float32Array.of(1));
    expect(() => observer.observe(Float32Array.of(1, bad, 2), "relu7")).toThrow(
      new RegExp(`^relu7: got ${bad} .*\\[invalid-data\\]$`),
    );
    expect(observer.params(activationSpec(8, "signed"))).toEqual(
      paramsOf(name, Float32Array.of(1), activationSpec(8, "signed")),
    );
  });

  test("finds the same for the same tensors in any order", () => {
    fc.assert(
      fc.property(
        fc.array(anyData, { minLength: 2, maxLength: 4 }),
        fc.constantFrom(0.001, 1, 1000),
        anySpec,
        (tensors, growth, spec) => {
          const scaled = tensors.map((x, i) => x.map((value) => value * growth ** i));
          const forwards = observers[name]();
          for (const x of scaled) forwards.observe(x);
          const backwards = observers[name]();
          for (const x of scaled.toReversed()) backwards.observe(x);
          expect(backwards.params(spec)).toEqual(forwards.params(spec));
        },
      ),
    );
  });

  test("scales with its data", () => {
    const x = gaussian(5000, 21);
    for (const spec of [activationSpec(4, "signed"), activationSpec(4, "asymmetric")]) {
      const params = paramsOf(name, x, spec);
      for (const factor of [2 ** -20, 2 ** 30]) {
        const scaled = paramsOf(
          name,
          x.map((value) => value * factor),
          spec,
        );
        expect(scaled.scale[0]).toBe((params.scale[0] as number) * factor);
        expect(scaled.zeroPoint).toEqual(params.zeroPoint);
      }
    }
  });

  test("refuses a spec with an axis", () => {
    expect(() => observers[name]().params(weightSpec(8, 0))).toThrow("[internal]");
  });
});

describe("minmax", () => {
  test.each([
    ["unsigned", activationSpec(3, "non-negative"), [0.5, 7], 1, 0],
    ["unsigned with negative values, which nothing holds", activationSpec(3, "non-negative"), [-9, 7], 1, 0],
    ["signed, by its upper end", activationSpec(3, "signed"), [-1, 6], 2, 0],
    ["signed, by its lower end", activationSpec(3, "signed"), [-8, 1], 2, 0],
    ["asymmetric", activationSpec(4, "asymmetric"), [-5, 10], 1, 5],
    ["asymmetric, all positive: 0 is within", activationSpec(4, "asymmetric"), [10, 15], 1, 0],
    ["asymmetric, all negative", activationSpec(4, "asymmetric"), [-15, -10], 1, 15],
    ["asymmetric, a tie of the zero point", activationSpec(2, "asymmetric"), [-1.5, 1.5], 1, 2],
  ] as const)("is exact for %s", (_, spec, x, scale, zeroPoint) => {
    const params = paramsOf("minmax", Float32Array.from(x), spec);
    expect([params.scale[0], params.zeroPoint[0]]).toEqual([scale, zeroPoint]);
  });

  test.each([
    [7, 1],
    [7.001, 2],
    [3.5, 0.5],
    [3.49, 0.5],
  ])("takes the next power of two above %f / 7: %f", (largest, scale) => {
    const params = paramsOf("minmax", Float32Array.of(largest), activationSpec(3, "non-negative"), true);
    expect(params.scale[0]).toBe(scale);
  });
});

describe("percentile", () => {
  test("leaves out what is beyond it, to a bin", () => {
    const x = Float32Array.from({ length: 100_000 }, (_, i) => (i + 1) / 100_000);
    x[500] = 4;
    const observer = new PercentileObserver(99);
    observer.observe(x);
    const range = (observer.params(activationSpec(8, "non-negative")).scale[0] as number) * 255;
    expect(range).toBeGreaterThan(0.985);
    expect(range).toBeLessThan(0.995);
  });

  test("leaves out both tails", () => {
    const x = gaussian(200_000, 4);
    const observer = new PercentileObserver(97.72499);
    observer.observe(x);
    const { scale, zeroPoint } = observer.params(activationSpec(8, "asymmetric"));
    expect((scale[0] as number) * 255).toBeCloseTo(4, 1);
    expect(Math.abs((zeroPoint[0] as number) - 127.5)).toBeLessThan(3);
  });

  test("of 100 is minmax", () => {
    const x = laplace(1000, 8);
    const observer = new PercentileObserver(100);
    observer.observe(x);
    for (const spec of [activationSpec(8, "signed"), activationSpec(8, "asymmetric")]) {
      expect(observer.params(spec)).toEqual(paramsOf("minmax", x, spec));
    }
  });

  test("is not pulled to nothing by zeros", () => {
    const x = new Float32Array(1_000_000);
    for (let i = 0; i < 20; i++) x[i * 1000] = 1 + i / 20;
    const { scale } = paramsOf("percentile", x, activationSpec(8, "non-negative"));
    expect((scale[0] as number) * 255).toBeGreaterThan(1.9);
  });

  test.each([50, 0, 101, NaN])("refuses %f", (percentile) => {
    expect(() => new PercentileObserver(percentile)).toThrow("[invalid-quantization]");
  });
});

describe("mse", () => {
  const cases = [
    { name: "gaussian", x: gaussian(50_000, 1), range: "signed" },
    { name: "laplace", x: laplace(50_000, 2), range: "signed" },
    { name: "gaussian after ReLU", x: relu(gaussian(50_000, 3)), range: "non-negative" },
    { name: "laplace after ReLU", x: relu(laplace(50_000, 4)), range: "non-negative" },
    { name: "shifted gaussian", x: gaussian(50_000, 5).map((x) => x + 1.5), range: "asymmetric" },
    { name: "one-sided laplace", x: laplace(50_000, 6).map((x) => Math.abs(x) - 0.2), range: "asymmetric" },
  ] as const;

  test.each(cases)("leaves at most 0.7 of the error of minmax on $name at 3 and 4 bits", ({ x, range }) => {
    for (const bits of [3, 4]) {
      const spec = activationSpec(bits, range);
      const error = errorOf(x, spec, paramsOf("mse", x, spec));
      expect(error).toBeLessThan(0.7 * errorOf(x, spec, paramsOf("minmax", x, spec)));
    }
  });

  test.each(cases)("is within 1 % of the best scale and zero point for $name", ({ x, range }) => {
    // A brute search over zero points too grows as 4^bits.
    for (const bits of range === "asymmetric" ? [2, 3] : [2, 4, 6]) {
      const spec = activationSpec(bits, range);
      const sample = x.subarray(0, 4000);
      const found = errorOf(sample, spec, paramsOf("mse", sample, spec));
      expect(found).toBeLessThanOrEqual(1.01 * bruteForce(sample, spec));
    }
  });

  test.each(cases)("is never worse than minmax on $name, to 1 %, at 8 bits", ({ x, range }) => {
    const spec = activationSpec(8, range);
    const error = errorOf(x, spec, paramsOf("mse", x, spec));
    expect(error).toBeLessThanOrEqual(1.01 * errorOf(x, spec, paramsOf("minmax", x, spec)));
  });

  test("picks the best power of two", () => {
    for (const { x, range } of cases) {
      const spec = activationSpec(3, range);
      const found = errorOf(x, spec, paramsOf("mse", x, spec, true));
      for (let e = -6; e <= 3; e++) {
        const { zeroPoint } = paramsOf("mse", x, spec, true);
        const params = { scale: Float32Array.of(2 ** e), zeroPoint };
        expect(found).toBeLessThanOrEqual(errorOf(x, spec, params) * 1.01);
      }
    }
  });

  test("gives up one outlier for the precision of the rest", () => {
    const x = gaussian(100_000, 9);
    x[7] = 40;
    const { scale } = paramsOf("mse", x, activationSpec(4, "signed"));
    expect((scale[0] as number) * 7).toBeLessThan(4);
  });
});

describe("the histogram", () => {
  test("holds the counts that its final width gives, however it grew", () => {
    fc.assert(
      fc.property(
        fc.array(anyData, { minLength: 1, maxLength: 5 }),
        fc.constantFrom(1, 0.01, 300),
        (tensors, growth) => {
          const histogram = new Histogram();
          const all = tensors.map((x, i) => x.map((value) => value * growth ** i));
          for (const x of all) histogram.add(x, "x");
          const expected = new Float64Array(2 * HALF_BINS);
          let total = 0;
          for (const value of all.flatMap((x) => Array.from(x)).filter((v) => v !== 0)) {
            const bin = Math.floor(value / histogram.width) + HALF_BINS;
            expected[bin] = (expected[bin] as number) + 1;
            total++;
          }
          expect(histogram.total).toBe(total);
          expect(histogram.counts).toEqual(expected);
        },
      ),
    );
  });

  test.each([1, 2, 1.999, 3, 1e-30, 3e38])("holds a largest value of %f within its last bins", (largest) => {
    const histogram = new Histogram();
    histogram.add(Float32Array.of(-largest, largest), "x");
    expect(histogram.total).toBe(2);
    const used = histogram.counts.findLastIndex((count) => count > 0) - HALF_BINS;
    expect(used).toBeGreaterThanOrEqual(HALF_BINS / 2);
  });
});

/** Least error over a dense grid of scales and every zero point. */
function bruteForce(x: Float32Array, spec: QuantSpec): number {
  const largest = x.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const zeroPoints = spec.symmetric
    ? [0]
    : Array.from({ length: qmax(spec) - qmin(spec) + 1 }, (_, i) => qmin(spec) + i);
  const sample = x.subarray(0, 4000);
  let least = Infinity;
  const steps = spec.symmetric ? 0.98 : 0.96;
  for (let scale = largest; scale > largest / 2 ** (spec.bits + 2); scale *= steps) {
    for (const zeroPoint of zeroPoints) {
      const params = { scale: Float32Array.of(scale), zeroPoint: Int32Array.of(zeroPoint) };
      least = Math.min(least, errorOf(sample, spec, params));
    }
  }
  return least;
}
