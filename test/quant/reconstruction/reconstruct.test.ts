// Oracle: the objective itself, written out, and plain rounding of the same target.

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cholesky, solveRows } from "../../../src/quant/reconstruction/cholesky.js";
import {
  type LayerStatistics,
  reconstruct,
  type Reconstructed,
} from "../../../src/quant/reconstruction/reconstruct.js";
import { weightSpec } from "../../../src/quant/spec.js";
import { leastSquaresScale } from "../../../src/quant/weight-scale.js";
import { gaussian } from "../../support/arbitrary.js";

interface Layer {
  readonly w: Float32Array;
  /** P x K: what the float network feeds, and what the quantized one does. */
  readonly float: Float32Array;
  readonly quantized: Float32Array;
  readonly rows: number;
  readonly inputs: number;
}

/** Inputs that are correlated, as activations are, with an error of a tenth. */
function layer(seed: number, rows: number, inputs: number, positions: number): Layer {
  const noise = gaussian(positions * inputs, seed);
  const float = noise.map((x, i) => x + 0.8 * (noise[i - (i % inputs)] as number));
  const wrong = gaussian(positions * inputs, seed + 1);
  const quantized = float.map((x, i) => x + 0.1 * (wrong[i] as number));
  return { w: gaussian(rows * inputs, seed + 2), float, quantized, rows, inputs };
}

function statisticsOf({ w, float, quantized, rows, inputs: n }: Layer): LayerStatistics {
  const positions = float.length / n;
  const gram = new Float64Array(n * n);
  const cross = new Float64Array(rows * n);
  for (let p = 0; p < positions; p++) {
    const x = quantized.subarray(p * n, (p + 1) * n);
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) gram[i * n + j]! += x[i]! * x[j]!;
    for (let o = 0; o < rows; o++) {
      let y = 0;
      for (let i = 0; i < n; i++) y += w[o * n + i]! * float[p * n + i]!;
      for (let i = 0; i < n; i++) cross[o * n + i]! += y * x[i]!;
    }
  }
  return { inputs: n, gram, cross, positions };
}

/** sum_p |W x_float - Wq x_quantized|^2 */
function outputError({ w, float, quantized, rows, inputs: n }: Layer, wq: ArrayLike<number>): number {
  let error = 0;
  for (let p = 0; p < float.length / n; p++) {
    for (let o = 0; o < rows; o++) {
      let y = 0;
      for (let i = 0; i < n; i++)
        y += w[o * n + i]! * float[p * n + i]! - wq[o * n + i]! * quantized[p * n + i]!;
      error += y * y;
    }
  }
  return error;
}

const real = (q: Int32Array, scale: Float32Array, n: number): Float64Array =>
  Float64Array.from(q, (each, i) => each * scale[Math.floor(i / n)]!);

test("the factor times itself is the matrix, and solving undoes multiplying", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 130 }), fc.integer({ min: 0, max: 1e6 }), (n, seed) => {
      const a = gaussian(n * n, seed);
      const h = new Float64Array(n * n);
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < n; j++) {
          for (let k = 0; k < n; k++) h[i * n + j]! += a[i * n + k]! * a[j * n + k]!;
        }
        h[i * n + i]! += n;
      }
      const x = Float64Array.from(gaussian(n, seed + 1));
      const y = Float64Array.from({ length: n }, (_, j) =>
        x.reduce((sum, each, i) => sum + each * h[i * n + j]!, 0),
      );
      const factor = cholesky(h.slice(), n, "test");
      for (let i = 0; i < n; i++) {
        for (let j = i; j < n; j++) {
          let sum = 0;
          for (let k = 0; k <= i; k++) sum += factor.u[k * n + i]! * factor.u[k * n + j]!;
          expect(Math.abs(sum - h[i * n + j]!)).toBeLessThan(1e-9 * h[i * n + i]!);
        }
      }
      // Five rows: a block and a part of one.
      const rows = Float64Array.from({ length: 5 * n }, (_, i) => y[i % n]! * (1 + Math.floor(i / n)));
      solveRows(factor, rows);
      rows.forEach((each, i) => expect(each).toBeCloseTo(x[i % n]! * (1 + Math.floor(i / n)), 7));
    }),
    { numRuns: 25 },
  );
});

test("a matrix that is not positive definite is refused by name", () => {
  expect(() => cholesky(Float64Array.of(1, 2, 2, 1), 2, "conv3")).toThrow(/conv3: .*positive definite/);
});

describe.each([2, 3, 4, 8])("at %i bits", (bits) => {
  const spec = weightSpec(bits, 0);

  test("the output is nearer to the float network's than with rounded weights", () => {
    for (let seed = 0; seed < 6; seed++) {
      const each = layer(10 * seed, 5, 24, 300);
      const { integers, scale } = reconstruct(each.w, statisticsOf(each), spec, { where: "test" });
      const plain = leastSquaresScale(each.w, [5, 24], spec).scale;
      const rounded = Int32Array.from(each.w, (x, i) =>
        Math.min(
          Math.max(Math.round(x / plain[Math.floor(i / 24)]!), -(2 ** (bits - 1))),
          2 ** (bits - 1) - 1,
        ),
      );
      const error = outputError(each, real(integers, scale, 24));
      expect(error).toBeLessThan(outputError(each, real(rounded, plain, 24)));
      expect(Math.min(...integers)).toBeGreaterThanOrEqual(-(2 ** (bits - 1)));
      expect(Math.max(...integers)).toBeLessThan(2 ** (bits - 1));
    }
  });
});

test("no pair of one sign exceeds its limit, and nearly nothing is lost by it", () => {
  const spec = weightSpec(8, 0);
  const each = layer(3, 8, 30, 400);
  const statistics = statisticsOf(each);
  const order = Int32Array.from({ length: 30 }, (_, i) => (i * 7) % 30);
  const free = reconstruct(each.w, statistics, spec, { where: "test" });
  const { integers, scale } = reconstruct(each.w, statistics, spec, {
    where: "test",
    pairs: { order, limit: 128 },
  });
  const pairs = (q: Int32Array): number[] =>
    Array.from({ length: q.length / 2 }, (_, i) => {
      const at = 30 * Math.floor(i / 15);
      const [a, b] = [q[at + order[2 * (i % 15)]!]!, q[at + order[2 * (i % 15) + 1]!]!];
      return a * b > 0 ? Math.abs(a + b) : 0;
    });
  expect(Math.max(...pairs(free.integers))).toBeGreaterThan(128);
  expect(Math.max(...pairs(integers))).toBeLessThanOrEqual(128);
  // Of noise in the weights half of all pairs are bound, more than in any trained layer: a bit is lost, not two.
  const seven = reconstruct(each.w, statistics, weightSpec(7, 0), { where: "test" });
  const error = (found: Reconstructed): number => outputError(each, real(found.integers, found.scale, 30));
  expect(error({ integers, scale })).toBeLessThan(error(seven));
});

test("inputs that never fire take the float weights, rounded", () => {
  const w = Float32Array.of(0.5, -1, 0.25, 1);
  const statistics = { inputs: 4, gram: new Float64Array(16), cross: new Float64Array(4), positions: 10 };
  const { integers, scale } = reconstruct(w, statistics, weightSpec(4, 0), { where: "test" });
  expect([...real(integers, scale, 4)].map((x, i) => Math.abs(x - w[i]!))).toEqual(
    expect.arrayContaining([expect.any(Number)]),
  );
  real(integers, scale, 4).forEach((x, i) =>
    expect(Math.abs(x - w[i]!)).toBeLessThanOrEqual(scale[0]! / 2 + 1e-6),
  );
});
