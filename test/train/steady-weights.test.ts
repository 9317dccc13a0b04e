import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { weightSpec } from "../../src/quant/spec.js";
import { createMethod } from "../../src/train/methods/create-method.js";
import type { Evaluated, EvaluateOptions } from "../../src/train/objective.js";
import { Quantizer } from "../../src/train/quantizers/quantizer.js";
import { type SteadySettings, SteadyWeights } from "../../src/train/steady-weights.js";
import { noise, Quadratic } from "./support/objectives.js";
import { setTestBackend } from "./support/tfjs-backends.js";

beforeAll(() => setTestBackend("cpu"));

const DAMPEN: SteadySettings = { kind: "dampen", dampening: 0.5, threshold: 0.01, steps: 100 };
const FREEZE: SteadySettings = { ...DAMPEN, kind: "freeze", steps: 400 };

/** A 3-bit weight of two channels (the last axis), of scales 1 and 0.5, and one that is not quantized. */
class Rounded extends Quadratic {
  readonly quantizer: Quantizer;
  readonly steady: SteadyWeights;

  constructor(start: readonly number[], settings: SteadySettings, bits = 3) {
    super([
      { name: "conv/kernel", start, shape: [start.length / 2, 2], curvature: start.map(() => 1) },
      { name: "conv/bias", start: [0.3], curvature: [1] },
    ]);
    this.quantizer = new Quantizer({
      id: "conv/kernel",
      role: "weight",
      layer: "conv",
      spec: weightSpec(bits, 3),
      shape: [1, 2],
      parameterization: "linear",
    });
    this.quantizer.set({ scale: Float32Array.of(1, 0.5), zeroPoint: Int32Array.of(0, 0) });
    this.steady = new SteadyWeights(this.trainables, [this.quantizer], settings);
  }

  /** As straight-through: the gradient at the rounded weights. */
  protected override gradientsAt(centres: readonly (readonly number[])[]): Evaluated {
    const [weight] = this.trainables;
    const latent = weight?.variable.clone() as tf.Tensor;
    tf.tidy(() => weight?.variable.assign(this.quantizer.apply(latent)));
    const evaluated = super.gradientsAt(centres);
    weight?.variable.assign(latent);
    latent.dispose();
    this.steady.dampen(evaluated.gradients);
    return evaluated;
  }

  override evaluate(batch: readonly (readonly number[])[], options: EvaluateOptions): Evaluated {
    return super.evaluate(batch, options);
  }

  override constrain(): void {
    super.constrain();
    this.steady.hold();
  }

  get integers(): number[] {
    const tensor = this.quantizer.integers(this.trainables[0]?.variable as tf.Tensor);
    const integers = [...tensor.dataSync()];
    tensor.dispose();
    return integers;
  }
}

/** @returns flips of each weight in the last half of the steps */
function trainOn(objective: Rounded, centre: readonly number[], steps: number, rate: number): number[] {
  const method = createMethod("lsq", objective.trainables, { steps, beta1: 0, beta2: 0, epsilon: 1e6 });
  const flips = centre.map(() => 0);
  let before = objective.integers;
  for (let step = 0; step < steps; step++) {
    method.step(objective, [centre, [0]], step, rate * 1e6);
    objective.steady.stepped();
    const now = objective.integers;
    if (step >= steps / 2)
      now.forEach((q, i) => (flips[i] = (flips[i] as number) + (q === before[i] ? 0 : 1)));
    before = now;
  }
  return flips;
}

/** Of weights of 1.3 and 1.3, which are rounded to 1 and 1.5, two that are clipped, and a bias. */
const dampened = (lambda: number): number[] => [1 + 2 * lambda * 0.3, 1 - 2 * lambda * 0.2, 1, 1, 1];

describe("a dampened weight", () => {
  test("has the gradient of lambda times its squared distance to the middle of its step, computed by hand", () => {
    // Ranges -4..3 times 1 and 0.5: 1.3 -> 1, 1.3 -> 1.5, 9 is clipped to 3, -9 to -2.
    const { trainables, steady } = new Rounded([1.3, 1.3, 9, -9], DAMPEN);
    const gradientAt = (step: number): number[] => {
      while (steady.step < step) steady.stepped();
      const gradients = trainables.map(({ variable }) => tf.onesLike(variable));
      steady.dampen(gradients);
      const found = [...(gradients[0] as tf.Tensor).dataSync(), ...(gradients[1] as tf.Tensor).dataSync()];
      tf.dispose(gradients);
      return found;
    };
    expect(gradientAt(0)).toEqual([1, 1, 1, 1, 1]);
    // Lambda is half its last value half way, and its last value at the end.
    gradientAt(50).forEach((g, i) => expect(g).toBeCloseTo(dampened(0.25)[i] as number, 6));
    gradientAt(100).forEach((g, i) => expect(g).toBeCloseTo(dampened(0.5)[i] as number, 6));
  });

  test("stops flipping where it would go on for ever without", () => {
    // 0.45 of a step from an integer: the weight goes to and fro around the middle between two.
    const centre = [0.45, 0.22, 1.45, 0.72];
    const plain = new Rounded([0.4, 0.2, 1.4, 0.7], { ...DAMPEN, dampening: 1e-9, steps: 400 });
    const quiet = new Rounded([0.4, 0.2, 1.4, 0.7], { ...DAMPEN, dampening: 4, steps: 400 });
    const [without, with_] = [trainOn(plain, centre, 400, 0.02), trainOn(quiet, centre, 400, 0.02)];
    for (const count of without) expect(count).toBeGreaterThan(4);
    expect(with_).toEqual([0, 0, 0, 0]);
  });
});

describe("a frozen weight", () => {
  test("is held at the rounded mean of its integers once it flips too often, and follows its scale", () => {
    const centre = [0.45, 0.22, 3, -2];
    const objective = new Rounded([0.4, 0.2, 3, -2], FREEZE);
    const flips = trainOn(objective, centre, 400, 0.05);
    // Both of the first row are between 0 and 1, nearer to 0; the others rest on an integer.
    expect(flips).toEqual([0, 0, 0, 0]);
    expect(objective.steady.heldShare).toBe(0.5);
    const held = objective.integers;
    expect(held.slice(2)).toEqual([3, -4]);
    for (const q of held.slice(0, 2)) expect([0, 1]).toContain(q);
    objective.quantizer.set({ scale: Float32Array.of(0.7, 0.3), zeroPoint: Int32Array.of(0, 0) });
    objective.constrain();
    const [first, second] = objective.point()[0] as [number, number];
    expect(first).toBeCloseTo(0.7 * (held[0] as number), 6);
    expect(second).toBeCloseTo(0.3 * (held[1] as number), 6);
    expect(objective.integers.slice(0, 2)).toEqual(held.slice(0, 2));
  });

  test("takes the mean of its integers, not the one that it is at", () => {
    const objective = new Rounded([0, 0, 0, 0], { ...FREEZE, threshold: 0.02, steps: 2000 });
    const put = (q: number): void => {
      tf.tidy(() => objective.trainables[0]?.variable.assign(tf.tensor([q, 0, 0, 0], [2, 2])));
      objective.steady.stepped();
    };
    // At 1 a step of four, so that the mean stays below a half.
    let steps = 0;
    while (objective.steady.heldShare === 0 && steps < 2000) put(steps++ % 4 === 3 ? 1 : 0);
    expect(objective.steady.heldShare).toBe(0.25);
    expect(objective.integers[0]).toBe(0);
    put(1);
    expect(objective.integers[0]).toBe(0);
  });

  test("is none while the threshold is at its first value and a weight flips less often", () => {
    const objective = new Rounded([0, 0, 0, 0], { ...FREEZE, steps: 1e6 });
    for (let step = 0; step < 300; step++) {
      const q = step % 40 < 20 ? 0 : 1;
      tf.tidy(() => objective.trainables[0]?.variable.assign(tf.tensor([q, 0, 0, 0], [2, 2])));
      objective.steady.stepped();
    }
    expect(objective.steady.heldShare).toBe(0);
  });

  test("goes on from its state bit for bit", () => {
    const next = noise(4);
    const moves = Array.from({ length: 300 }, () => [next(), next() / 2, next(), next() / 2]);
    const walk = (objective: Rounded, from: number, to: number): void => {
      for (const move of moves.slice(from, to)) {
        tf.tidy(() => objective.trainables[0]?.variable.assign(tf.tensor(move, [2, 2])));
        objective.steady.stepped();
      }
    };
    const whole = new Rounded([0, 0, 0, 0], FREEZE);
    walk(whole, 0, 300);
    expect(whole.steady.heldShare).toBeGreaterThan(0);
    for (const cut of [0, 1, 150]) {
      const before = new Rounded([0, 0, 0, 0], FREEZE);
      walk(before, 0, cut);
      const after = new Rounded([0, 0, 0, 0], FREEZE);
      const { arrays, values } = before.steady.state();
      after.steady.restore({ arrays, values: JSON.parse(JSON.stringify(values)) as Record<string, unknown> });
      walk(after, cut, 300);
      expect(after.steady.state()).toEqual(whole.steady.state());
      expect(after.point()).toEqual(whole.point());
    }
  });
});

test("weights of more than 4 bits are left alone, and nothing else is refused", () => {
  expect(() => new Rounded([0, 0], DAMPEN, 5)).toThrow(/oscillation: got dampen, but no weights have 4 bits/);
});

test("no tensor is left over", () => {
  for (const settings of [DAMPEN, FREEZE]) {
    const objective = new Rounded([0.4, 0.2, 1.4, 0.7], settings);
    trainOn(objective, [0.45, 0.22, 1.45, 0.72], 20, 0.05);
    const before = tf.memory().numTensors;
    trainOn(objective, [0.45, 0.22, 1.45, 0.72], 200, 0.05);
    expect(tf.memory().numTensors).toBe(before);
    objective.dispose();
    objective.quantizer.dispose();
  }
});
