import * as tf from "@tensorflow/tfjs";
import { describe, expect, test } from "vitest";
import { StateReader, StateWriter } from "../../../src/train/methods/method-state.js";
import { Adam } from "../../../src/train/optimizer/adam.js";
import { noise } from "../support/objectives.js";

const options = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

function stepped(adam: Adam, theta: Float32Array, gradients: readonly Float32Array[], rate = 0.01): void {
  for (const gradient of gradients) {
    adam.record(gradient, 1);
    adam.move(theta, rate);
  }
}

function randomGradients(steps: number, length: number): Float32Array[] {
  const next = noise(7);
  return Array.from({ length: steps }, () => Float32Array.from({ length }, next));
}

describe("Adam", () => {
  test("takes the two steps that are computed by hand", () => {
    const adam = new Adam(1, { beta1: 0.5, beta2: 0.75, epsilon: 1 });
    const theta = Float32Array.of(1);
    // m = 1, v = 1, corrected m = 2, v = 4: 1 - 0.3 * 2 / (2 + 1).
    stepped(adam, theta, [Float32Array.of(2)], 0.3);
    expect(theta[0]).toBeCloseTo(0.8, 6);
    // m = 0.5, v = 0.75, corrected by 0.75 and 0.4375: 0.8 - 0.3 * (2/3) / (sqrt(12/7) + 1).
    stepped(adam, theta, [Float32Array.of(0)], 0.3);
    expect(theta[0]).toBeCloseTo(0.8 - 0.2 / (Math.sqrt(12 / 7) + 1), 6);
  });

  test("walks where tfjs's Adam walks, for 60 steps of random gradients", async () => {
    await tf.setBackend("cpu");
    const gradients = randomGradients(60, 5);
    const theta = Float32Array.of(0.5, -1, 2, 0, 1e-3);
    const variable = tf.variable(tf.tensor1d(theta.slice()));
    const oracle = tf.train.adam(0.01, 0.9, 0.999, 1e-8);
    const adam = new Adam(5, options);
    for (const gradient of gradients) {
      stepped(adam, theta, [gradient]);
      oracle.applyGradients([{ name: variable.name, tensor: tf.tensor1d(gradient.slice()) }]);
    }
    const expected = variable.dataSync();
    // The oracle rounds each of its operations to float32; 60 steps move a number by about 0.1.
    theta.forEach((x, i) => expect(Math.abs(x - (expected[i] as number))).toBeLessThan(2e-6));
    expect(Math.abs((theta[0] as number) - 0.5)).toBeGreaterThan(1e-3);
  });

  test("moves only what is chosen, by moments that saw everything", () => {
    const [first, second] = randomGradients(2, 3) as [Float32Array, Float32Array];
    const adam = new Adam(3, options);
    const theta = Float32Array.of(1, 1, 1);
    adam.record(first, 1);
    adam.move(theta, 0.1, Uint8Array.of(1, 0, 1));
    expect(theta[1]).toBe(1);
    expect(theta[0]).not.toBe(1);
    adam.record(second, 1);
    adam.move(theta, 0.1);
    const all = new Adam(3, options);
    const other = Float32Array.of(1, 1, 1);
    all.record(first, 1);
    all.record(second, 1);
    all.move(other, 0.1);
    expect(theta[1]).toBe(other[1]);
  });

  test("does not move before its first gradient, nor by gradients of 0", () => {
    const adam = new Adam(2, options);
    const theta = Float32Array.of(1, -1);
    adam.move(theta, 0.1);
    adam.record(Float32Array.of(0, 0), 1);
    adam.move(theta, 0.1);
    expect([...theta]).toEqual([1, -1]);
  });

  test("goes on from its state bit for bit", () => {
    const gradients = randomGradients(20, 4);
    const straight = Float32Array.of(1, 2, 3, 4);
    stepped(new Adam(4, options), straight, gradients);
    const resumed = Float32Array.of(1, 2, 3, 4);
    const before = new Adam(4, options);
    stepped(before, resumed, gradients.slice(0, 10));
    const writer = new StateWriter();
    before.save("a", writer);
    stepped(before, Float32Array.of(0, 0, 0, 0), gradients);
    const after = new Adam(4, options);
    after.load("a", new StateReader(writer.state()));
    stepped(after, resumed, gradients.slice(10));
    expect(resumed).toEqual(straight);
  });

  test.each([
    ["an array that is not there", { arrays: {}, values: { "a/recorded": 1 } }],
    [
      "moments of another length",
      {
        arrays: { "a/first": new Float32Array(3), "a/second": new Float32Array(2) },
        values: { "a/recorded": 1 },
      },
    ],
    [
      "a moment that is not finite",
      {
        arrays: { "a/first": Float32Array.of(0, Infinity), "a/second": new Float32Array(2) },
        values: { "a/recorded": 1 },
      },
    ],
    [
      "a second moment below 0",
      {
        arrays: { "a/first": new Float32Array(2), "a/second": Float32Array.of(0, -1) },
        values: { "a/recorded": 1 },
      },
    ],
    [
      "half a gradient recorded",
      {
        arrays: { "a/first": new Float32Array(2), "a/second": new Float32Array(2) },
        values: { "a/recorded": 0.5 },
      },
    ],
  ])("refuses a state with %s", (_, state) => {
    const adam = new Adam(2, options);
    expect(() => adam.load("a", new StateReader(state))).toThrow(
      expect.objectContaining({ code: "invalid-data" }),
    );
  });
});
