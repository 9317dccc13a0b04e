// Oracle: tfjs (cpu) against ONNX Runtime on our float export, random shapes and attributes.

import * as tf from "@tensorflow/tfjs";
import { row, testLayers, type Chance } from "../support/layer-cases.js";

const L = tf.layers;

/** A tensor as given, and one that a convolution holds with its channels first. */
function branches(
  chance: Chance,
  count: number,
): { inputs: tf.SymbolicTensor[]; outputs: tf.SymbolicTensor[] } {
  const inputs = Array.from({ length: count }, () => tf.input({ shape: [4, 5, 3] }));
  const outputs = inputs.map((input) =>
    chance.pick([true, false])
      ? (L.conv2d({ filters: 3, kernelSize: 1 }).apply(input) as tf.SymbolicTensor)
      : input,
  );
  return { inputs, outputs };
}

testLayers([
  {
    title: "Dense on ranks 2 to 4",
    seeds: 8,
    model: (chance) =>
      row(
        L.dense({
          inputShape: chance.pick([[4], [5, 3], [2, 5, 3]]),
          units: chance.int(1, 5),
          useBias: chance.pick([true, false]),
          activation: chance.pick(["linear", "relu", "softmax"]),
        }),
      ),
  },
  {
    title: "Dense on a sequence of unknown length",
    options: { sizes: { L: 7 } },
    model: (chance) =>
      row(
        L.dense({
          batchInputShape: [chance.pick([null, 3]), null, 4],
          units: 3,
          useBias: chance.pick([true, false]),
          activation: chance.pick(["linear", "tanh"]),
        }),
      ),
  },
  {
    title: "Dense after Flatten of an image",
    seeds: 8,
    model: (chance) =>
      row(
        L.conv2d({ inputShape: [5, 4, 2], filters: chance.int(1, 4), kernelSize: 2 }),
        L.flatten(chance.pick([{}, { dataFormat: "channelsFirst" }]) as never),
        ...(chance.pick([true, false]) ? [L.leakyReLU(), L.dropout({ rate: 0.5 })] : []),
        L.dense({ units: 4 }),
        L.dense({ units: 3 }),
      ),
  },
  {
    title: "Flatten of a channelsFirst image",
    model: (chance) =>
      row(
        L.conv2d({ inputShape: [2, 5, 4], filters: 3, kernelSize: 2, dataFormat: "channelsFirst" }),
        L.flatten(chance.pick([{}, { dataFormat: "channelsFirst" }]) as never),
        L.dense({ units: 4 }),
      ),
  },
  {
    title: "Reshape",
    seeds: 8,
    model: (chance) =>
      row(
        L.conv2d({ inputShape: [4, 6, 2], filters: 2, kernelSize: 1 }),
        L.reshape({
          targetShape: chance.pick([[48], [-1], [6, 8], [6, -1], [null, 4], [2, 2, 12], [4, 6, 2]]),
        }),
      ),
  },
  {
    title: "Reshape of an unknown size",
    options: { sizes: { L: 6 } },
    seeds: 2,
    model: () => row(L.reshape({ inputShape: [null, 4] as never, targetShape: [-1, 2] })),
  },
  {
    title: "Permute",
    model: (chance) =>
      row(
        L.conv2d({ inputShape: [4, 6, 2], filters: 3, kernelSize: 1 }),
        L.permute({
          dims: chance.pick([
            [1, 2, 3],
            [3, 1, 2],
            [2, 3, 1],
            [3, 2, 1],
          ]),
        }),
      ),
  },
  {
    title: "RepeatVector",
    model: (chance) => row(L.repeatVector({ inputShape: [chance.int(1, 5)], n: chance.int(1, 4) })),
  },
  ...(["int32", "float32"] as const).map((dtype) => ({
    title: `Embedding of ${dtype} indices`,
    options: { integersBelow: 7 },
    seeds: 3,
    model: (chance: Chance) =>
      row(
        L.inputLayer({ inputShape: chance.pick([[5], [2, 3]]), dtype }),
        L.embedding({ inputDim: 7, outputDim: chance.int(1, 4), maskZero: chance.pick([true, false]) }),
        L.dense({ units: 3 }),
      ),
  })),
  {
    title: "Embedding without an input shape",
    options: { integersBelow: 7, sizes: { D1: 4 } },
    seeds: 2,
    model: (chance) =>
      row(L.embedding({ inputDim: 7, outputDim: 2, ...chance.pick([{}, { inputLength: 4 }]) })),
  },
  ...(["multiHot", "count", "oneHot"] as const).map((outputMode) => ({
    title: `CategoryEncoding ${outputMode}`,
    quantized: { none: "its input is a list of categories, not a signal to quantize" },
    options: { integersBelow: 5 },
    seeds: 2,
    model: () => {
      // tfjs writes num_tokens into its input's shape: the Reshape keeps the model's own intact.
      const size = outputMode === "oneHot" ? 1 : 4;
      return row(
        L.reshape({ inputShape: [1, size], targetShape: [size] }),
        L.categoryEncoding({ numTokens: 5, outputMode }),
      );
    },
  })),
  ...(["add", "multiply", "average", "maximum", "minimum"] as const).map((kind) => ({
    title: `${kind} of two to four tensors`,
    seeds: 6,
    model: (chance: Chance) => {
      const { inputs, outputs } = branches(chance, chance.int(2, 4));
      return tf.model({
        inputs,
        outputs: (L[kind] as (args: object) => tf.layers.Layer)({}).apply(outputs) as tf.SymbolicTensor,
      });
    },
  })),
  ...(["add", "multiply", "average", "maximum"] as const).map((kind) => ({
    title: `${kind} of tensors of unequal rank and size`,
    seeds: 6,
    model: (chance: Chance) => {
      const input = tf.input({ shape: [4, 5, 3] });
      const conv = L.conv2d({ filters: 3, kernelSize: 1 }).apply(input) as tf.SymbolicTensor;
      const pooled = L.globalAveragePooling2d({}).apply(conv) as tf.SymbolicTensor;
      const gate = L.dense({ units: 3 }).apply(pooled) as tf.SymbolicTensor;
      const shaped = L.reshape({ targetShape: [1, 1, 3] }).apply(gate) as tf.SymbolicTensor;
      const operands = chance.pick([
        [conv, gate],
        [gate, conv],
        [conv, shaped],
        [input, gate],
        [conv, input, gate],
      ]);
      return tf.model({
        inputs: input,
        outputs: (L[kind] as (args: object) => tf.layers.Layer)({}).apply(operands) as tf.SymbolicTensor,
      });
    },
  })),
  {
    title: "Concatenate along any axis",
    seeds: 10,
    model: (chance) => {
      const { inputs, outputs } = branches(chance, chance.int(2, 3));
      const axis = chance.pick([-1, 1, 2, 3]);
      const output = L.concatenate({ axis }).apply(outputs) as tf.SymbolicTensor;
      return tf.model({ inputs, outputs: output });
    },
  },
  {
    title: "Dot",
    seeds: 24,
    model: (chance) => {
      const shapes = chance.pick([
        { a: [4], b: [4], axes: chance.pick([1, -1]) },
        { a: [4, 5], b: [4, 5], axes: chance.pick([1, 2, -1]) },
        { a: [4, 5], b: [5, 3], axes: [2, 1] },
        { a: [4, 5], b: [3, 4], axes: [1, 2] },
        { a: [4, 5], b: [5], axes: [2, 1] },
        { a: [4, 5], b: [4], axes: [1, 1] },
        { a: [5], b: [5, 3], axes: [1, 1] },
        { a: [5], b: [3, 5], axes: [1, 2] },
      ]);
      const inputs = [tf.input({ shape: shapes.a }), tf.input({ shape: shapes.b })];
      const layer = L.dot({ axes: shapes.axes as never, normalize: chance.pick([true, false]) });
      return tf.model({ inputs, outputs: layer.apply(inputs) as tf.SymbolicTensor });
    },
  },
  {
    title: "TimeDistributed",
    seeds: 6,
    model: (chance) =>
      row(
        L.timeDistributed({
          inputShape: [4, 6, 5, 2],
          layer: chance.pick([
            () => L.conv2d({ filters: 3, kernelSize: 2, padding: "same", activation: "relu" }),
            () => L.dense({ units: 3 }),
            () => L.flatten(),
            () => L.globalMaxPooling2d({}),
          ])(),
        }),
      ),
  },
]);
