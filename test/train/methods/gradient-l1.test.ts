import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { createMethod } from "../../../src/train/methods/create-method.js";
import type { Evaluated } from "../../../src/train/objective.js";
import { Quadratic } from "../support/objectives.js";
import { setTestBackend, testBackends } from "../support/tfjs-backends.js";

/** Adam without memory, and so large an epsilon that a step is `rate * g` to a millionth of |g|. */
const PLAIN = { steps: 100, beta1: 0, beta2: 0, epsilon: 1e6, l1Start: 0 };
const plainRate = (rate: number): number => rate * 1e6;

/** `L = theta' H theta / 2`, H not diagonal: `H sign(g)` is no multiple of sign(g). */
class Coupled extends Quadratic {
  readonly hessian = [
    [2, -1],
    [-1, 3],
  ];

  protected override gradientsAt(): Evaluated {
    const [x = 0, y = 0] = this.point().flat();
    const [[a = 0, b = 0] = [], [c = 0, d = 0] = []] = this.hessian;
    const g = [a * x + b * y, c * x + d * y] as const;
    return { loss: (x * g[0] + y * g[1]) / 2, gradients: [tf.tensor1d([g[0]]), tf.tensor1d([g[1]])] };
  }
}

for (const backend of testBackends) {
  describe(`on ${backend.name}`, backend.options, () => {
    beforeAll(() => setTestBackend(backend.name));

    test("steps down the gradient and lambda times the Hessian along its signs, for a Hessian that is known", () => {
      const objective = new Coupled([
        { name: "a", start: [1], curvature: [] },
        { name: "b", start: [1.5], curvature: [] },
      ]);
      const method = createMethod("gradient-l1", objective.trainables, { ...PLAIN, l1Weight: 0.1 });
      // g = (0.5, 3.5), H (1, 1) = (1, 2); down (0.6, 3.7).
      const report = method.step(objective, [], 0, plainRate(0.1));
      expect(objective.calls.map(({ updateStatistics }) => updateStatistics)).toEqual([true, false]);
      const [[x] = [], [y] = []] = objective.calls[1]?.point ?? [];
      expect(x).toBeCloseTo(1 + 0.3 / Math.sqrt(2), 6);
      expect(y).toBeCloseTo(1.5 + 0.3 / Math.sqrt(2), 6);
      expect(report.loss).toBeCloseTo((0.5 + 1.5 * 3.5) / 2, 5);
      // A difference over 0.2 of gradients that float32 holds to 2e-7.
      expect(objective.point()[0]?.[0]).toBeCloseTo(1 - 0.06, 4);
      expect(objective.point()[1]?.[0]).toBeCloseTo(1.5 - 0.37, 4);
      objective.dispose();
    });
  });
}

describe("a step", () => {
  beforeAll(() => setTestBackend("cpu"));

  test("leaves weights without a gradient, scales and zero points where they are in the second pass", () => {
    const objective = new Quadratic([
      { name: "w", start: [3, 1, -2], curvature: [1, 1, 1] },
      { name: "q/scale", role: "scale", start: [12], curvature: [1] },
      { name: "q/zero-point", role: "zero-point", start: [7], curvature: [1] },
    ]);
    const method = createMethod("gradient-l1", objective.trainables, PLAIN);
    method.step(objective, [[0, 1, 0], [0], [0]], 0, plainRate(0.1));
    const [w = [], scale, zeroPoint] = objective.calls[1]?.point ?? [];
    expect(w[0]).toBeCloseTo(3 + 0.3 / Math.sqrt(2), 6);
    expect(w[1]).toBe(1);
    expect(w[2]).toBeCloseTo(-2 - 0.3 / Math.sqrt(2), 6);
    expect([scale, zeroPoint]).toEqual([[12], [7]]);
    objective.dispose();
  });

  test("is erm's, of one pass, before l1Start and where no weight has a gradient is no step", () => {
    const sketch = { name: "w", start: [3, 2], curvature: [1, 2] };
    const [own, plain] = [new Quadratic([sketch]), new Quadratic([sketch])];
    const method = createMethod("gradient-l1", own.trainables, { ...PLAIN, l1Start: 2 });
    const erm = createMethod("erm", plain.trainables, PLAIN);
    for (const step of [0, 1]) {
      method.step(own, [[0, 0]], step, plainRate(0.1));
      erm.step(plain, [[0, 0]], step, plainRate(0.1));
    }
    expect(own.calls).toHaveLength(2);
    expect(own.point()).toEqual(plain.point());
    method.step(own, [[0, 0]], 2, plainRate(0.1));
    expect(own.calls).toHaveLength(4);
    const still = own.point();
    method.step(own, still, 3, plainRate(0.1));
    expect(own.point()).toEqual(still);
    own.dispose();
    plain.dispose();
  });

  test("finds, of weights that fit equally well, those whose loss rises least when they are moved", () => {
    /** `(x y - c)^2 / 2`, c 0 and 2 in turn: the mean is least wherever x y = 1, its gradients smallest at x = y. */
    class Valley extends Quadratic {
      protected override gradientsAt([[c = 0] = []]: readonly (readonly number[])[]): Evaluated {
        const [x = 0, y = 0] = this.point().flat();
        const rest = x * y - c;
        return { loss: rest ** 2 / 2, gradients: [tf.tensor1d([rest * y]), tf.tensor1d([rest * x])] };
      }
    }
    const ends = [0, 0.3].map((l1Weight) => {
      const objective = new Valley([
        { name: "x", start: [4], curvature: [] },
        { name: "y", start: [0.25], curvature: [] },
      ]);
      const options = { ...PLAIN, steps: 2000, l1Weight };
      const method = createMethod("gradient-l1", objective.trainables, options);
      for (let step = 0; step < 2000; step++) {
        method.step(objective, [[step % 2 === 0 ? 0 : 2]], step, plainRate(0.005));
      }
      const [x = 0, y = 0] = objective.point().flat();
      objective.dispose();
      return [x / y, x * y] as const;
    });
    const [[plain], [flat, product]] = ends as [readonly [number, number], readonly [number, number]];
    expect(plain).toBeGreaterThan(8);
    expect(flat).toBeLessThan(3);
    expect(product).toBeGreaterThan(0.3);
  });
});
