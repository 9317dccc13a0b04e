// Batch normalization in one pass against its definition written in plain tfjs, values and gradients.

import * as tf from "@tensorflow/tfjs";
import { beforeAll, expect, it } from "vitest";
import { useBackend } from "../../../src/train/backends/backends.js";
import { relu, relu6 } from "../../../src/train/kernels/relu.js";
import { normalize } from "../../../src/train/ops/batch-normalization.js";
import { describeOnBackends } from "../support/backends.js";

const EPSILON = 1e-3;
const SHAPES: readonly (readonly number[])[] = [
  [4, 5, 3, 7],
  [2, 8, 8, 16],
  [9, 3],
  [300, 1],
  [3, 1, 1, 33],
];

describeOnBackends((backend) => {
  beforeAll(() => useBackend(backend));

  it.each(SHAPES)("normalizes by the batch as its definition does, gradients too: shape %j", (...shape) => {
    const { inputs, dy } = operands(shape);
    const statistics = (x: tf.Tensor): [tf.Tensor, tf.Tensor] => {
      const { mean, variance } = tf.moments(
        x,
        shape.slice(1).map((_, axis) => axis),
      );
      return [mean, variance];
    };
    const expected = tf.grads((x, gamma, beta) => {
      const [mean, variance] = statistics(x);
      const scaled = tf.div(tf.sub(x, mean), tf.sqrt(tf.add(variance, EPSILON)));
      return tf.add(tf.mul(scaled, gamma), beta);
    })(inputs, dy);
    let seen: (readonly number[])[] = [];
    const got = tf.grads((x, gamma, beta) =>
      normalize(x, gamma, beta, EPSILON, null, ({ mean, variance }) => {
        seen = [Array.from(mean.dataSync()), Array.from(variance.dataSync())];
      }),
    )(inputs, dy);
    expect(largestDifference(got, expected)).toBeLessThan(2e-5);
    const own = statistics(inputs[0] as tf.Tensor).map((each) => Array.from(each.dataSync()));
    seen.forEach((list, i) => list.forEach((x, c) => expect(x).toBeCloseTo(own[i]?.[c] as number, 4)));
    expect(seen).toHaveLength(2);
  });

  it.each(SHAPES)("normalizes by statistics that stand still, gradients too: shape %j", (...shape) => {
    const { inputs, dy } = operands(shape);
    const channels = shape.at(-1) as number;
    const mean = tf.randomNormal([channels], 0.3, 1, "float32", 5);
    const variance = tf.randomUniform([channels], 0.1, 2, "float32", 6);
    const expected = tf.grads((x, gamma, beta) => {
      const scaled = tf.div(tf.sub(x, mean), tf.sqrt(tf.add(variance, EPSILON)));
      return tf.add(tf.mul(scaled, gamma), beta);
    })(inputs, dy);
    const got = tf.grads((x, gamma, beta) => normalize(x, gamma, beta, EPSILON, { mean, variance }))(
      inputs,
      dy,
    );
    expect(largestDifference(got, expected)).toBeLessThan(2e-5);
  });

  it("finds the variance of values far from 0", () => {
    const x = tf.add(tf.randomNormal([4096, 3], 0, 0.01, "float32", 1), 10);
    const [ones, zeros] = [tf.ones([3]), tf.zeros([3])];
    let variances: number[] = [];
    normalize(x, ones, zeros, EPSILON, null, ({ variance }) => (variances = [...variance.dataSync()]));
    for (const variance of variances) expect(variance / 1e-4).toBeCloseTo(1, 1);
  });

  it("lets the gradient of a rectifier through above 0 alone", () => {
    const dx = tf.grad((x) => relu(x))(
      tf.tensor([-1, 0, 2, 0.5, -3, 4, 1]),
      tf.tensor([1, 2, 3, 4, 5, 6, 7]),
    );
    expect([...dx.dataSync()]).toEqual([0, 0, 3, 4, 0, 6, 7]);
  });

  it("lets the gradient of a rectifier with a ceiling through between 0 and 6 alone", () => {
    const dx = tf.grad((x) => relu6(x))(
      tf.tensor([-1, 2, 5.5, 6.5, -3, 4, 100]),
      tf.tensor([1, 2, 3, 4, 5, 6, 7]),
    );
    expect([...dx.dataSync()]).toEqual([0, 2, 3, 0, 0, 6, 0]);
  });
});

function operands(shape: readonly number[]): { inputs: tf.Tensor[]; dy: tf.Tensor } {
  const channels = shape.at(-1) as number;
  return {
    inputs: [
      tf.randomNormal([...shape], 0.5, 2, "float32", 1),
      tf.randomNormal([channels], 1, 0.5, "float32", 2),
      tf.randomNormal([channels], 0, 1, "float32", 3),
    ],
    dy: tf.randomNormal([...shape], 0, 1, "float32", 4),
  };
}

/** Of the gradients, each relative to its largest element, or to 1 where that is less. */
function largestDifference(got: readonly tf.Tensor[], expected: readonly tf.Tensor[]): number {
  const differences = got.map((gradient, i) => {
    const judge = expected[i] as tf.Tensor;
    const difference = tf.max(tf.abs(tf.sub(gradient, judge))).dataSync()[0] as number;
    const magnitude = tf.max(tf.abs(judge)).dataSync()[0] as number;
    return difference / Math.max(magnitude, 1);
  });
  return Math.max(...differences);
}
