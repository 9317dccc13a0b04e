// Property: comparing with the thresholds is quantizing, for every float32 next to one.

import * as fc from "fast-check";
import { expect, test } from "vitest";
import { quantize } from "../../src/quant/affine.js";
import { activationSpec, type Quantization, qmax, qmin } from "../../src/quant/spec.js";
import { quantizationThresholds } from "../../src/quant/thresholds.js";

function quantizationOf(
  bits: number,
  sign: "non-negative" | "signed",
  scale: number,
  zero: number,
): Quantization {
  const spec = activationSpec(bits, sign);
  const zeroPoint = sign === "signed" ? 0 : Math.min(zero, qmax(spec));
  return { spec, params: { scale: Float32Array.of(scale), zeroPoint: Int32Array.of(zeroPoint) } };
}

function byComparing(x: number, thresholds: Float32Array, low: number): number {
  return low + thresholds.filter((threshold) => x >= threshold).length;
}

const word = new Int32Array(1);
const real = new Float32Array(word.buffer);

/** The float32 numbers around x, itself among them. */
function neighbours(x: number): number[] {
  real[0] = x;
  const at = word[0] as number;
  return [-2, -1, 0, 1, 2].map((step) => {
    word[0] = at + step;
    return real[0] as number;
  });
}

test("comparing with the thresholds is quantizing, next to every threshold and far from them", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 8 }),
      fc.constantFrom("non-negative" as const, "signed" as const),
      fc.double({ min: 1e-30, max: 1e30, noNaN: true }),
      fc.integer({ min: 0, max: 255 }),
      fc.array(fc.float({ noNaN: true })),
      (bits, sign, scale, zero, others) => {
        const quantization = quantizationOf(bits, sign, Math.fround(scale), zero);
        const [low, high] = [qmin(quantization.spec), qmax(quantization.spec)];
        const thresholds = quantizationThresholds(quantization, low, high);
        expect(thresholds.length).toBe(high - low);
        const xs = [...thresholds]
          .flatMap(neighbours)
          .concat(others)
          .filter((x) => !Number.isNaN(x));
        const q = quantize(Float32Array.from(xs), [xs.length], quantization);
        const wrong = xs.filter((x, i) => byComparing(x, thresholds, low) !== q[i]);
        expect(wrong).toEqual([]);
      },
    ),
    { numRuns: 40 },
  );
});

test("thresholds of a part of the integers are those of the whole that lie in it", () => {
  const quantization = quantizationOf(4, "non-negative", 0.3, 5);
  const whole = quantizationThresholds(quantization, 0, 15);
  expect(quantizationThresholds(quantization, 5, 9)).toEqual(whole.slice(5, 9));
  expect(quantizationThresholds(quantization, 7, 7)).toEqual(new Float32Array(0));
});

test("an integer that no number reaches has an infinite threshold", () => {
  const quantization = quantizationOf(8, "non-negative", 3e38, 0);
  expect([...quantizationThresholds(quantization, 0, 3)]).toEqual([
    expect.closeTo(1.5e38, -32),
    Number.POSITIVE_INFINITY,
    Number.POSITIVE_INFINITY,
  ]);
});
