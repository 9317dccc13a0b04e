// Kernels of training against tfjs's plain JavaScript backend, and their gradients against the operations that they
// are gradients of. For what is linear in x with the derivative dx, `<dy, f(v)> = <dx, v>` for every v is exact: a
// finite difference without its error.

import * as tf from "@tensorflow/tfjs";
import * as fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { useBackend } from "../../../src/train/backends/backends.js";
import { describeOnBackends } from "../support/backends.js";
import {
  difference,
  distinct,
  dot,
  forward,
  gradient,
  on,
  type Op,
  random,
  tensorOf,
  TOLERANCE,
  type Values,
} from "./run-on.js";

const RUNS = { numRuns: 15, seed: 7 };

type Pads = "same" | "valid" | [[0, 0], [number, number], [number, number], [0, 0]];

const explicitPads: fc.Arbitrary<Pads> = fc
  .tuple(fc.nat(2), fc.nat(2), fc.nat(2), fc.nat(2))
  .map(([top, bottom, left, right]) => [
    [0, 0],
    [top, bottom],
    [left, right],
    [0, 0],
  ]);

/** A window that fits: sizes, strides and padding of a convolution or pooling. */
const windows = fc.record({
  n: fc.integer({ min: 1, max: 3 }),
  h: fc.integer({ min: 4, max: 9 }),
  w: fc.integer({ min: 4, max: 9 }),
  r: fc.integer({ min: 1, max: 4 }),
  s: fc.integer({ min: 1, max: 4 }),
  strides: fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })),
  pad: fc.oneof(fc.constantFrom<Pads>("same", "valid"), explicitPads),
  c: fc.constantFrom(1, 3, 4, 5, 8, 18),
  k: fc.constantFrom(1, 2, 4, 7, 8, 13, 16),
  seed: fc.nat(1000),
});

describeOnBackends((name) => {
  beforeEach(async () => {
    await useBackend(name);
  });

  /** The forward pass equals the reference, and the gradients are those of what is linear in each input. */
  async function expectLinear(op: Op, inputs: readonly Values[], seed: number): Promise<void> {
    const expected = await on("reference", () => forward(op, inputs));
    const actual = await on(name, () => forward(op, inputs));
    expect(difference(actual, expected)).toBeLessThan(TOLERANCE);
    if (expected.data.length === 0) return;
    const dy = random(expected.shape, seed + 1);
    for (const [index, input] of inputs.entries()) {
      const dx = await on(name, () => gradient(op, inputs, index, dy));
      expect(dx.shape).toEqual(input.shape);
      // With a unit vector at some elements, and with all of them at once.
      const probe = random(input.shape, seed + 2);
      const moved = await on("reference", () => forward(op, inputs.with(index, probe)));
      const [direct, through] = [dot(dy, moved), dot(dx, probe)];
      const size = Math.sqrt(dot(dy, dy) * dot(moved, moved)) + 1;
      expect(Math.abs(direct - through) / size).toBeLessThan(TOLERANCE);
    }
  }

  test("convolutions and their gradients, whatever the window", async () => {
    expect.hasAssertions();
    await fc.assert(
      fc.asyncProperty(windows, async ({ n, h, w, r, s, strides, pad, c, k, seed }) => {
        const op: Op = (x, filter) => tf.conv2d(x as tf.Tensor4D, filter as tf.Tensor4D, strides, pad);
        await expectLinear(op, [random([n, h, w, c], seed), random([r, s, c, k], seed + 9)], seed);
      }),
      RUNS,
    );
  });

  test("convolutions of one tap, which are products of matrices", async () => {
    expect.hasAssertions();
    await fc.assert(
      fc.asyncProperty(windows, async ({ n, h, w, strides, pad, c, k, seed }) => {
        const op: Op = (x, filter) => tf.conv2d(x as tf.Tensor4D, filter as tf.Tensor4D, strides, pad);
        await expectLinear(op, [random([n, h, w, c], seed), random([1, 1, c, k], seed + 9)], seed);
      }),
      RUNS,
    );
  });

  test("depthwise convolutions and their gradients, whatever the multiplier", async () => {
    expect.hasAssertions();
    await fc.assert(
      fc.asyncProperty(
        windows,
        fc.integer({ min: 1, max: 3 }),
        async ({ n, h, w, r, s, strides: [stride], pad, c, seed }, multiplier) => {
          const op: Op = (x, filter) =>
            tf.depthwiseConv2d(x as tf.Tensor4D, filter as tf.Tensor4D, stride, pad);
          const filter = random([r, s, c, multiplier], seed + 9);
          await expectLinear(op, [random([n, h, w, c], seed), filter], seed);
        },
      ),
      RUNS,
    );
  });

  test("transposed convolutions and their gradients", async () => {
    expect.hasAssertions();
    await fc.assert(
      fc.asyncProperty(windows, async ({ n, h, w, r, s, strides, c, k, seed }) => {
        const [top, left] = strides;
        const shape: [number, number, number, number] = [n, h * top, w * left, c];
        const op: Op = (x, filter) =>
          tf.conv2dTranspose(x as tf.Tensor4D, filter as tf.Tensor4D, shape, strides, "same");
        await expectLinear(op, [random([n, h, w, k], seed), random([r, s, c, k], seed + 9)], seed);
      }),
      RUNS,
    );
  });

  test("average pooling, which counts no padding, and its gradient", async () => {
    expect.hasAssertions();
    await fc.assert(
      fc.asyncProperty(windows, async ({ n, h, w, r, s, strides, pad, c, seed }) => {
        // Windows with nothing but padding have no average.
        fc.pre(typeof pad === "string" || pad.flat().every((count) => count < Math.min(r, s)));
        const op: Op = (x) => tf.avgPool(x as tf.Tensor4D, [r, s], strides, pad);
        await expectLinear(op, [random([n, h, w, c], seed)], seed);
      }),
      RUNS,
    );
  });

  test("max pooling and its gradient, which one element of each window gets", async () => {
    expect.hasAssertions();
    await fc.assert(
      fc.asyncProperty(windows, async ({ n, h, w, r, s, strides, pad, c, seed }) => {
        fc.pre(typeof pad === "string" || pad.flat().every((count) => count < Math.min(r, s)));
        const op: Op = (x) => tf.maxPool(x as tf.Tensor4D, [r, s], strides, pad);
        const x = distinct([n, h, w, c], seed);
        const expected = await on("reference", () => forward(op, [x]));
        expect(difference(await on(name, () => forward(op, [x])), expected)).toBe(0);
        const dy = random(expected.shape, seed + 1);
        const dx = await on(name, () => gradient(op, [x], 0, dy));
        // Steps of 0.001 change no winner: the difference is exact but for rounding.
        for (let i = 0; i < x.data.length; i += Math.ceil(x.data.length / 6)) {
          const shifted = (step: number): Values => ({
            shape: x.shape,
            data: x.data.with(i, (x.data[i] as number) + step),
          });
          const ends = await on("reference", () =>
            [0.001, -0.001].map((step) => dot(dy, forward(op, [shifted(step)]))),
          );
          const slope = ((ends[0] as number) - (ends[1] as number)) / 0.002;
          expect(Math.abs(slope - (dx.data[i] as number))).toBeLessThan(1e-2);
        }
      }),
      { ...RUNS, numRuns: 12 },
    );
  });

  test("of equal elements the first gets the gradient of their maximum", () => {
    const x = tf.ones([1, 2, 2, 1]);
    const dx = tf.grad((each) => tf.maxPool(each as tf.Tensor4D, 2, 2, "valid"))(x);
    expect(Array.from(dx.dataSync())).toEqual([1, 0, 0, 0]);
    tf.dispose([x, dx]);
  });

  test("products of matrices, transposed or not, and their gradients", async () => {
    expect.hasAssertions();
    const size = fc.constantFrom(1, 2, 5, 16, 33);
    await fc.assert(
      fc.asyncProperty(
        fc.record({ m: size, l: size, k: size, a: fc.boolean(), b: fc.boolean(), seed: fc.nat(1000) }),
        async ({ m, l, k, a, b, seed }) => {
          const op: Op = (x, y) => tf.matMul(x, y, a, b);
          const inputs = [random(a ? [l, m] : [m, l], seed), random(b ? [k, l] : [l, k], seed + 9)];
          await expectLinear(op, inputs, seed);
        },
      ),
      RUNS,
    );
  });

  test("one memory may be the second matrix under several shapes", () => {
    const [a, b] = [random([1, 48], 1), random([48, 1], 2)];
    const results = tf.tidy(() => {
      const right = tensorOf(b);
      return [
        [1, 48],
        [2, 24],
        [48, 1],
        [24, 2],
        [16, 3],
        [48, 1],
      ].map(([rows, columns]) => {
        const left = tf.ones([3, rows as number]) as tf.Tensor2D;
        return Array.from(tf.matMul(left, tf.reshape(right, [rows as number, columns as number])).dataSync());
      });
    });
    expect(a.data.length).toBe(48);
    const total = b.data.reduce((sum, each) => sum + each, 0);
    for (const result of results) {
      // Three rows of ones: each column sum three times.
      expect(result.reduce((sum, each) => sum + each, 0)).toBeCloseTo(3 * total, 3);
    }
    expect(results[2]?.[0]).toBeCloseTo(total, 4);
    expect(results[5]?.[0]).toBeCloseTo(total, 4);
  });

  test("sums over any axes", async () => {
    expect.hasAssertions();
    const shapes = fc.array(fc.constantFrom(1, 2, 3, 5, 17), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(
        shapes,
        fc.nat(15),
        fc.boolean(),
        fc.nat(1000),
        async (shape, mask, keepDims, seed) => {
          const axes = shape.flatMap((_, axis) => ((mask >> axis) & 1 ? [axis] : []));
          const op: Op = (x) => tf.sum(x, axes.length > 0 ? axes : undefined, keepDims);
          await expectLinear(op, [random(shape, seed)], seed);
        },
      ),
      { ...RUNS, numRuns: 60 },
    );
  });

  test("slices, splits and concatenations along any axis", async () => {
    expect.hasAssertions();
    await fc.assert(
      fc.asyncProperty(fc.nat(3), fc.integer({ min: 1, max: 12 }), fc.nat(1000), async (axis, size, seed) => {
        const shape = [2, 4, 6, size].with(axis, 6);
        const begin = shape.map((_, i) => (seed >> i) & 1);
        const rest = shape.map((extent, i) =>
          Math.max(0, extent - (begin[i] as number) - ((seed >> (i + 4)) & 1)),
        );
        await expectLinear((x) => tf.slice(x, begin, rest), [random(shape, seed)], seed);
        await expectLinear(
          (x) => tf.concat([...tf.split(x, [1, 2, 3], axis), x], axis),
          [random(shape, seed)],
          seed,
        );
      }),
      RUNS,
    );
  });

  test("gathering rows, repeated ones too, and its gradient", async () => {
    expect.hasAssertions();
    for (const axis of [0, 1, 2]) {
      const op: Op = (x) => tf.gather(x, tf.tensor1d([2, 0, 2, 1, 2], "int32"), axis);
      await expectLinear(op, [random([3, 4, 5].with(axis, 3), 3)], 3);
    }
  });

  test("a step keeps as many tensors and bytes as there were", () => {
    const [x, filter, depthwise, dense] = [
      tf.randomNormal([4, 8, 8, 3]),
      tf.variable(tf.randomNormal([3, 3, 3, 8])),
      tf.variable(tf.randomNormal([3, 3, 8, 2])),
      tf.variable(tf.randomNormal([16, 5])),
    ];
    const step = (): number =>
      tf.tidy(() => {
        const { value, grads } = tf.variableGrads(() => {
          const a = tf.relu(tf.conv2d(x as tf.Tensor4D, filter as tf.Tensor4D, 2, "same"));
          const b = tf.elu(tf.depthwiseConv2d(a, depthwise as tf.Tensor4D, 2, "same"));
          const c = tf.maxPool(tf.concat<tf.Tensor4D>([b, tf.maximum(b, 0)], 0), 2, 1, "same");
          const pooled = tf.avgPool(c, 2, 1, "same");
          const y = tf.matMul(tf.mean(pooled, [1, 2]), dense);
          return tf.sum(tf.square(tf.minimum(y, 1)));
        });
        expect(Object.keys(grads)).toHaveLength(3);
        return value.dataSync()[0] as number;
      });
    const first = step();
    const { numTensors, numBytes } = tf.memory();
    for (let i = 0; i < 20; i++) expect(step()).toBe(first);
    expect(tf.memory()).toMatchObject({ numTensors, numBytes });
    tf.dispose([x, filter, depthwise, dense]);
  });
});

describe("on wasm alone", () => {
  test("gradients of dilated depthwise convolutions", async () => {
    await fc.assert(
      fc.asyncProperty(windows, fc.integer({ min: 2, max: 3 }), async (window, dilation) => {
        const { n, h, w, c, r, s, seed } = window;
        const pad = typeof window.pad === "string" ? "same" : window.pad;
        const [x, filter] = [random([n, h + 4, w + 4, c], seed), random([r, s, c, 2], seed + 9)];
        const op: Op = (a, b) =>
          tf.depthwiseConv2d(a as tf.Tensor4D, b as tf.Tensor4D, 1, pad, "NHWC", dilation);
        const y = await on("reference", () => forward(op, [x, filter]));
        const dy = random(y.shape, seed + 1);
        const attrs = {
          strides: 1,
          pad,
          dilations: dilation,
          inputShape: x.shape,
          filterShape: filter.shape,
        };
        const run = (kernel: string, inputs: Readonly<Record<string, Values>>): Values =>
          forward(() => {
            const tensors = Object.entries(inputs).map(([key, each]) => [key, tensorOf(each)] as const);
            return tf.engine().runKernel(kernel, Object.fromEntries(tensors), attrs);
          }, []);
        const dx = await on("wasm", () => run("DepthwiseConv2dNativeBackpropInput", { dy, filter }));
        const dw = await on("wasm", () => run("DepthwiseConv2dNativeBackpropFilter", { dy, x }));
        const direct = dot(dy, y);
        expect(Math.abs(dot(dx, x) - direct) / (Math.abs(direct) + 10)).toBeLessThan(1e-4);
        expect(Math.abs(dot(dw, filter) - direct) / (Math.abs(direct) + 10)).toBeLessThan(1e-4);
      }),
      RUNS,
    );
  });

  test("a segment that does not exist is an error", async () => {
    await useBackend("wasm");
    expect(() => tf.unsortedSegmentSum(tf.ones([2, 2]), tf.tensor1d([0, 5], "int32"), 3)).toThrow(
      /segment 5 of 3/,
    );
  });
});
