// The integer-valued network: sums of integers up to 2^24 and the roundings around them must be the same on every
// backend, element by element. The oracle is the reference interpreter, which sums in double.

import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { float32, sizeOf, type Tensor } from "../../../src/base/tensor.js";
import type { Attribute } from "../../../src/graph/graph.js";
import { openGraph } from "../../../src/runtime/reference.js";
import { useBackend } from "../../../src/train/backends/backends.js";
import { asIs } from "../../../src/train/ops/op.js";
import { Random } from "../../runtime/sketch.js";
import { BACKENDS } from "../support/backends.js";
import { computed, heldInputs, nodeOf, type OperatorCase, WAYS } from "./operator-cases.js";

const random = new Random(5);

/** Whole numbers in [high / 2, high]: all of one sign, so that sums come near their limit. */
function whole(shape: readonly number[], high: number): Tensor<"float32"> {
  const low = Math.ceil(high / 2);
  return float32(
    shape,
    Float32Array.from({ length: sizeOf(shape) }, () => random.integer(low, high)),
  );
}

/** One sign a filter, so that sums are large of both signs. */
function weights(shape: readonly number[], taps: number, filterAxis: number): Tensor<"float32"> {
  const { data } = whole(shape, Math.floor(2 ** 24 / taps / 255) - 1);
  const inner = sizeOf(shape.slice(filterAxis + 1));
  const count = shape[filterAxis] as number;
  return float32(
    shape,
    data.map((w, i) => ((Math.floor(i / inner) % count) % 3 === 0 ? -w : w)),
  );
}

function conv(
  x: readonly number[],
  w: readonly number[],
  attributes: Readonly<Record<string, Attribute>> = {},
): OperatorCase {
  const kernel = weights(w, sizeOf(w.slice(1)), 0);
  return { op: "Conv", inputs: [whole(x, 255), kernel, whole([w[0] as number], 200)], attributes };
}

const CASES: readonly (readonly [title: string, each: OperatorCase])[] = [
  ["a 3x3 convolution", conv([2, 64, 14, 14], [32, 64, 3, 3], { pads: [1, 1, 1, 1] })],
  ["a 3x3 convolution of few channels", conv([2, 3, 17, 17], [16, 3, 3, 3])],
  [
    "a 3x3 convolution of strides",
    conv([2, 32, 15, 15], [24, 32, 3, 3], { strides: [2, 2], pads: [0, 0, 1, 1] }),
  ],
  ["a 5x5 convolution", conv([2, 8, 12, 12], [8, 8, 5, 5], { pads: [2, 2, 2, 2] })],
  [
    "a 7x7 convolution of strides",
    conv([1, 3, 33, 33], [16, 3, 7, 7], { strides: [2, 2], pads: [3, 3, 3, 3] }),
  ],
  ["a 1x1 convolution", conv([2, 128, 9, 9], [64, 128, 1, 1])],
  ["a 1x1 convolution of strides", conv([2, 96, 9, 9], [64, 96, 1, 1], { strides: [2, 2] })],
  ["a convolution to one filter", conv([2, 32, 9, 9], [1, 32, 3, 3])],
  ["a dilated convolution", conv([2, 16, 13, 13], [8, 16, 3, 3], { dilations: [2, 2], pads: [2, 2, 2, 2] })],
  ["a convolution in time", conv([2, 16, 40], [8, 16, 5], { strides: [2] })],
  ["a depthwise convolution", conv([2, 32, 14, 14], [32, 1, 3, 3], { group: 32, pads: [1, 1, 1, 1] })],
  [
    "a depthwise convolution of strides",
    conv([2, 24, 15, 15], [24, 1, 3, 3], { group: 24, strides: [2, 2] }),
  ],
  ["a depthwise convolution of several filters", conv([2, 8, 9, 9], [24, 1, 5, 5], { group: 8 })],
  [
    "a transposed convolution",
    {
      op: "ConvTranspose",
      inputs: [whole([2, 32, 7, 7], 255), weights([32, 8, 3, 3], 32 * 9, 1)],
      attributes: { strides: [2, 2], pads: [0, 0, 1, 1] },
    },
  ],
  [
    "a dense layer",
    {
      op: "Gemm",
      inputs: [whole([9, 512], 255), weights([33, 512], 512, 0), whole([33], 200)],
      attributes: { transB: 1 },
    },
  ],
  ["a product of matrices", { op: "MatMul", inputs: [whole([3, 9, 64], 255), weights([3, 64, 7], 64, 0)] }],
  [
    "a sum over space",
    { op: "ReduceSum", inputs: [whole([2, 16, 32, 32], 16383), null], attributes: { axes: [2, 3] } },
  ],
];

const results = new Map<OperatorCase, Tensor>();
beforeAll(async () => {
  for (const [, each] of CASES) {
    const session = await openGraph(nodeOf(each).graph, "case");
    const feeds = each.inputs.flatMap((input, i) =>
      input && "data" in input ? [[`x${i}`, input] as const] : [],
    );
    const { y } = await session.run(Object.fromEntries(feeds));
    results.set(each, y as Tensor);
  }
});

for (const { name, options } of BACKENDS) {
  describe(`on ${name}`, options, () => {
    beforeAll(async () => {
      await useBackend(name);
    });

    test.each(CASES)("%s of integers is exact", (_, each) => {
      const want = results.get(each)?.data as Float32Array;
      const largest = want.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      expect(largest).toBeGreaterThan(2 ** 22);
      expect(largest).toBeLessThan(2 ** 24);
      for (const way of WAYS) {
        const got = tf.tidy(() => {
          const { node } = nodeOf(each);
          return asIs(computed(each, node, heldInputs(each, node, way))).dataSync();
        });
        expect(got.length).toBe(want.length);
        expect(
          got.findIndex((x, i) => x !== want[i]),
          way,
        ).toBe(-1);
      }
    });

    test("rounds halves to even", () => {
      const halves = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 126.5, 127.5, 4194303.5, 0.49999997];
      const got = tf.tidy(() => {
        const each = { op: "Round", inputs: [float32([halves.length], halves)] };
        const { node } = nodeOf(each);
        return Array.from(
          computed(each, node, heldInputs(each, node, "as-is")).tensor.dataSync(),
          (x) => x + 0,
        );
      });
      expect(got).toEqual([-2, -2, 0, 0, 2, 2, 126, 128, 4194304, 0]);
    });

    test("divides and multiplies with one rounding", () => {
      const a = Float32Array.from({ length: 5000 }, () => 2000 * random.next() - 1000);
      const b = Float32Array.from({ length: 5000 }, () => 0.001 + random.next());
      for (const [op, f] of [
        ["Div", (x: number, y: number): number => x / y],
        ["Mul", (x: number, y: number): number => x * y],
      ] as const) {
        for (const size of [5000, 1]) {
          const each = { op, inputs: [float32([5000], a), float32([size], b.slice(0, size))] };
          const got = tf.tidy(() => {
            const { node } = nodeOf(each);
            return computed(each, node, heldInputs(each, node, "as-is")).tensor.dataSync();
          });
          const want = a.map((x, i) => f(x, b[i % size] as number));
          expect(
            got.findIndex((x, i) => x !== want[i]),
            `${op} ${size}`,
          ).toBe(-1);
        }
      }
    });
  });
}
