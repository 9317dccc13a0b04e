// Heads as they come: each model is a real one of tfjs, and the result is run by stock tfjs and by our graph.

import * as tf from "@tensorflow/tfjs";
import { describe, expect, test } from "vitest";
import { type LayersModel, loadLayersModel } from "../../src/train/layers-model-file.js";
import { graphOf } from "../../src/train/trainable-model.js";
import { builtInModel } from "../../src/train/models/built-in.js";
import { replaceHead } from "../../src/train/replace-head.js";
import { compareWithTfjs, modelOf } from "../support/stock-tfjs.js";
import { SHARED } from "../support/needs.js";

const { layers } = tf;
const image = { inputShape: [8, 8, 3] };
const conv = (args: { name?: string; inputShape?: number[] } = {}): tf.layers.Layer =>
  layers.conv2d({ filters: 6, kernelSize: 3, name: "body", ...args });
const pointwise = (name: string, activation: "linear" | "relu" | "softmax" = "linear"): tf.layers.Layer =>
  layers.conv2d({ filters: 9, kernelSize: 1, name, activation });
const dense = (name: string, activation?: "softmax" | "relu" | "sigmoid"): tf.layers.Layer =>
  layers.dense({ units: 9, name, ...(activation ? { activation } : {}) });
const gap = (): tf.layers.Layer => layers.globalAveragePooling2d({ name: "gap" });
const activation = (name: string): tf.layers.Layer =>
  layers.activation({ activation: name as "softmax", name: "act" });
const sequential = (...list: tf.layers.Layer[]): tf.LayersModel =>
  tf.sequential({ layers: [conv({ name: "body", ...image }), ...list] });

/** Weights that are not those of the model before: by name, or new ones. */
function changedWeights(before: LayersModel, after: LayersModel): string[] {
  return [...after.weights].flatMap(([name, weight]) => (before.weights.get(name) === weight ? [] : [name]));
}

async function expectClassifier(model: LayersModel, classes: number): Promise<tf.LayersModel> {
  const { stock, graph, difference, magnitude } = await compareWithTfjs(model);
  expect(graph.outputs[0]?.shape).toEqual(["N", classes]);
  expect(difference).toBeLessThan(1e-5);
  expect(magnitude).toBeGreaterThan(1 / classes);
  expect(graph.nodes.filter(({ op }) => op === "Softmax")).toHaveLength(1);
  const shape = stock.inputs[0]?.shape.slice(1) as number[];
  const output = stock.predict(tf.randomUniform([2, ...shape])) as tf.Tensor;
  for (const sum of output.sum(1).dataSync()) expect(sum).toBeCloseTo(1, 5);
  return stock;
}

test.each([2, 7, 40])(
  "a fresh head of %i classes says all of them nearly alike at first, however large the features are",
  async (classes) => {
    const pool = layers.globalAveragePooling2d({ inputShape: [1, 1, 512], name: "gap" });
    const before = await modelOf(tf.sequential({ layers: [pool, dense("d", "softmax")] }));
    const { stock } = await compareWithTfjs(replaceHead(before, classes, 1));
    // As behind a ReLU6: logits of weights with the usual deviation would have one of 3.5.
    const features = tf.randomUniform([32, 1, 1, 512], 0, 6, "float32", 1);
    const [loss = Number.NaN] = tf.neg(tf.mean(tf.log(stock.predict(features) as tf.Tensor))).dataSync();
    expect(loss - Math.log(classes)).toBeGreaterThan(0);
    expect(loss - Math.log(classes)).toBeLessThan(0.15);
  },
);

describe("a head that is there gets the new number of classes", () => {
  test.each<[string, () => tf.LayersModel, readonly string[]]>([
    ["Dense with softmax", () => sequential(gap(), dense("d", "softmax")), ["d/kernel", "d/bias"]],
    [
      "Dense, then a softmax",
      () => sequential(gap(), dense("d"), activation("softmax")),
      ["d/kernel", "d/bias"],
    ],
    [
      "Dense, then a Softmax layer",
      () => sequential(gap(), dense("d"), layers.softmax()),
      ["d/kernel", "d/bias"],
    ],
    ["Dense that gives logits", () => sequential(gap(), dense("d")), ["d/kernel", "d/bias"]],
    ["Dense with sigmoid", () => sequential(gap(), dense("d", "sigmoid")), ["d/kernel", "d/bias"]],
    [
      "Dense, then log softmax",
      () => sequential(gap(), dense("d"), activation("logSoftmax")),
      ["d/kernel", "d/bias"],
    ],
    [
      "the last of two Dense, with dropout between and after",
      () =>
        sequential(
          gap(),
          dense("h", "relu"),
          layers.dropout({ rate: 0.5 }),
          dense("d"),
          layers.dropout({ rate: 0.5 }),
        ),
      ["d/kernel", "d/bias"],
    ],
    [
      "Dense without bias",
      () => sequential(gap(), layers.dense({ units: 9, name: "d", useBias: false, activation: "softmax" })),
      ["d/kernel"],
    ],
    ["1x1 Conv2D, pooled, logits (darknet)", () => sequential(pointwise("c"), gap()), ["c/kernel", "c/bias"]],
    [
      "1x1 Conv2D on a pooled map, Flatten, softmax",
      () =>
        sequential(
          layers.averagePooling2d({ poolSize: 6 }),
          pointwise("c"),
          layers.flatten(),
          activation("softmax"),
        ),
      ["c/kernel", "c/bias"],
    ],
    [
      "1x1 Conv2D between two Reshapes (MobileNet v1)",
      () =>
        sequential(
          gap(),
          layers.reshape({ targetShape: [1, 1, 6] }),
          pointwise("c"),
          activation("softmax"),
          layers.reshape({ targetShape: [9] }),
        ),
      ["c/kernel", "c/bias"],
    ],
    [
      "1x1 Conv2D with ReLU, pooled, softmax (SqueezeNet)",
      () => sequential(pointwise("c", "relu"), gap(), activation("softmax")),
      ["c/kernel", "c/bias"],
    ],
    [
      "Dense in a nested Sequential",
      () =>
        sequential(
          gap(),
          tf.sequential({ layers: [layers.dense({ units: 5, inputShape: [6] }), dense("d", "softmax")] }),
        ),
      ["d/kernel", "d/bias"],
    ],
  ])("%s", async (_, make, expected) => {
    const before = await modelOf(make());
    const after = replaceHead(before, 4, 1);
    expect(changedWeights(before, after)).toEqual(expected);
    expect([...after.weights.keys()]).toEqual([...before.weights.keys()]);
    const kernel = after.weights.get(expected[0] as string);
    expect(kernel?.shape.at(-1)).toBe(4);
    expect(kernel?.data.some((x) => x !== 0)).toBe(true);
    expect(expected.slice(1).map((name) => after.weights.get(name)?.data)).toEqual(
      expected.slice(1).map(() => new Float32Array(4)),
    );
    const names = (await expectClassifier(after, 4)).layers.map(({ name }) => name);
    const stock = make();
    // Names stay, also of layers; what is added comes last.
    expect(names.slice(0, stock.layers.length).filter((name) => /^(body|gap|d|c|h|act)$/.test(name))).toEqual(
      stock.layers.map(({ name }) => name).filter((name) => /^(body|gap|d|c|h|act)$/.test(name)),
    );
  });

  test("in a Model with branches that come together before it", async () => {
    const x = tf.input({ shape: [8, 8, 3] });
    const y = conv().apply(x) as tf.SymbolicTensor;
    const sum = layers.add().apply([y, layers.reLU().apply(y) as tf.SymbolicTensor]) as tf.SymbolicTensor;
    const logits = dense("d").apply(gap().apply(sum)) as tf.SymbolicTensor;
    const model = tf.model({ inputs: x, outputs: activation("softmax").apply(logits) as tf.SymbolicTensor });
    const before = await modelOf(model);
    const after = replaceHead(before, 11, 1);
    expect(changedWeights(before, after)).toEqual(["d/kernel", "d/bias"]);
    await expectClassifier(after, 11);
  });

  test("the weights depend on the seed alone", async () => {
    const before = await modelOf(sequential(gap(), dense("d", "softmax")));
    const [a, b, c] = [1, 1, 2].map((seed) => replaceHead(before, 4, seed).weights.get("d/kernel")?.data);
    expect(a).toEqual(b);
    expect(c).not.toEqual(a);
  });

  test("the model that was given stays as it was", async () => {
    const before = await modelOf(sequential(gap(), dense("d")));
    const copy = structuredClone({ topology: before.topology, weights: before.weights });
    replaceHead(before, 4, 1);
    expect({ topology: before.topology, weights: before.weights }).toEqual(copy);
  });

  test("weights that Keras 3 names by position stay so", async () => {
    const named = await modelOf(sequential(gap(), dense("d", "softmax")));
    const weights = new Map(
      [...named.weights].map(([name, w]) => [name.replace(/kernel$/, "0").replace(/bias$/, "1"), w] as const),
    );
    const after = replaceHead({ ...named, weights }, 4, 1);
    expect([...after.weights].map(([name, { shape }]) => [name, shape])).toEqual([
      ["body/0", [3, 3, 3, 6]],
      ["body/1", [6]],
      ["d/0", [6, 4]],
      ["d/1", [4]],
    ]);
    await expectClassifier(after, 4);
  });
});

describe("a model of features gets a head", () => {
  test.each<[string, () => tf.LayersModel]>([
    ["a feature map", () => sequential(layers.batchNormalization(), layers.reLU())],
    ["a feature map of a 1x1 Conv2D", () => sequential(pointwise("c"))],
    ["pooling", () => sequential(layers.reLU(), gap())],
    ["pooling of a rectified 1x1 Conv2D", () => sequential(pointwise("c", "relu"), gap())],
    [
      "pooling of a SeparableConv2D, which has a 1x1 convolution within",
      () => sequential(layers.separableConv2d({ filters: 9, kernelSize: 3, name: "s" }), gap()),
    ],
    ["a rectified Dense", () => sequential(gap(), dense("h", "relu"))],
    ["a Dense and a ReLU", () => sequential(gap(), dense("h"), layers.reLU())],
  ])("that ends in %s", async (_, make) => {
    const before = await modelOf(make());
    const after = replaceHead(before, 4, 1);
    expect(changedWeights(before, after)).toEqual(["classes/kernel", "classes/bias"]);
    const stock = await expectClassifier(after, 4);
    expect(stock.layers.at(-1)?.name).toBe("classes");
  });

  test("in a Model, under a name that is free there", async () => {
    const x = tf.input({ shape: [8, 8, 3] });
    const y = layers.conv2d({ filters: 5, kernelSize: 3, activation: "relu", name: "classes" }).apply(x);
    const before = await modelOf(tf.model({ inputs: x, outputs: y as tf.SymbolicTensor }));
    const after = replaceHead(before, 4, 1);
    expect(changedWeights(before, after)).toEqual(["classes_1/kernel", "classes_1/bias"]);
    await expectClassifier(after, 4);
  });

  test("whose weights Keras 3 names by position, named by position", async () => {
    const named = await modelOf(sequential(layers.reLU()));
    const weights = new Map([...named.weights].map(([, w], i) => [`body/${i}`, w] as const));
    const after = replaceHead({ ...named, weights }, 4, 1);
    expect([...after.weights.keys()]).toEqual(["body/0", "body/1", "classes/0", "classes/1"]);
    await expectClassifier(after, 4);
  });
});

describe("keeping the head", () => {
  test("leaves weights, labels and learned scales as they are", async () => {
    const before: LayersModel = {
      ...(await modelOf(sequential(gap(), dense("d", "softmax")))),
      userDefinedMetadata: { qdg: { version: 1, quantizers: {}, labels: ["a"] } },
    };
    expect(replaceHead(before, 9, 1, { keepHead: true })).toEqual(before);
  });

  test("adds the softmax that is missing", async () => {
    const before = await modelOf(sequential(pointwise("c"), gap()));
    const after = replaceHead(before, 9, 1, { keepHead: true });
    expect(changedWeights(before, after)).toEqual([]);
    await expectClassifier(after, 9);
  });

  test("is refused for another number of classes, and where there is none", async () => {
    const head = await modelOf(sequential(gap(), dense("d", "softmax")));
    expect(() => replaceHead(head, 4, 1, { keepHead: true })).toThrow(
      /a head of 9 classes, the data 4 classes/,
    );
    const features = await modelOf(sequential(layers.reLU()));
    expect(() => replaceHead(features, 4, 1, { keepHead: true })).toThrow(/the model has no head/);
  });
});

describe("metadata", () => {
  test("of the old head goes, preprocessing and what others wrote stays", async () => {
    const preprocessing = { range: [-1, 1], mean: [0], std: [1], resize: "stretch" } as const;
    const qdg = { version: 1, quantizers: { "d/kernel": {} }, labels: ["a"], preprocessing };
    const before: LayersModel = {
      ...(await modelOf(sequential(gap(), dense("d", "softmax")))),
      userDefinedMetadata: { author: "x", qdg },
      metadata: { labels: ["a"], preprocessing },
    };
    const after = replaceHead(before, 4, 1);
    expect(after.userDefinedMetadata).toEqual({
      author: "x",
      qdg: { version: 1, quantizers: {}, preprocessing },
    });
    expect(after.metadata).toEqual({ preprocessing });
    const { preprocessing: _, ...without } = qdg;
    expect(
      replaceHead({ ...before, userDefinedMetadata: { qdg: without } }, 4, 1).userDefinedMetadata,
    ).toEqual({});
  });
});

const sumOfHeads = (): tf.LayersModel => {
  const x = tf.input({ shape: [8, 8, 3] });
  const pooled = gap().apply(conv().apply(x)) as tf.SymbolicTensor;
  const logits = ["a", "b"].map((name) => dense(name).apply(pooled) as tf.SymbolicTensor);
  return tf.model({ inputs: x, outputs: layers.add({ name: "sum" }).apply(logits) as tf.SymbolicTensor });
};
const twoOutputs = (): tf.LayersModel => {
  const x = tf.input({ shape: [8, 8, 3] });
  const pooled = gap().apply(conv().apply(x)) as tf.SymbolicTensor;
  return tf.model({
    inputs: x,
    outputs: ["a", "b"].map((name) => dense(name).apply(pooled) as tf.SymbolicTensor),
  });
};

describe("where no head can be found, the message says what was looked for and what there is", () => {
  test.each<[string, () => tf.LayersModel, RegExp]>([
    [
      "a map of probabilities",
      () => sequential(pointwise("c", "softmax")),
      /it ends in body \(Conv2D\), c \(Conv2D\) and gives \[N, 6, 6, 9\]/,
    ],
    [
      "a softmax on a normalized Dense",
      () => sequential(gap(), dense("d"), layers.batchNormalization({ name: "bn" }), activation("softmax")),
      /bn \(BatchNormalization\), act \(Activation\)/,
    ],
    ["a sum of two heads", sumOfHeads, /looked for a Dense layer, or a 1x1 Conv2D.*sum \(Add\)/],
    ["two outputs", twoOutputs, /has 2 outputs, expected 1/],
    [
      "a flattened map of a 1x1 Conv2D with a softmax",
      () => sequential(pointwise("c"), layers.flatten(), activation("softmax")),
      /with 4 classes it would give \[N, 144\].*gives \[N, 324\]/,
    ],
  ])("%s", async (_, make, message) => {
    const model = await modelOf(make());
    expect(() => replaceHead(model, 4, 1)).toThrow(message);
  });

  test("a head whose weights serve twice", async () => {
    const x = tf.input({ shape: [6] });
    const shared = layers.dense({ units: 6, name: "d" });
    const y = shared.apply(shared.apply(x)) as tf.SymbolicTensor;
    const model = await modelOf(tf.model({ inputs: x, outputs: y }));
    expect(() => replaceHead(model, 4, 1)).toThrow(/d \(Dense\) is used elsewhere too/);
  });

  test.each([1, 2.5, Number.NaN, 1e6])("%s classes", (classes) => {
    const model = builtInModel("resnet8", { imageSize: 8, classes: 3, seed: 1 });
    expect(() => replaceHead(model, classes, 1)).toThrow(/classes: got/);
  });
});

test("built-in models take another number of classes", () => {
  const model = builtInModel("mobilenet-v2", { imageSize: 32, classes: 3, width: 0.35, seed: 1 });
  const after = replaceHead(model, 7, 2);
  expect(changedWeights(model, after)).toEqual(["classes/kernel", "classes/bias"]);
  expect(graphOf(after).outputs[0]?.shape).toEqual(["N", 7]);
});

const MODELS = "../shared/models";
describe("real models", SHARED, () => {
  test("Teachable Machine's keeps its hidden Dense and its backbone", async () => {
    const before = await loadLayersModel(`${MODELS}/mobilenet-v2-035-224/model.json`);
    const after = replaceHead(before, 7, 1);
    expect(changedWeights(before, after)).toEqual(["dense_Dense2/kernel"]);
    expect(after.weights.get("dense_Dense2/kernel")?.shape).toEqual([100, 7]);
    expect(before.metadata?.labels).toHaveLength(4);
    expect(after.metadata).toEqual({ preprocessing: before.metadata?.preprocessing });
    await expectClassifier(after, 7);
    expect(replaceHead(before, 4, 1, { keepHead: true }).weights).toBe(before.weights);
  });

  test("darknet's 1x1 convolution gives the classes, and a softmax follows its pooling", async () => {
    const before = await loadLayersModel(`${MODELS}/darknet-tiny-224/model.json`);
    const after = replaceHead(before, 7, 1);
    expect(changedWeights(before, after)).toEqual(["conv2d_16/kernel", "conv2d_16/bias"]);
    expect(graphOf(after).nodes.at(-1)?.op).toBe("Softmax");
    expect(graphOf(after).outputs[0]?.shape).toEqual(["N", 7]);
  });
});
