import { beforeAll, describe, expect, test } from "vitest";
import { createMethod } from "../../../src/train/methods/create-method.js";
import { bitsOfStep } from "../../../src/train/methods/eq-net.js";
import type { Evaluated, EvaluateOptions } from "../../../src/train/objective.js";
import { Quadratic } from "../support/objectives.js";
import { setTestBackend } from "../support/tfjs-backends.js";

/** Adam without memory, and so large an epsilon that a step is `rate * g` to a millionth of |g|. */
const PLAIN = { steps: 100, beta1: 0, beta2: 0, epsilon: 1e6 };
const plainRate = (rate: number): number => rate * 1e6;

/** A weight that is drawn to the number of bits, and at each of 2, 4 and 8 a scale that is drawn to 0 at these alone. */
class Elastic extends Quadratic {
  readonly asked: (number | undefined)[] = [];

  constructor() {
    super([
      { name: "w", start: [0], curvature: [1] },
      ...[8, 4, 2].map((bits) => ({
        name: `q/scale@${bits}`,
        role: "scale" as const,
        start: [1],
        curvature: [1],
      })),
    ]);
    for (const trainable of this.trainables) {
      const [, bits] = trainable.name.split("@");
      if (bits !== undefined) Object.assign(trainable, { bits: Number(bits) });
    }
  }

  override evaluate(batch: readonly (readonly number[])[], options: EvaluateOptions): Evaluated {
    this.asked.push(options.bits);
    const centres = this.trainables.map(({ role, bits, variable }) => {
      if (role === "weight") return [options.bits ?? 0];
      return bits === options.bits ? [0] : [...variable.dataSync()];
    });
    return super.evaluate(batch.length > 0 ? batch : centres, options);
  }
}

beforeAll(() => setTestBackend("cpu"));

describe("a step of eq-net", () => {
  test("is down the mean of the gradients at the most bits, the fewest and some between", () => {
    const objective = new Elastic();
    const method = createMethod("eq-net", objective.trainables, { ...PLAIN, bitSet: [2, 4, 8] });
    const { loss } = method.step(objective, [], 0, plainRate(0.3));
    expect(objective.asked).toEqual([8, 4, 2]);
    const [[w], ...scales] = objective.point() as [number[], ...number[][]];
    // Mean of -8, -4 and -2; a scale has a third of its gradient 1.
    expect(w).toBeCloseTo((0.3 * (8 + 4 + 2)) / 3, 4);
    for (const [scale] of scales) expect(scale).toBeCloseTo(1 - 0.1, 4);
    expect(loss).toBeCloseTo((64 + 16 + 4) / 6 + 0.5, 4);
    objective.dispose();
  });

  test("moves no scale of other bits, though it had momentum", () => {
    const objective = new Elastic();
    const options = { steps: 100, bitSet: [2, 4, 8] };
    const both = createMethod("eq-net", objective.trainables, options);
    both.step(objective, [], 0, 0.1);
    const two = createMethod("eq-net", objective.trainables, { ...options, bitSet: [2, 8] });
    two.restore(both.state());
    objective.asked.length = 0;
    const [, , before] = objective.point();
    two.step(objective, [], 1, 0.1);
    const [, most, between, fewest] = objective.point();
    expect(objective.asked).toEqual([8, 2]);
    expect(between).toEqual(before);
    expect(most).not.toEqual(before);
    expect(fewest).toEqual(most);
    objective.dispose();
  });

  test("in full precision is erm's, of one pass at no bits", () => {
    const [own, plain] = [new Elastic(), new Elastic()];
    const method = createMethod("eq-net", own.trainables, { ...PLAIN, plainSteps: 1, bitSet: [2, 8] });
    const erm = createMethod("erm", plain.trainables, PLAIN);
    method.step(own, [[1], [1], [1], [1]], 0, plainRate(0.1));
    erm.step(plain, [[1], [1], [1], [1]], 0, plainRate(0.1));
    expect(own.asked).toEqual([undefined]);
    expect(own.point()[0]).toEqual(plain.point()[0]);
    own.dispose();
    plain.dispose();
  });
});

test("which bits are between is drawn by seed and step alone, each as often", () => {
  const set = [2, 3, 4, 5, 8];
  const counts = new Map<number, number>();
  for (let step = 0; step < 3000; step++) {
    const [most, between = 0, fewest] = bitsOfStep(set, 5, step);
    expect([most, fewest]).toEqual([8, 2]);
    counts.set(between, (counts.get(between) ?? 0) + 1);
  }
  expect([...counts.keys()].sort((a, b) => a - b)).toEqual([3, 4, 5]);
  // Five standard deviations of 3000 throws of a die of three sides.
  for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(130);
  expect(bitsOfStep(set, 5, 17)).toEqual(bitsOfStep(set, 5, 17));
  const rows = [5, 6].map((seed) => Array.from({ length: 20 }, (_, step) => bitsOfStep(set, seed, step)[1]));
  expect(rows[0]).not.toEqual(rows[1]);
  expect(bitsOfStep([3, 8], 0, 0)).toEqual([8, 3]);
});
