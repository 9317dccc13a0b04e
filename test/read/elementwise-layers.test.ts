// Oracle: tfjs (cpu) against ONNX Runtime on our float export, random shapes and attributes.

import * as tf from "@tensorflow/tfjs";
import { expect, test } from "vitest";
import { chance as chanceOf, row, testLayers, type Chance } from "../support/layer-cases.js";
import {
  compareGraph,
  configsOf,
  floatBytes,
  parseSaved,
  randomizeWeights,
  saveLayersModel,
  seeded,
} from "../support/layers-models.js";
import type { Tensor } from "../../src/base/tensor.js";
import { readLayersModel } from "../../src/read/layers-model.js";
import { cpuRuntime } from "../../src/runtime/cpu.js";

const L = tf.layers;
const SHAPES = [[5], [6, 3], [4, 5, 3]];
const ACTIVATIONS = [
  "elu",
  "selu",
  "relu",
  "relu6",
  "linear",
  "sigmoid",
  "hardSigmoid",
  "softplus",
  "softsign",
  "tanh",
  "softmax",
  "logSoftmax",
  "swish",
  "mish",
  "gelu",
  "gelu_new",
];

/** The layer as it is, and after a convolution, where the value is held with its channels first. */
function placed(chance: Chance, layer: (args: { inputShape?: number[] }) => tf.layers.Layer): tf.Sequential {
  if (chance.pick([true, false])) return row(layer({ inputShape: chance.pick(SHAPES) }));
  return row(L.conv2d({ inputShape: [4, 5, 2], filters: 3, kernelSize: 1 }), layer({}));
}

testLayers([
  ...ACTIVATIONS.map((activation) => ({
    title: `Activation ${activation}`,
    seeds: 4,
    model: (chance: Chance) =>
      placed(chance, (args) => L.activation({ ...args, activation: activation as never })),
  })),
  ...ACTIVATIONS.map((activation) => ({
    title: `Dense with ${activation}`,
    seeds: 2,
    model: (chance: Chance) =>
      row(L.dense({ inputShape: chance.pick(SHAPES), units: 4, activation: activation as never })),
  })),
  {
    title: "ReLU",
    model: (chance) =>
      placed(chance, (args) => L.reLU({ ...args, ...chance.pick([{}, { maxValue: 6 }, { maxValue: 0.5 }]) })),
  },
  {
    title: "LeakyReLU",
    model: (chance) =>
      placed(chance, (args) => L.leakyReLU({ ...args, ...chance.pick([{}, { alpha: 0.1 }, { alpha: 0 }]) })),
  },
  { title: "ELU", model: (chance) => placed(chance, (args) => L.elu(args)) },
  {
    title: "ThresholdedReLU",
    model: (chance) => placed(chance, (args) => L.thresholdedReLU({ ...args, theta: 0.7 })),
  },
  {
    title: "PReLU",
    seeds: 10,
    model: (chance) =>
      chance.pick([true, false])
        ? row(L.prelu({ inputShape: chance.pick(SHAPES), sharedAxes: chance.pick([[], [1]]) }))
        : row(
            L.conv2d({ inputShape: [4, 5, 2], filters: 3, kernelSize: 1 }),
            L.prelu({ sharedAxes: chance.pick([[], [1], [1, 2], [3], [1, 2, 3]]) }),
          ),
  },
  {
    title: "Softmax",
    seeds: 10,
    model: (chance) => {
      const axis = chance.pick([-1, [-1], [1, 2], [2, 3], [1, 3]]);
      return chance.pick([true, false])
        ? row(L.softmax({ inputShape: [4, 3, 5], axis }))
        : row(L.conv2d({ inputShape: [4, 5, 2], filters: 3, kernelSize: 1 }), L.softmax({ axis }));
    },
  },
  {
    title: "Softmax with its default axis",
    seeds: 1,
    model: () => row(L.softmax({ inputShape: [7] })),
  },
  {
    title: "BatchNormalization over the last axis",
    seeds: 10,
    model: (chance) =>
      placed(chance, (args) =>
        L.batchNormalization({
          ...args,
          axis: chance.pick([-1, ...(args.inputShape ? [args.inputShape.length] : [3])]),
          center: chance.pick([true, false]),
          scale: chance.pick([true, false]),
          epsilon: chance.pick([1e-3, 0.1]),
        }),
      ),
  },
  {
    title: "LayerNormalization over any axes",
    seeds: 12,
    model: (chance) => {
      const args = { center: chance.pick([true, false]), scale: chance.pick([true, false]), epsilon: 0.01 };
      return row(
        L.conv2d({ inputShape: [4, 5, 2], filters: 3, kernelSize: 1 }),
        L.layerNormalization({
          ...args,
          axis: chance.pick([-1, 1, [1, 2], [2, 3], [1, 3], [3, 1], [1, 2, 3]]),
        }),
      );
    },
  },
  {
    title: "LayerNormalization of vectors and sequences",
    model: (chance) => row(L.layerNormalization({ inputShape: chance.pick([[6], [5, 4]]) })),
  },
  {
    title: "Rescaling",
    model: (chance) =>
      placed(chance, (args) => L.rescaling({ ...args, scale: 1 / 127.5, offset: chance.pick([0, -1]) })),
  },
  {
    title: "Rescaling by one number a channel",
    model: (chance) => {
      const list = (): never => Array.from({ length: 3 }, () => 0.5 + chance.number()) as never;
      const layer = { scale: list(), offset: chance.pick([list(), -1]) };
      return chance.pick([
        () => row(L.rescaling({ ...layer, inputShape: chance.pick([[3], [4, 3], [4, 5, 3]]) })),
        () => row(L.conv2d({ inputShape: [4, 5, 2], filters: 3, kernelSize: 2 }), L.rescaling(layer)),
        () => row(L.conv1d({ inputShape: [5, 2], filters: 3, kernelSize: 2 }), L.rescaling(layer)),
      ])();
    },
  },
  {
    title: "An int32 input into a layer of reals",
    options: { integersBelow: 9 },
    seeds: 3,
    model: (chance) =>
      row(L.inputLayer({ inputShape: [5], dtype: "int32" }), chance.pick([L.dense({ units: 3 }), L.prelu()])),
  },
  {
    title: "Masking",
    options: { integersBelow: 2 },
    model: (chance) =>
      chance.pick([true, false])
        ? row(L.masking({ inputShape: [9, 2], maskValue: 1 }))
        : row(L.conv1d({ inputShape: [9, 2], filters: 2, kernelSize: 1 }), L.masking({ maskValue: 0 })),
  },
  ...(["dropout", "gaussianDropout", "alphaDropout"] as const).map((kind) => ({
    title: `${kind}, the identity at inference,`,
    seeds: 1,
    model: () => row(L.dense({ inputShape: [4], units: 5 }), L[kind]({ rate: 0.5 })),
  })),
  {
    title: "gaussianNoise and spatialDropout1d, identities at inference,",
    seeds: 1,
    model: () =>
      row(
        L.conv1d({ inputShape: [8, 2], filters: 3, kernelSize: 2 }),
        L.gaussianNoise({ stddev: 1 }),
        L.spatialDropout1d({ rate: 0.4 }),
      ),
  },
]);

// tfjs's cpu backend normalizes over another axis than the last with the parameters of the wrong channels
// (it repeats them along the last axis), so there the oracle brings the axis to the end by Permute layers.
test("BatchNormalization over another axis computes what tfjs computes with that axis moved last", async () => {
  for (let seed = 1; seed <= 8; seed++) {
    const pick = chanceOf(seed);
    const convolved = pick.pick([true, false]);
    const axis = pick.int(1, 2);
    const args = { center: pick.pick([true, false]), scale: pick.pick([true, false]) };
    const first = (): tf.layers.Layer =>
      convolved
        ? L.conv2d({ inputShape: [4, 5, 2], filters: 3, kernelSize: 1 })
        : L.activation({ inputShape: [4, 5, 3], activation: "linear" });
    const model = row(first(), L.batchNormalization({ axis, ...args }));
    randomizeWeights(model, seeded(seed));
    const last = axis === 1 ? [3, 2, 1] : [1, 3, 2];
    const oracle = row(
      first(),
      L.permute({ dims: last }),
      L.batchNormalization(args),
      L.permute({ dims: last }),
    );
    oracle.setWeights(model.getWeights());
    const { json, weights } = parseSaved(await saveLayersModel(model));
    const { difference, magnitude } = await compareGraph(oracle, readLayersModel(json, weights), { seed });
    expect(magnitude).toBeGreaterThan(0);
    expect(difference / magnitude, `seed ${seed} axis ${axis}`).toBeLessThan(2e-5);
  }
});

// tfjs reads max_value alone, so the oracle for the whole layer is its definition.
test.each([
  [{ negative_slope: 0.5 }, (x: number) => (x < 0 ? 0.5 * x : x)],
  [{ threshold: 1 }, (x: number) => (x < 1 ? 0 : x)],
  [
    { max_value: 1.5, negative_slope: 0.25, threshold: 0.5 },
    (x: number) => (x < 0.5 ? 0.25 * (x - 0.5) : Math.min(x, 1.5)),
  ],
])("ReLU with %o computes its definition", async (config, formula) => {
  const saved = await saveLayersModel(row(L.reLU({ inputShape: [9] })));
  Object.assign(configsOf(saved)[0] ?? {}, config);
  const { json, weights } = parseSaved(saved);
  const session = await cpuRuntime.open({ bytes: floatBytes(readLayersModel(json, weights)) });
  const data = Float32Array.of(-3, -1, -0.25, 0, 0.25, 0.5, 1, 1.25, 4);
  const input = session.inputs[0]?.name ?? "";
  const results = await session.run({ [input]: { dtype: "float32", shape: [1, 9], data } });
  const y = results[session.outputs[0]?.name ?? ""] as Tensor;
  expect([...(y.data as Float32Array)]).toEqual([...data].map(formula));
  await session.dispose();
});
