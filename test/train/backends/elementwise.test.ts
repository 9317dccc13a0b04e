// Elementwise kernels of training against tfjs's plain JavaScript backend.

import * as tf from "@tensorflow/tfjs";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { describeOnBackends } from "../support/backends.js";
import { difference, distinct, forward, gradient, on, type Op, random, TOLERANCE } from "./run-on.js";

const BINARY: Readonly<Record<string, Op>> = {
  add: (a, b) => tf.add(a, b),
  sub: (a, b) => tf.sub(a, b),
  mul: (a, b) => tf.mul(a, b),
  div: (a, b) => tf.div(a, b),
  maximum: (a, b) => tf.maximum(a, b),
  minimum: (a, b) => tf.minimum(a, b),
  equal: (a, b) => tf.cast(tf.equal(a, b), "float32"),
  notEqual: (a, b) => tf.cast(tf.notEqual(a, b), "float32"),
  less: (a, b) => tf.cast(tf.less(a, b), "float32"),
  lessEqual: (a, b) => tf.cast(tf.lessEqual(a, b), "float32"),
  greater: (a, b) => tf.cast(tf.greater(a, b), "float32"),
  greaterEqual: (a, b) => tf.cast(tf.greaterEqual(a, b), "float32"),
};

const ACTIVATIONS: Readonly<Record<string, Op>> = {
  relu: (x) => tf.relu(x),
  relu6: (x) => tf.relu6(x),
  elu: (x) => tf.elu(x),
  selu: (x) => tf.selu(x),
  sigmoid: (x) => tf.sigmoid(x),
  tanh: (x) => tf.tanh(x),
  softplus: (x) => tf.softplus(x),
  leakyRelu: (x) => tf.leakyRelu(x),
};

const prelu: Op = (x, slopes) => tf.prelu(x, slopes);

/** Numbers from where, and, or. */
const masked: Op = (x, y, z) => {
  const [p, q] = [tf.greater(x, 0), tf.greater(y, 0)];
  const both = [tf.logicalAnd(p, q), tf.logicalOr(p, q)].map((mask) => tf.cast(mask, "float32"));
  return tf.add(tf.where(p, z, y), tf.mul(tf.addN(both), 10));
};

/** Shapes that broadcast against [3,5,c]. */
const SHAPES: Readonly<Record<string, (c: number) => number[]>> = {
  whole: (c) => [3, 5, c],
  channel: (c) => [c],
  scalar: () => [],
  column: () => [3, 1, 1],
  ones: (c) => [1, 1, c],
};
const operands = fc.record({
  c: fc.constantFrom(1, 3, 16, 40),
  shapeOf: fc.constantFrom(...Object.values(SHAPES)),
  reversed: fc.boolean(),
  seed: fc.nat(1000),
});

describeOnBackends((name) => {
  test.each(Object.entries(BINARY))(
    "%s of any two that broadcast, bit for bit, not-a-number and infinities too",
    async (_, op) => {
      await fc.assert(
        fc.asyncProperty(operands, async ({ c, shapeOf, reversed, seed }) => {
          const [a, b] = [random([3, 5, c], seed), random(shapeOf(c), seed + 1)];
          // Some equal, some special.
          a.data.forEach((_value, i) => {
            if (i % 3 === 0) a.data[i] = b.data[i % b.data.length] as number;
            if (i % 7 === 1) a.data[i] = [NaN, Infinity, -Infinity][i % 3] as number;
          });
          const inputs = reversed ? [b, a] : [a, b];
          const expected = await on("reference", () => forward(op, inputs));
          expect(difference(await on(name, () => forward(op, inputs)), expected)).toBe(0);
        }),
        { numRuns: 15, seed: 7 },
      );
    },
  );

  test("where, and, or", async () => {
    for (const size of [1, 3, 16, 50, 64, 257]) {
      const inputs = [random([size], 1), random([size], 2), random([size], 3)];
      const expected = await on("reference", () => forward(masked, inputs));
      expect(difference(await on(name, () => forward(masked, inputs)), expected)).toBe(0);
    }
  });

  test("prelu, whatever axes its slopes share, and its gradients", async () => {
    for (const slopes of [[4, 5, 3], [1, 1, 3], [1, 5, 3], [4, 1, 3], [4, 1, 1], [1]]) {
      const inputs = [distinct([2, 4, 5, 3], 3), random(slopes, 4)];
      const expected = await on("reference", () => forward(prelu, inputs));
      expect(difference(await on(name, () => forward(prelu, inputs)), expected)).toBe(0);
      const dy = random([2, 4, 5, 3], 5);
      for (const index of [0, 1]) {
        const wanted = await on("reference", () => gradient(prelu, inputs, index, dy));
        const actual = await on(name, () => gradient(prelu, inputs, index, dy));
        expect(difference(actual, wanted)).toBeLessThan(TOLERANCE);
      }
    }
  });

  test.each(Object.entries(ACTIVATIONS))("the gradient of %s", async (_, op) => {
    const x = distinct([3, 5, 7], 3);
    const dy = random([3, 5, 7], 5);
    const expected = await on("reference", () => gradient(op, [x], 0, dy));
    expect(difference(await on(name, () => gradient(op, [x], 0, dy)), expected)).toBeLessThan(1e-4);
  });
});
