// Orders of axes: what moves nothing must move nothing, and weights come back as they went.

import * as tf from "@tensorflow/tfjs";
import * as fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { float32, sizeOf, transpose } from "../../../src/base/tensor.js";
import type { Attribute, Node } from "../../../src/graph/graph.js";
import { useBackend } from "../../../src/train/backends/backends.js";
import { kernelLayout, kernelTensor } from "../../../src/train/ops/kernel-layout.js";
import { asIs, channelsLast, type HeldTensor, hold } from "../../../src/train/ops/op.js";
import { OPS } from "../../../src/train/ops/ops.js";

beforeAll(async () => {
  await useBackend("wasm");
});

function node(op: string, attributes: Readonly<Record<string, Attribute>> = {}): Node {
  return { op, domain: "", attributes, inputs: [], outputs: [], origin: "layer" };
}

function run(
  op: string,
  input: HeldTensor,
  attributes: Readonly<Record<string, Attribute>> = {},
): HeldTensor {
  const [y] = OPS[op]?.(node(op, attributes), [input], () => undefined) ?? [];
  return y as HeldTensor;
}

const counting = (shape: readonly number[]): Float32Array =>
  Float32Array.from({ length: sizeOf(shape) }, (_, i) => i);

const held = (shape: readonly number[]): HeldTensor => hold(tf.tensor(counting(shape), [...shape]), "as-is");

describe("a transposition between the two orders", () => {
  test.each([
    [
      [2, 4, 3],
      [0, 2, 1],
    ],
    [
      [2, 4, 5, 3],
      [0, 3, 1, 2],
    ],
    [
      [2, 4, 5, 6, 3],
      [0, 4, 1, 2, 3],
    ],
  ])("of shape %j only renames", (shape, toFirst) => {
    tf.tidy(() => {
      const image = hold(tf.tensor(counting(shape), shape), "as-is");
      const first = run("Transpose", image, { perm: toFirst });
      expect(first.layout).toBe("channels-last");
      expect(first.tensor).toBe(image.tensor);
      const back = run("Transpose", first, { perm: toFirst.map((_, axis) => toFirst.indexOf(axis)) });
      expect(back.layout).toBe("as-is");
      expect(back.tensor).toBe(image.tensor);
    });
  });
});

test("axes of size 1 move without a transposition", async () => {
  const pooled = hold(tf.tensor(counting([2, 1, 1, 3]), [2, 1, 1, 3]), "channels-last");
  const { kernels } = await tf.profile(() => asIs(pooled));
  expect(kernels.map(({ name }) => name)).toEqual(["Reshape"]);
  expect(asIs(pooled).shape).toEqual([2, 3, 1, 1]);
  expect([...asIs(pooled).dataSync()]).toEqual([0, 1, 2, 3, 4, 5]);
});

test("below rank 3 there is one order", () => {
  tf.tidy(() => {
    const x = tf.tensor2d([
      [1, 2],
      [3, 4],
    ]);
    expect(hold(x, "channels-last").layout).toBe("as-is");
    expect(channelsLast(hold(x, "as-is"))).toBe(x);
  });
});

test("a function of one element keeps the order, and a sum with a constant a channel too", () => {
  tf.tidy(() => {
    const x = hold(tf.tensor(counting([1, 2, 2, 3]), [1, 2, 2, 3]), "channels-last");
    expect(run("Relu", x).layout).toBe("channels-last");
    const bias = hold(tf.tensor([10, 20, 30], [3, 1, 1]), "as-is");
    const [sum] = OPS["Add"]?.(node("Add"), [x, bias], () => undefined) ?? [];
    expect(sum?.layout).toBe("channels-last");
    expect([...(sum?.tensor.dataSync() ?? [])]).toEqual([10, 21, 32, 13, 24, 35, 16, 27, 38, 19, 30, 41]);
  });
});

describe("a weight in the layout of tfjs's kernels", () => {
  test.each([
    ["Conv", {}, [5, 4, 3, 2], [3, 2, 4, 5]],
    ["Conv", {}, [5, 4, 3], [3, 4, 5]],
    ["Conv", {}, [5, 4, 3, 2, 6], [3, 2, 6, 4, 5]],
    ["Conv", { group: 4 }, [8, 1, 3, 2], [3, 2, 4, 2]],
    ["Conv", { group: 4 }, [4, 1, 3], [3, 4, 1]],
    ["ConvTranspose", {}, [4, 5, 3, 2], [3, 2, 5, 4]],
    ["Gemm", { transB: 1 }, [5, 4], [4, 5]],
    ["Gemm", {}, [4, 5], [4, 5]],
    ["MatMul", {}, [4, 5], [4, 5]],
  ] as const)("%s %j: %j is %j, as data and as a tensor", (op, attributes, shape, kernelShape) => {
    const weight = float32(shape, counting(shape));
    const each = node(op, attributes);
    const kernel = kernelLayout(each, weight);
    expect(kernel.shape).toEqual(kernelShape);
    tf.tidy(() => {
      const tensor = kernelTensor(each, hold(tf.tensor(weight.data, [...shape]), "as-is"));
      expect(tensor.shape).toEqual(kernelShape);
      expect([...tensor.dataSync()]).toEqual([...kernel.data]);
    });
  });

  test("is the graph's own transposed: [R, S, C, K] of [K, C, R, S]", () => {
    fc.assert(
      fc.property(fc.tuple(...[1, 2, 3, 4].map(() => fc.integer({ min: 1, max: 5 }))), (shape) => {
        const weight = float32(shape, counting(shape));
        expect(kernelLayout(node("Conv"), weight).data).toEqual(transpose(weight, [2, 3, 1, 0]).data);
      }),
    );
  });

  test("has filter c M + m of a depthwise convolution at channel c, multiplier m", () => {
    const weight = float32([6, 1, 1, 1], counting([6, 1, 1, 1]));
    // C = 3, M = 2: [1, 1, 3, 2] holds the filters in their order.
    expect([...kernelLayout(node("Conv", { group: 3 }), weight).data]).toEqual([0, 1, 2, 3, 4, 5]);
  });
});

describe("what training does not compute is an error that names the layer", () => {
  test.each([
    [
      "Conv",
      { group: 2 },
      [
        [1, 4, 5, 5],
        [4, 2, 3, 3],
      ],
      /layer \(Conv\).*groups.*unsupported-layer/,
    ],
    [
      "Conv",
      { strides: [2, 2], dilations: [2, 2] },
      [
        [1, 2, 9, 9],
        [4, 2, 3, 3],
      ],
      /dilation together with strides/,
    ],
    [
      "ConvTranspose",
      { group: 2 },
      [
        [1, 4, 5, 5],
        [4, 2, 3, 3],
      ],
      /groups/,
    ],
    [
      "ConvTranspose",
      { dilations: [2, 2] },
      [
        [1, 4, 5, 5],
        [4, 2, 3, 3],
      ],
      /dilation/,
    ],
    ["MaxPool", { kernel_shape: [2, 2], dilations: [2, 2] }, [[1, 4, 5, 5]], /dilation/],
    ["AveragePool", { kernel_shape: [2, 2], strides: [2, 2], ceil_mode: 1 }, [[1, 4, 5, 5]], /ceil_mode/],
    ["Pad", { mode: "reflect" }, [[1, 4, 5, 5]], /reflect/],
    ["Resize", { coordinate_transformation_mode: "half_pixel" }, [[1, 4, 5, 5]], /scales/],
    ["MatMul", {}, [[4], [4, 3]], /vector/],
    [
      "Conv",
      {},
      [
        [1, 4, 5, 5],
        [4, 3, 3, 3],
      ],
      /invalid-graph/,
    ],
    [
      "Conv",
      {},
      [
        [1, 4, 2, 2],
        [4, 4, 3, 3],
      ],
      /does not fit/,
    ],
  ] as const)("%s %j of %j", (op, attributes, shapes, message) => {
    tf.tidy(() => {
      expect(() => OPS[op]?.(node(op, attributes), shapes.map(held), () => undefined)).toThrow(message);
    });
  });
});
