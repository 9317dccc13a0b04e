import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  accumulatorBound,
  biasResolution,
  isExactInFloat32,
  largestInteger,
  quantizeBias,
} from "../../src/quant/bias.js";
import { QdgError } from "../../src/base/error.js";
import { activationSpec } from "../../src/quant/spec.js";

const anyFloat = fc
  .oneof(
    fc.double({ min: -10, max: 10, noNaN: true }),
    fc.constantFrom(0, 1e-30, -1e-30, 1e20, -1e20, 1e-44, 3e38),
  )
  .map(Math.fround);

const anyScaleX = fc
  .oneof(fc.double({ min: 1e-4, max: 10, noNaN: true }), fc.constantFrom(1e-30, 1e20))
  .map(Math.fround);

/** null for numbers that no float32 holds, which quantizeBias says; any other error is thrown on. */
function unlessRefused<T>(run: () => T): T | null {
  try {
    return run();
  } catch (thrown) {
    if (thrown instanceof QdgError && thrown.code === "invalid-weights") return null;
    throw thrown;
  }
}

describe("biasResolution", () => {
  test.each([
    // int8 holds 2^7 where inputs of 7 bits or fewer leave room for pairs, 2^6 where they have 8.
    [3, 3, 9, 32],
    [4, 4, 9, 16],
    [2, 7, 9, 64],
    [3, 8, 9, 16],
    [4, 8, 9, 8],
    [6, 8, 9, 2],
    [7, 8, 9, 1],
    [8, 8, 9, 1],
    [8, 3, 9, 1],
    // 1024 products of 8 * 255 f each: 2^23 holds f = 4.
    [4, 8, 1024, 4],
    [8, 8, 2 ** 20, 1],
  ])("%i-bit weights, %i-bit inputs, %i of them: %i", (weightBits, inputBits, count, expected) => {
    expect(biasResolution(weightBits, inputBits, count)).toBe(expected);
  });
});

describe("quantizeBias", () => {
  test("rounds to parts of that product", () => {
    const given = { weights: Int8Array.of(1, 2), shape: [2, 1], axis: 0, scale: Float32Array.of(0.5, -0.25) };
    const result = quantizeBias(Float32Array.of(1.01, -3.1), 0.5, given, "conv1", 16);
    // 1.01 / (0.25 / 16), -3.1 / (-0.125 / 16)
    expect([...result.bias]).toEqual([65, 397]);
    expect(result.scale).toEqual(given.scale);
  });

  test("gives a channel whose bias does not fit in parts a scale that holds it in parts", () => {
    const given = { weights: Int8Array.of(3), shape: [1, 1], axis: 0, scale: Float32Array.of(1) };
    const { scale, bias, adjusted } = quantizeBias(Float32Array.of(2 ** 20), 1, given, "conv1", 16);
    expect(adjusted).toEqual([0]);
    expect((bias[0] as number) * ((scale[0] as number) / 16)).toBe(2 ** 20);
    expect(Math.abs(bias[0] as number)).toBeLessThanOrEqual(2 ** 22);
  });

  test("rounds each bias at the product of the scales, negative ones too", () => {
    const weights = Int8Array.of(1, 2, 3, 4);
    const given = { weights, shape: [4, 1], axis: 0, scale: Float32Array.of(0.5, 0.25, -0.5, 0.125) };
    const result = quantizeBias(Float32Array.of(1, -3.1, 1, 0.09375), 0.5, given, "conv1");
    // 1 / 0.25, -3.1 / 0.125, 1 / -0.25, 0.09375 / 0.0625 = 1.5, a tie
    expect([...result.bias]).toEqual([4, -25, -4, 2]);
    expect(result.adjusted).toEqual([]);
    expect(result.scale).toEqual(given.scale);
    expect(result.weights).toBe(weights);
  });

  test("gives a dead channel a scale that holds its bias, and zeroes its integers", () => {
    const weights = Int8Array.of(3, -4, 3, -4, 3, -4);
    const scale = Float32Array.of(0.5, 1e-30, 0);
    const result = quantizeBias(
      Float32Array.of(1, 0.75, -0.75),
      0.25,
      { weights, shape: [3, 2, 1], axis: 0, scale },
      "bn2",
    );
    expect(result.adjusted).toEqual([1, 2]);
    expect([...result.weights]).toEqual([3, -4, 0, 0, 0, 0]);
    // 0.75 = q * 0.25 * 2^e with |q| in (2^21, 2^22]: q = 3 * 2^20, e = -20.
    expect([...result.scale]).toEqual([0.5, 2 ** -20, 2 ** -20]);
    expect([...result.bias]).toEqual([8, 3 * 2 ** 20, -3 * 2 ** 20]);
    // What came in is as it was.
    expect([...weights]).toEqual([3, -4, 3, -4, 3, -4]);
    expect(scale[2]).toBe(0);
  });

  test("keeps what it can of the integers, rounded half to even, sign and all", () => {
    // The bias is 2^23 steps of the old scale: 2 to 4 times too large for a channel that lives.
    const weights = Int8Array.of(-128, 127, 6, 2, 1);
    const result = quantizeBias(
      Float32Array.of(2 ** 23),
      1,
      { weights, shape: [1, 5], axis: 0, scale: Float32Array.of(-1) },
      "conv",
    );
    expect(result.scale[0]).toBe(2);
    expect([...result.weights]).toEqual([64, -64, -3, -1, 0]);
    expect(result.bias[0]).toBe(2 ** 22);
  });

  test("takes a new scale of at least twice the old one, so that -128 has a place under a negative scale", () => {
    const result = quantizeBias(
      Float32Array.of(0),
      2 ** -126,
      { weights: Int8Array.of(-128), shape: [1, 1], axis: 0, scale: Float32Array.of(-0.999) },
      "conv",
    );
    expect([result.scale[0], result.weights[0]]).toEqual([2, 64]);
  });

  test("leaves a channel just below the limit alone", () => {
    const weights = Int8Array.of(1);
    const given = { weights, shape: [1, 1], axis: 0, scale: Float32Array.of(1) };
    const result = quantizeBias(Float32Array.of(2 ** 23 - 1), 1, given, "conv");
    expect(result).toMatchObject({ adjusted: [] });
    expect(result.bias[0]).toBe(2 ** 23 - 1);
  });

  test("finds the channels of a ConvTranspose on axis 1", () => {
    // [C = 2, K = 2, 1, 2]
    const weights = Int8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
    const given = { weights, shape: [2, 2, 1, 2], axis: 1, scale: Float32Array.of(0, 1) };
    const result = quantizeBias(new Float32Array(2), 1, given, "up1");
    expect([...result.weights]).toEqual([0, 0, 3, 4, 0, 0, 7, 8]);
    expect([...result.scale]).toEqual([1, 1]);
    expect(result.adjusted).toEqual([0]);
  });

  test("always ends with usable scales, biases below 2^23 and real biases kept", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(anyFloat, anyFloat, fc.integer({ min: -128, max: 127 })), {
          minLength: 1,
          maxLength: 8,
        }),
        anyScaleX,
        (channels, scaleX) => {
          const bias = Float32Array.from(channels, ([b]) => b);
          const scale = Float32Array.from(channels, ([, s]) => s);
          const weights = Int8Array.from(channels, ([, , q]) => q);
          const result = unlessRefused(() =>
            quantizeBias(bias, scaleX, { weights, shape: [bias.length, 1], axis: 0, scale }, "x"),
          );
          fc.pre(result !== null);
          result.bias.forEach((integer, k) => {
            const newScale = result.scale[k] as number;
            const step = Math.fround(scaleX * newScale);
            expect(Math.abs(step)).toBeGreaterThanOrEqual(2 ** -126);
            const live = !result.adjusted.includes(k);
            expect(Math.abs(integer)).toBeLessThanOrEqual(live ? 2 ** 23 : 2 ** 22);
            const real = bias[k] as number;
            expect(Math.abs(integer * step - real)).toBeLessThanOrEqual(
              Math.abs(step) * 0.5 + Math.abs(real) * 1e-6,
            );
            // A live channel is as it was; a dead one to half a step of its new scale.
            const before = (weights[k] as number) * (scale[k] as number);
            const after = (result.weights[k] as number) * newScale;
            expect(newScale === scale[k]).toBe(live);
            expect(Math.abs(after - before)).toBeLessThanOrEqual(live ? 0 : newScale * 0.5000001);
          });
        },
      ),
      { numRuns: 500 },
    );
  });

  test.each([
    ["a bias that is not finite", [NaN], [1], "channel 0: got bias NaN"],
    ["a scale that is not finite", [1], [Infinity], "weight scale Infinity"],
    ["lengths that do not fit", [1, 2], [1], "got 2 biases"],
  ])("refuses %s", (_, bias, scale, message) => {
    const given = { weights: new Int8Array(1), shape: [1, 1], axis: 0, scale: Float32Array.from(scale) };
    expect(() => quantizeBias(Float32Array.from(bias), 1, given, "conv9")).toThrow(message);
  });
});

describe("the bound of an accumulator", () => {
  test("is the largest sum that a channel can reach", () => {
    const weights = { weights: Int8Array.of(1, -2, 3, -4, 0, 1), shape: [2, 3], axis: 0 };
    expect(accumulatorBound(weights, 255, Int32Array.of(-1000, 5))).toBe(6 * 255 + 1000);
    expect(accumulatorBound(weights, 255, null)).toBe(6 * 255);
    expect(accumulatorBound({ ...weights, axis: 1 }, 10, null)).toBe(50);
  });

  test("is reached by no partial sum, in any order, of any input", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: -8, max: 7 }), fc.integer({ min: 0, max: 15 })), {
          minLength: 1,
        }),
        fc.integer({ min: 0, max: 15 }),
        fc.integer({ min: -500, max: 500 }),
        (terms, zeroPoint, bias) => {
          const weights = Int8Array.from(terms, ([w]) => w);
          const largest = largestInteger({
            spec: activationSpec(4, "asymmetric"),
            params: { scale: Float32Array.of(1), zeroPoint: Int32Array.of(zeroPoint) },
          });
          const shape = [1, terms.length];
          const bound = accumulatorBound({ weights, shape, axis: 0 }, largest, Int32Array.of(bias));
          let sum = bias;
          for (const [w, x] of terms) {
            sum += w * (x - zeroPoint);
            expect(Math.abs(sum)).toBeLessThanOrEqual(bound);
          }
        },
      ),
    );
  });

  test.each([
    ["unsigned", activationSpec(3, "non-negative"), 0, 7],
    ["signed", activationSpec(8, "signed"), 0, 128],
    ["asymmetric, low zero point", activationSpec(8, "asymmetric"), 10, 245],
    ["asymmetric, high zero point", activationSpec(8, "asymmetric"), 200, 200],
  ] as const)("takes the largest integer of an input that is %s", (_, spec, zeroPoint, largest) => {
    const params = { scale: Float32Array.of(1), zeroPoint: Int32Array.of(zeroPoint) };
    expect(largestInteger({ spec, params })).toBe(largest);
  });

  test("is exact in float32 below 2^24, where the first integer is lost", () => {
    expect(Math.fround(2 ** 24 + 1)).not.toBe(2 ** 24 + 1);
    expect(isExactInFloat32(2 ** 24 - 1)).toBe(true);
    expect(isExactInFloat32(2 ** 24)).toBe(false);
  });
});
