// Property: where addAgrees says yes, the kernel's formula and the integers' meaning are the same number for
// every pair of operands. The kernel is modelled in both of its ways to round, and run for real elsewhere
// (test/runtime/kernels.test.ts).

import fc from "fast-check";
import { expect, test } from "vitest";
import { addAgrees } from "../../src/lower/add-ties.js";
import { clip, requantize, requantizeMultiplier, roundHalfEven } from "../../src/quant/affine.js";
import { activationSpec } from "../../src/quant/spec.js";

const f = Math.fround;
const params = (scale: number, zeroPoint: number) => ({
  scale: Float32Array.of(scale),
  zeroPoint: Int32Array.of(zeroPoint),
});

/** Pairs of stored integers for which kernel and meaning differ. */
function differences(scale: number, zeroX: number, scaleY: number, zeroY: number, fused: boolean): number {
  const r = f(scale / scaleY);
  const offset = f(zeroY - f(f(r * zeroX) + f(r * zeroX)));
  const m = requantizeMultiplier(scale, 1, scaleY);
  let count = 0;
  for (let a = 0; a < 256; a++) {
    for (let b = a; b < 256; b++) {
      const inner = fused ? f(r * b + offset) : f(f(r * b) + offset);
      const outer = fused ? f(r * a + inner) : f(f(r * a) + inner);
      const kernel = clip(roundHalfEven(outer), 0, 255);
      if (kernel !== requantize(a + b - 2 * zeroX, m, zeroY, 0, 255)) count++;
    }
  }
  return count;
}

const scales = fc.oneof(
  fc.double({ min: 0.01, max: 2, noNaN: true }).map(f),
  // Short fractions and powers of two meet ties.
  fc.integer({ min: 1, max: 64 }).map((n) => n / 16),
);
const byte = fc.integer({ min: 0, max: 255 });

test("where Add is left to the kernel, it computes the integers that the network means", () => {
  let agreed = 0;
  fc.assert(
    fc.property(scales, byte, scales, byte, (scale, zeroX, scaleY, zeroY) => {
      const operand = { spec: activationSpec(8, "asymmetric"), params: params(scale, zeroX) };
      if (!addAgrees(requantizeMultiplier(scale, 1, scaleY), operand, zeroY)) return;
      agreed++;
      expect(differences(scale, zeroX, scaleY, zeroY, false)).toBe(0);
      expect(differences(scale, zeroX, scaleY, zeroY, true)).toBe(0);
    }),
    { numRuns: 60, seed: 1 },
  );
  expect(agreed).toBeGreaterThan(10);
});

test("a half step at an odd zero point is not left to the kernel, which rounds the tie the other way", () => {
  const operand = { spec: activationSpec(8, "asymmetric"), params: params(0.5, 3) };
  expect(differences(0.5, 3, 1, 1, false)).toBeGreaterThan(0);
  expect(addAgrees(0.5, operand, 1)).toBe(false);
  expect(addAgrees(0.5, operand, 2)).toBe(true);
});
