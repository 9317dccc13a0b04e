// Biases in training against what they must be when they are deployed: integers of the sum's unit.

import * as tf from "@tensorflow/tfjs";
import { beforeAll, expect, it } from "vitest";
import { useBackend } from "../../src/train/backends/backends.js";
import { roundBeta, roundBias } from "../../src/train/round-bias.js";
import { describeOnBackends } from "./support/backends.js";

const UNIT = Float32Array.of(0.5, 0.25, 1e-9);

describeOnBackends((backend) => {
  beforeAll(() => useBackend(backend));

  it("rounds a bias to its unit, ties to even, and leaves one alone that is too many units", () => {
    const bias = tf.tensor([0.74, -0.375, 3]);
    expect([...roundBias(bias, UNIT).dataSync()]).toEqual([0.5, -0.5, 3]);
    expect([...roundBias(bias, Float32Array.of(1)).dataSync()]).toEqual([1, 0, 3]);
    const gradient = tf.grad((x) => roundBias(x, UNIT))(bias, tf.tensor([1, 2, 3]));
    expect([...gradient.dataSync()]).toEqual([1, 2, 3]);
  });

  it("moves beta to where the folded bias is an integer of its unit, and leaves it where nothing is folded", () => {
    const beta = [0.3, -1.7, 0.4];
    const norm = {
      gamma: Float32Array.of(2, 0.5, 0),
      mean: Float32Array.of(0.1, 4, 1),
      variance: Float32Array.of(0.24, 0.99, 1),
      epsilon: 0.01,
      own: Float32Array.of(0.2, 0, 0),
    };
    const moved = roundBeta(tf.tensor(beta), norm, Float32Array.of(0.5, 0.25, 0.25)).dataSync();
    // factor = gamma / sqrt(variance + epsilon) = 4, 0.5: bias = 0.075 - 0.1 + 0.2 = 0.175 and -3.4 - 4 = -7.4.
    expect(moved[0]).toBeCloseTo(4 * (0 + 0.1 - 0.2), 5);
    expect(moved[1]).toBeCloseTo(0.5 * (-7.5 + 4), 5);
    expect(moved[2]).toBe(Math.fround(0.4));
  });
});
