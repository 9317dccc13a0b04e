// The list of what tfjs computes otherwise than Keras defines, against sums written out by hand. A line of the list that
// an upgrade of tfjs makes untrue turns red here.

import * as tf from "@tensorflow/tfjs";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import { createRequire } from "node:module";
import { dirname, sep } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { float32 } from "../../src/base/tensor.js";
import { tfjsDeviations } from "../../src/runtime/tfjs-deviations.js";
import { tfjsRuntime } from "../../src/runtime/tfjs.js";
import {
  configsOf,
  randomizeWeights,
  removeFolder,
  saveLayersModel,
  saveToFolder,
  seeded,
} from "../support/layers-models.js";

const L = tf.layers;

interface Case {
  readonly title: string;
  readonly layer: () => tf.layers.Layer;
  /** Of one input, without the batch. */
  readonly shape: readonly number[];
  /** Keys of the config that tfjs does not save. */
  readonly keys?: Readonly<Record<string, unknown>>;
  readonly backends: "wasm" | "all";
  /** The layer by its definition, elements in tfjs's order. */
  readonly formula: (x: Float32Array, weights: readonly Float32Array[]) => readonly number[];
}

const at = (list: ArrayLike<number> | undefined, i: number): number => list?.[i] ?? 0;
const mapped = (x: Float32Array, of: (value: number, i: number) => number): number[] => Array.from(x, of);

/** `y[c] = (x - mean[c]) / sqrt(variance[c] + 1e-3) * gamma[c] + beta[c]`, c = channelOf(element) */
const normalized =
  (channelOf: (i: number) => number): Case["formula"] =>
  (x, [gamma, beta, mean, variance]) =>
    mapped(x, (value, i) => {
      const c = channelOf(i);
      return ((value - at(mean, c)) / Math.sqrt(at(variance, c) + 1e-3)) * at(gamma, c) + at(beta, c);
    });

const CASES: readonly Case[] = [
  {
    title: "ReLU with a slope",
    layer: () => L.reLU({ inputShape: [9], name: "odd" }),
    shape: [9],
    keys: { negative_slope: 0.25 },
    backends: "all",
    formula: (x) => mapped(x, (value) => (value < 0 ? 0.25 * value : value)),
  },
  {
    title: "ReLU with a threshold",
    layer: () => L.reLU({ inputShape: [9], name: "odd" }),
    shape: [9],
    keys: { threshold: 0.5 },
    backends: "all",
    formula: (x) => mapped(x, (value) => (value < 0.5 ? 0 : value)),
  },
  {
    title: "BatchNormalization over axis 1 of three",
    layer: () => L.batchNormalization({ inputShape: [4, 5], axis: 1, name: "odd" }),
    shape: [4, 5],
    backends: "all",
    formula: normalized((i) => Math.floor(i / 5)),
  },
  {
    title: "BatchNormalization over axis 2 of four",
    layer: () => L.batchNormalization({ inputShape: [2, 3, 4], axis: 2, name: "odd" }),
    shape: [2, 3, 4],
    backends: "all",
    formula: normalized((i) => Math.floor(i / 4) % 3),
  },
  {
    title: "BatchNormalization over axis -3 of four",
    layer: () => L.batchNormalization({ inputShape: [2, 3, 4], axis: 1, name: "odd" }),
    shape: [2, 3, 4],
    keys: { axis: -3 },
    backends: "all",
    formula: normalized((i) => Math.floor(i / 12)),
  },
  {
    title: "DepthwiseConv2D with a dilation",
    layer: () =>
      L.depthwiseConv2d({
        inputShape: [4, 1, 1],
        kernelSize: [3, 1],
        dilationRate: 2,
        padding: "same",
        name: "odd",
      }),
    shape: [4, 1, 1],
    backends: "all",
    // Two pixels apart, from two before the first.
    formula: (x, [kernel, bias]) =>
      [0, 1, 2, 3].map(
        (i) =>
          at(x, i - 2) * at(kernel, 0) +
          at(x, i) * at(kernel, 1) +
          at(x, i + 2) * at(kernel, 2) +
          at(bias, 0),
      ),
  },
  {
    title: "Conv1D with stride 3 over a kernel of 2",
    layer: () =>
      L.conv1d({ inputShape: [9, 1], filters: 1, kernelSize: 2, strides: 3, padding: "same", name: "odd" }),
    shape: [9, 1],
    backends: "wasm",
    // ceil(9 / 3) windows that begin at 0, 3 and 6: one pixel less than the image.
    formula: (x, [kernel, bias]) =>
      [0, 3, 6].map((i) => at(x, i) * at(kernel, 0) + at(x, i + 1) * at(kernel, 1) + at(bias, 0)),
  },
  {
    title: "DepthwiseConv2D with stride 2 over a kernel of 1",
    layer: () =>
      L.depthwiseConv2d({
        inputShape: [4, 2, 1],
        kernelSize: [3, 1],
        strides: [2, 2],
        padding: "same",
        name: "odd",
      }),
    shape: [4, 2, 1],
    backends: "wasm",
    formula: (x, [kernel, bias]) =>
      // Rows 0 and 2 of column 0; the row after the last one is zeros.
      [0, 4].map(
        (i) =>
          at(x, i) * at(kernel, 0) +
          at(x, i + 2) * at(kernel, 1) +
          at(x, i + 4) * at(kernel, 2) +
          at(bias, 0),
      ),
  },
  ...[[2], [1, 3]].map((sharedAxes): Case => ({
    title: `PReLU that shares the axes ${sharedAxes.join(", ")}`,
    layer: () => L.prelu({ inputShape: [2, 3, 4], sharedAxes, name: "odd" }),
    shape: [2, 3, 4],
    backends: "wasm",
    formula: (x, [alpha]) =>
      mapped(x, (value, i) => {
        const slope =
          sharedAxes.length === 1
            ? at(alpha, Math.floor(i / 12) * 4 + (i % 4))
            : at(alpha, Math.floor(i / 4) % 3);
        return value < 0 ? slope * value : value;
      }),
  })),
  {
    title: "Conv3DTranspose",
    layer: () => L.conv3dTranspose({ inputShape: [2, 2, 2, 2], filters: 2, kernelSize: 1, name: "odd" }),
    shape: [2, 2, 2, 2],
    backends: "wasm",
    // The kernel is [1, 1, 1, K, C].
    formula: (x, [kernel, bias]) =>
      mapped(x, (_, i) => {
        const [first, k] = [i - (i % 2), i % 2];
        return at(x, first) * at(kernel, 2 * k) + at(x, first + 1) * at(kernel, 2 * k + 1) + at(bias, k);
      }),
  },
  {
    title: "MaxPooling3D",
    layer: () =>
      L.maxPooling3d({ inputShape: [2, 2, 2, 1], poolSize: [1, 1, 2], strides: [1, 1, 2], name: "odd" }),
    shape: [2, 2, 2, 1],
    backends: "wasm",
    formula: (x) => [0, 2, 4, 6].map((i) => Math.max(at(x, i), at(x, i + 1))),
  },
];

beforeAll(async () => {
  const folder = dirname(createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm"));
  setWasmPaths(`${folder}${sep}`);
  tf.env().set("PROD", true);
  await tf.setBackend("cpu");
});

/** Largest difference, relative to the largest element. */
function distance(got: ArrayLike<number>, expected: readonly number[]): number {
  expect(got.length).toBe(expected.length);
  const worst = Math.max(...expected.map((value, i) => Math.abs(value - at(got, i))));
  return worst / Math.max(...expected.map(Math.abs));
}

describe.each(CASES)("$title", ({ layer, shape, keys, backends, formula }) => {
  test(`is known to deviate (${backends}), and does so in the tfjs that is installed`, async () => {
    const model = tf.sequential({ layers: [layer()] });
    const random = seeded(5);
    randomizeWeights(model, random);
    const size = shape.reduce((product, dim) => product * dim, 1);
    // Two to one below zero, where slopes and maxima show.
    const x = Float32Array.from({ length: size }, () => 3 * random() - 2);
    const weights = model.getWeights().map((weight) => weight.dataSync<"float32">());
    const expected = formula(x, weights);
    const saved = await saveLayersModel(model);
    Object.assign(configsOf(saved)[0] ?? {}, keys);

    const found = tfjsDeviations(saved.json["modelTopology"], () => shape.length + 1);
    expect(found.map((each) => [each.layer, each.backends])).toEqual([["odd", backends]]);

    await tf.setBackend("wasm");
    const onWasm = tf.tidy(() =>
      (model.predictOnBatch(tf.tensor(x, [1, ...shape])) as tf.Tensor).dataSync<"float32">(),
    );
    await tf.setBackend("cpu");
    expect(distance(onWasm, expected)).toBeGreaterThan(1e-3);

    const { folder, path } = await saveToFolder(saved);
    const session = await tfjsRuntime.open({ path });
    const results = await session.run({ [session.inputs[0]?.name ?? ""]: float32([1, ...shape], x) });
    const got = results["odd"]?.data as Float32Array;
    // Where one backend is right, the runtime takes that.
    expect(distance(got, expected) < 1e-5).toBe(backends === "wasm");
    await session.dispose();
    await removeFolder(folder);
    model.dispose();
  });
});

describe("tfjs is not said to deviate", () => {
  test.each([
    ["ReLU", { max_value: 6, negative_slope: 0, threshold: 0 }],
    ["BatchNormalization", { axis: [3] }],
    ["BatchNormalization", { axis: -1 }],
    ["Conv2D", { kernel_size: [3, 3], strides: [3, 2], padding: "same" }],
    ["Conv2D", { kernel_size: [1, 1], strides: [2, 2], padding: "valid" }],
    ["DepthwiseConv2D", { kernel_size: [3, 3], strides: [1, 1], dilation_rate: [1, 1], padding: "same" }],
    ["PReLU", { shared_axes: [1, 2] }],
    ["PReLU", { shared_axes: null }],
  ])("at a %s with %j", (class_name, config) => {
    expect(tfjsDeviations({ class_name, config }, () => 4)).toEqual([]);
  });
});

test("layers within layers are looked at, with keys in camel case too", () => {
  const inner = { className: "ReLU", config: { name: "deep", negativeSlope: 0.1 } };
  const wrapper = { class_name: "TimeDistributed", config: { name: "each", layer: inner } };
  const topology = {
    class_name: "Sequential",
    config: { layers: [wrapper, { class_name: "Sequential", config: [inner] }] },
  };
  expect(tfjsDeviations(topology).map(({ layer, what }) => [layer, what])).toEqual([
    ["deep", "leaves out negative_slope and threshold"],
    ["deep", "leaves out negative_slope and threshold"],
  ]);
});
