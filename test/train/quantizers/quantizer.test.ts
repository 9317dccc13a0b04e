// The first scales of a quantizer.

import * as tf from "@tensorflow/tfjs";
import { beforeAll, expect, test } from "vitest";
import { activationSpec, weightSpec } from "../../../src/quant/spec.js";
import { Quantizer, SMALLEST_SCALE } from "../../../src/train/quantizers/quantizer.js";
import { noise } from "../support/objectives.js";
import { setTestBackend } from "../support/tfjs-backends.js";

beforeAll(() => setTestBackend("cpu"));

/** Bell-shaped, as weights are. */
function bell(count: number, seed: number): Float32Array {
  const next = noise(seed);
  return Float32Array.from({ length: count }, () => next() + next() + next());
}

function firstOf(
  values: Float32Array,
  shape: readonly number[],
  options: Partial<ConstructorParameters<typeof Quantizer>[0]>,
): { scale: Float32Array; zeroPoint: number } {
  const quantizer = new Quantizer({
    id: "layer/kernel",
    role: "weight",
    layer: "layer",
    spec: weightSpec(3, 3),
    shape: [],
    parameterization: "linear",
    ...options,
  });
  tf.tidy(() => quantizer.initialize(tf.tensor(values, [...shape])));
  const { scale, zeroPoint } = quantizer.learned();
  quantizer.dispose();
  return { scale, zeroPoint: zeroPoint?.[0] ?? 0 };
}

function squaredError(values: Float32Array, scale: number, low: number, high: number): number {
  const integer = (x: number): number => Math.min(Math.max(Math.round(x / scale), low), high);
  return values.reduce((sum, x) => sum + (x - scale * integer(x)) ** 2, 0);
}

test.each([
  ["a convolution", [3, 3, 4, 5], [1, 1, 1, 5]],
  ["a depthwise convolution", [3, 3, 5, 1], [1, 1, 5, 1]],
])("of the weights of %s are of least squared error, one a channel", (_, shape, scales) => {
  const size = shape.reduce((a, b) => a * b);
  const weights = bell(size, 5).map((w, i) => w * (1 + (i % 5)));
  const { scale } = firstOf(weights, shape, { shape: scales });
  expect(scale).toHaveLength(5);
  scale.forEach((found, k) => {
    const channel = weights.filter((__, i) => i % 5 === k);
    const least = squaredError(channel, found, -4, 3);
    for (let factor = 0.25; factor < 4; factor *= 1.02)
      expect(squaredError(channel, found * factor, -4, 3)).toBeGreaterThan(0.97 * least);
  });
});

test.each(["non-negative", "asymmetric"] as const)(
  "of activations that are %s are of least squared error",
  (range) => {
    const spec = activationSpec(3, range);
    const values = bell(4000, 7).map((x) => (range === "asymmetric" ? x + 0.7 : Math.max(x, 0)));
    const { scale, zeroPoint } = firstOf(values, [4000], { role: "activation", spec });
    const [found = 0] = scale;
    const least = squaredError(values, found, -zeroPoint, 7 - zeroPoint);
    for (let factor = 0.25; factor < 4; factor *= 1.02)
      expect(squaredError(values, found * factor, -zeroPoint, 7 - zeroPoint)).toBeGreaterThan(0.97 * least);
  },
);

test("of weights that are all 0 leave the bias of their channel as it is", () => {
  const weights = bell(8, 3).map((w, i) => (i % 2 === 0 ? 0 : w));
  const { scale } = firstOf(weights, [4, 2], { shape: [1, 2] });
  expect(scale[0]).toBe(SMALLEST_SCALE);
  expect(scale[1]).toBeGreaterThan(0.01);
});
