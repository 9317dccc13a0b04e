// Which weight of the manifest each constant of a graph holds: what training changes and writes back.

import * as tf from "@tensorflow/tfjs";
import { describe, expect, test } from "vitest";
import { type Tensor, transpose } from "../../src/base/tensor.js";
import { valuesOf } from "../../src/graph/graph.js";
import { readLayersModelWithNames } from "../../src/read/layers-model.js";
import { parseSaved, randomizeWeights, saveLayersModel, seeded } from "../support/layers-models.js";

type Names = ReturnType<typeof readLayersModelWithNames> & { readonly weights: ReadonlyMap<string, Tensor> };

async function namesOf(layers: tf.layers.Layer[]): Promise<Names> {
  const model = tf.sequential({ layers });
  randomizeWeights(model, seeded(5));
  const { json, weights } = parseSaved(await saveLayersModel(model));
  return { ...readLayersModelWithNames(json, weights), weights };
}

const image = { inputShape: [5, 4, 3], name: "x" };

describe("every weight is found by the constant that holds it", () => {
  test.each<[string, () => tf.layers.Layer[]]>([
    ["Conv2D", () => [tf.layers.conv2d({ ...image, filters: 2, kernelSize: 2 })]],
    [
      "Conv2D on channels first",
      () => [tf.layers.conv2d({ ...image, filters: 2, kernelSize: 2, dataFormat: "channelsFirst" })],
    ],
    ["Conv2DTranspose", () => [tf.layers.conv2dTranspose({ ...image, filters: 2, kernelSize: 2 })]],
    ["DepthwiseConv2D", () => [tf.layers.depthwiseConv2d({ ...image, kernelSize: 2, depthMultiplier: 2 })]],
    ["SeparableConv2D", () => [tf.layers.separableConv2d({ ...image, filters: 5, kernelSize: 2 })]],
    ["BatchNormalization", () => [tf.layers.batchNormalization(image)]],
    ["BatchNormalization of another axis", () => [tf.layers.batchNormalization({ ...image, axis: 1 })]],
    ["LayerNormalization", () => [tf.layers.layerNormalization(image)]],
    ["Dense on pixels", () => [tf.layers.dense({ ...image, units: 2 })]],
    ["Dense on open sizes", () => [tf.layers.dense({ inputShape: [null, null, 3], name: "x", units: 2 })]],
    ["PReLU", () => [tf.layers.prelu(image)]],
    [
      "PReLU after a convolution",
      () => [
        tf.layers.conv2d({ inputShape: [5, 4, 3], filters: 2, kernelSize: 2 }),
        tf.layers.prelu({ name: "x", sharedAxes: [1, 2] }),
      ],
    ],
    ["Embedding", () => [tf.layers.embedding({ name: "x", inputDim: 7, outputDim: 2, inputLength: 3 })]],
    [
      "TimeDistributed",
      () => [
        tf.layers.timeDistributed({ inputShape: [3, 4], name: "x", layer: tf.layers.dense({ units: 2 }) }),
      ],
    ],
  ])("%s", async (_, layers) => {
    const { graph, weightNames, weights } = await namesOf(layers());
    const constants = new Map(
      valuesOf(graph).flatMap(({ name, constant }) => (constant ? [[name, constant]] : [])),
    );
    expect(new Set(weightNames.values())).toEqual(new Set(weights.keys()));
    for (const [constant, weight] of weightNames) {
      const held = constants.get(constant)?.data as Float32Array | undefined;
      // The same numbers, in some order of axes.
      expect(Float32Array.from(held ?? []).sort()).toEqual(
        Float32Array.from(weights.get(weight)?.data as Float32Array).sort(),
      );
    }
  });
});

test("constants that are no weight have no name: a gamma that the layer leaves out", async () => {
  const { weightNames } = await namesOf([tf.layers.batchNormalization({ ...image, scale: false })]);
  expect([...weightNames.keys()]).toEqual(["x/beta", "x/moving_mean", "x/moving_variance"]);
});

test("a layer that is called twice has one constant a weight", async () => {
  const input = tf.input({ shape: [4] });
  const dense = tf.layers.dense({ units: 4, name: "twice" });
  const model = tf.model({ inputs: input, outputs: dense.apply(dense.apply(input)) as tf.SymbolicTensor });
  const { json, weights } = parseSaved(await saveLayersModel(model));
  const { weightNames } = readLayersModelWithNames(json, weights);
  expect([...weightNames]).toEqual([
    ["twice/kernel", "twice/kernel"],
    ["twice/bias", "twice/bias"],
  ]);
});

test("Dense holds its kernel transposed, under the kernel's name", async () => {
  const { graph, weightNames, weights } = await namesOf([
    tf.layers.dense({ inputShape: [3], units: 2, name: "d" }),
  ]);
  const constant = valuesOf(graph).find(({ name }) => weightNames.get(name) === "d/kernel")
    ?.constant as Tensor;
  expect(transpose(constant, [1, 0])).toEqual(weights.get("d/kernel"));
});
