// What property tests draw from: specs, scales and values of the kinds that models have.

import * as fc from "fast-check";
import { gaussian, seeded } from "../../bench/models/random.js";
import type { Quantization, QuantSpec } from "../../src/quant/spec.js";
import { activationSpec, qmax, qmin, weightSpec } from "../../src/quant/spec.js";

export const anyBits: fc.Arbitrary<number> = fc.integer({ min: 2, max: 8 });

/** Any spec with one scale. */
export const anySpec: fc.Arbitrary<QuantSpec> = fc
  .tuple(anyBits, fc.constantFrom("non-negative", "signed", "asymmetric", "weight", "narrow"))
  .map(([bits, kind]) => {
    if (kind === "weight") return weightSpec(bits, null);
    if (kind === "narrow") {
      return { bits, signed: true, symmetric: true, narrowRange: true, axis: null };
    }
    return activationSpec(bits, kind);
  });

/** A float32 > 0 over sixteen octaves, or a power of two. */
export const anyScale: fc.Arbitrary<number> = fc.oneof(
  fc
    .tuple(fc.integer({ min: -12, max: 3 }), fc.integer({ min: 0, max: 2 ** 23 - 1 }))
    .map(([exponent, fraction]) => 2 ** exponent * (1 + fraction / 2 ** 23)),
  fc.integer({ min: -12, max: 3 }).map((exponent) => 2 ** exponent),
);

/** A spec with a scale and a zero point that go with it. */
export const anyQuantization: fc.Arbitrary<Quantization> = fc
  .tuple(anySpec, anyScale, fc.double({ min: 0, max: 1, noNaN: true }))
  .map(([spec, scale, part]) => {
    const zeroPoint = spec.symmetric ? 0 : Math.round(qmin(spec) + part * (qmax(spec) - qmin(spec)));
    return { spec, params: { scale: Float32Array.of(scale), zeroPoint: Int32Array.of(zeroPoint) } };
  });

/** Values within a few ranges of `scale`, halves of steps among them. */
export function valuesAround(scale: number): fc.Arbitrary<Float32Array> {
  const one = fc.oneof(
    fc.double({ min: -300, max: 300, noNaN: true }).map((steps) => steps * scale),
    fc.integer({ min: -600, max: 600 }).map((halves) => (halves / 2) * scale),
    fc.constantFrom(0, -0, 3e38, -3e38, 1e-40),
  );
  return fc.array(one, { minLength: 1, maxLength: 40 }).map((values) => Float32Array.from(values));
}

export { gaussian };

/** n numbers from a Laplace distribution: heavier tails than a normal one. */
export function laplace(n: number, seed: number): Float32Array<ArrayBuffer> {
  const next = seeded(seed);
  return Float32Array.from({ length: n }, () => (next() < 0.5 ? 1 : -1) * Math.log(next()));
}

/** sum (a - b)^2 */
export function squaredError(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += ((a[i] as number) - (b[i] as number)) ** 2;
  return sum;
}
