// Oracle: tfjs (cpu) against ONNX Runtime on our float export, random shapes and attributes.

import * as tf from "@tensorflow/tfjs";
import { expect, test } from "vitest";
import { readLayersModel } from "../../src/read/layers-model.js";
import { chance as chanceOf, testLayers, row, type Chance } from "../support/layer-cases.js";
import {
  compareGraph,
  parseSaved,
  randomizeWeights,
  saveLayersModel,
  seeded,
} from "../support/layers-models.js";

const L = tf.layers;
const ACTIVATIONS = ["linear", "relu", "relu6", "elu", "tanh", "swish", "softmax"] as const;

/** Strides, or dilations, of a window: never both, as tfjs has it. */
function steps(chance: Chance, rank: number): { strides: number[]; dilationRate: number[] } {
  const dilated = chance.int(0, 2) === 0;
  const list = (high: number): number[] => Array.from({ length: rank }, () => chance.int(1, high));
  return dilated
    ? { strides: Array(rank).fill(1) as number[], dilationRate: list(3) }
    : { strides: list(3), dilationRate: Array(rank).fill(1) as number[] };
}

function image(chance: Chance, format: "channelsLast" | "channelsFirst", rank = 2): number[] {
  const space = Array.from({ length: rank }, () => chance.int(8, 12));
  const channels = chance.int(1, 4);
  return format === "channelsLast" ? [...space, channels] : [channels, ...space];
}

const formats = ["channelsLast", "channelsFirst"] as const;
const paddings = ["same", "valid"] as const;

testLayers([
  ...formats.map((dataFormat) => ({
    title: `Conv2D ${dataFormat}`,
    seeds: 10,
    model: (chance: Chance) =>
      row(
        L.conv2d({
          inputShape: image(chance, dataFormat),
          dataFormat,
          filters: chance.int(1, 5),
          kernelSize: [chance.int(1, 4), chance.int(1, 4)],
          padding: chance.pick(paddings),
          activation: chance.pick(ACTIVATIONS),
          useBias: chance.pick([true, false]),
          ...(steps(chance, 2) as { strides: [number, number]; dilationRate: [number, number] }),
        }),
      ),
  })),
  ...formats.map((dataFormat) => ({
    title: `Conv2D ${dataFormat} of unknown height and width`,
    options: { sizes: { H: 11, W: 9 } },
    seeds: 10,
    model: (chance: Chance) => {
      const channels = chance.int(1, 4);
      return row(
        L.conv2d({
          inputShape: dataFormat === "channelsLast" ? [null, null, channels] : [channels, null, null],
          dataFormat,
          filters: 3,
          kernelSize: chance.int(1, 4),
          padding: chance.pick(paddings),
          ...(steps(chance, 2) as { strides: [number, number]; dilationRate: [number, number] }),
        }),
        L.maxPooling2d({
          poolSize: chance.pick([1, 3]),
          strides: chance.pick([1, 2, 3]),
          padding: "same",
          dataFormat,
        } as never),
        L.upSampling2d({ size: [2, 3], dataFormat }),
        L.zeroPadding2d({ padding: [chance.int(0, 2), 1], dataFormat }),
        L.averagePooling2d({ poolSize: 3, strides: 2, padding: "same", dataFormat }),
        L.globalAveragePooling2d({ dataFormat }),
      );
    },
  })),
  {
    title: "Conv1D",
    seeds: 8,
    model: (chance) =>
      row(
        L.conv1d({
          inputShape: [chance.int(8, 14), chance.int(1, 4)],
          filters: chance.int(1, 4),
          kernelSize: chance.int(1, 4),
          padding: chance.pick(paddings),
          activation: chance.pick(ACTIVATIONS),
          useBias: chance.pick([true, false]),
          strides: chance.int(1, 3),
        }),
        L.conv1d({ filters: 2, kernelSize: 2, dilationRate: chance.int(1, 2), padding: "same" }),
      ),
  },
  ...formats.map((dataFormat) => ({
    title: `Conv3D ${dataFormat}`,
    seeds: 4,
    model: (chance: Chance) =>
      row(
        L.conv3d({
          inputShape: image(chance, dataFormat, 3),
          dataFormat,
          filters: chance.int(1, 3),
          kernelSize: [chance.int(1, 3), chance.int(1, 3), chance.int(1, 3)],
          strides: chance.int(1, 2),
          padding: chance.pick(paddings),
          activation: "relu",
        }),
      ),
  })),
  ...formats.map((dataFormat) => ({
    title: `Conv2DTranspose ${dataFormat}`,
    seeds: 10,
    model: (chance: Chance) =>
      row(
        L.conv2dTranspose({
          inputShape: [chance.int(3, 5), chance.int(3, 5), chance.int(3, 5)],
          dataFormat,
          filters: chance.int(1, 4),
          kernelSize: [chance.int(1, 5), chance.int(1, 5)],
          strides: [chance.int(1, 4), chance.int(1, 4)],
          padding: chance.pick(paddings),
          activation: chance.pick(ACTIVATIONS),
          useBias: chance.pick([true, false]),
        }),
      ),
  })),
  {
    title: "Conv2DTranspose of unknown height and width",
    options: { sizes: { H: 4, W: 5 } },
    model: (chance) =>
      row(
        L.conv2dTranspose({
          inputShape: [null, null, 2] as never,
          filters: 2,
          kernelSize: chance.int(1, 4),
          strides: chance.int(1, 3),
          padding: chance.pick(paddings),
        }),
      ),
  },
  ...formats.map((dataFormat) => ({
    title: `Conv3DTranspose ${dataFormat}`,
    seeds: 4,
    model: (chance: Chance) =>
      row(
        (L as unknown as { conv3dTranspose(args: object): tf.layers.Layer }).conv3dTranspose({
          inputShape: [3, 4, 3, 2],
          dataFormat,
          filters: 2,
          kernelSize: chance.int(1, 3),
          strides: chance.int(1, 3),
          padding: chance.pick(paddings),
        }),
      ),
  })),
  ...formats.map((dataFormat) => ({
    title: `DepthwiseConv2D ${dataFormat}`,
    seeds: 10,
    model: (chance: Chance) =>
      row(
        L.depthwiseConv2d({
          inputShape: image(chance, dataFormat),
          dataFormat,
          depthMultiplier: chance.int(1, 3),
          kernelSize: [chance.int(1, 4), chance.int(1, 4)],
          padding: chance.pick(paddings),
          activation: chance.pick(ACTIVATIONS),
          useBias: chance.pick([true, false]),
          strides: [chance.int(1, 2), chance.int(1, 2)],
        }),
      ),
  })),
  ...formats.map((dataFormat) => ({
    title: `SeparableConv2D ${dataFormat}`,
    seeds: 8,
    options: {
      // tfjs does not save it, and could not load its own file.
      mend: ([config]: Record<string, unknown>[], model: tf.LayersModel) => {
        Object.assign(config ?? {}, {
          depth_multiplier: (
            model.layers.find((layer) => layer.getClassName() === "SeparableConv2D") as unknown as {
              depthMultiplier: number;
            }
          ).depthMultiplier,
        });
      },
    },
    model: (chance: Chance) =>
      row(
        L.separableConv2d({
          inputShape: image(chance, dataFormat),
          dataFormat,
          filters: chance.int(2, 4),
          depthMultiplier: chance.int(1, 3),
          kernelSize: [chance.int(1, 3), chance.int(1, 3)],
          padding: chance.pick(paddings),
          activation: chance.pick(ACTIVATIONS),
          useBias: dataFormat === "channelsLast" && chance.pick([true, false]),
          ...(steps(chance, 2) as { strides: [number, number]; dilationRate: [number, number] }),
        }),
      ),
  })),
  ...formats.flatMap((dataFormat) =>
    (["maxPooling2d", "averagePooling2d"] as const).map((pool) => ({
      title: `${pool} ${dataFormat}`,
      seeds: 8,
      model: (chance: Chance) =>
        row(
          L[pool]({
            inputShape: image(chance, dataFormat),
            dataFormat,
            poolSize: [chance.int(1, 4), chance.int(1, 4)],
            ...(chance.pick([true, false]) ? { strides: [chance.int(1, 3), chance.int(1, 3)] } : {}),
            padding: chance.pick(paddings),
          } as never),
        ),
    })),
  ),
  ...(["maxPooling3d", "averagePooling3d"] as const).map((pool) => ({
    title: pool,
    seeds: 4,
    model: (chance: Chance) => {
      const dataFormat = chance.pick(formats);
      return row(
        L[pool]({
          inputShape: image(chance, dataFormat, 3),
          dataFormat,
          poolSize: chance.int(1, 3),
          strides: chance.int(1, 3),
          padding: chance.pick(paddings),
        }),
      );
    },
  })),
  ...(["maxPooling1d", "averagePooling1d"] as const).map((pool) => ({
    title: pool,
    model: (chance: Chance) =>
      row(
        L[pool]({
          inputShape: [chance.int(6, 12), chance.int(1, 3)],
          poolSize: chance.int(1, 4),
          strides: chance.int(1, 3),
          padding: chance.pick(paddings),
        }),
      ),
  })),
  ...(["globalMaxPooling2d", "globalAveragePooling2d"] as const).map((pool) => ({
    title: pool,
    model: (chance: Chance) => {
      const dataFormat = chance.pick(formats);
      return row(L[pool]({ inputShape: image(chance, dataFormat), dataFormat }));
    },
  })),
  ...(["globalMaxPooling1d", "globalAveragePooling1d"] as const).map((pool) => ({
    title: pool,
    seeds: 2,
    model: (chance: Chance) => row(L[pool]({ inputShape: [chance.int(3, 9), chance.int(1, 4)] })),
  })),
  {
    title: "ZeroPadding2D",
    model: (chance) => {
      const dataFormat = chance.pick(formats);
      const padding = chance.pick([
        chance.int(0, 3),
        [chance.int(0, 2), chance.int(0, 2)],
        [
          [0, chance.int(0, 2)],
          [chance.int(0, 2), 1],
        ],
      ]);
      return row(
        L.zeroPadding2d({ inputShape: image(chance, dataFormat), dataFormat, padding: padding as never }),
      );
    },
  },
  {
    title: "Cropping2D",
    model: (chance) => {
      const dataFormat = chance.pick(formats);
      const cropping = [
        [chance.int(0, 3), chance.int(0, 3)],
        [chance.int(0, 3), chance.int(0, 3)],
      ] as [[number, number], [number, number]];
      return row(L.cropping2D({ inputShape: image(chance, dataFormat), dataFormat, cropping }));
    },
  },
  ...(["nearest", "bilinear"] as const).map((interpolation) => ({
    title: `UpSampling2D ${interpolation}`,
    model: (chance: Chance) => {
      const dataFormat = chance.pick(formats);
      return row(
        L.upSampling2d({
          inputShape: image(chance, dataFormat),
          dataFormat,
          interpolation,
          size: [chance.int(1, 4), chance.int(1, 4)],
        }),
      );
    },
  })),
  {
    title: "CenterCrop",
    seeds: 10,
    model: (chance) =>
      // tfjs writes the crop's size into its input's shape: the convolution keeps the model's own intact.
      row(
        L.conv2d({ inputShape: [chance.int(6, 12), chance.int(6, 8), 2], filters: 2, kernelSize: 1 }),
        L.centerCrop({ height: chance.int(1, 6), width: chance.int(4, 6) }),
      ),
  },
  {
    title: "a network with nchw inputs and outputs",
    options: { layout: "nchw" },
    model: (chance) =>
      row(
        L.conv2d({ inputShape: [8, 7, 3], filters: 4, kernelSize: 3, padding: chance.pick(paddings) }),
        L.batchNormalization(),
        L.conv2d({ filters: 2, kernelSize: 2 }),
      ),
  },
  {
    title: "a one-dimensional network with channels first inputs and outputs",
    options: { layout: "nchw" },
    seeds: 2,
    model: () =>
      row(L.conv1d({ inputShape: [9, 3], filters: 4, kernelSize: 3 }), L.maxPooling1d({ poolSize: 2 })),
  },
]);

// tfjs leaves the dilation of this layer out, so the oracle is a separable convolution whose second half is the identity.
test("DepthwiseConv2D with a dilation computes what a dilated SeparableConv2D computes", async () => {
  for (let seed = 1; seed <= 8; seed++) {
    const pick = chanceOf(seed);
    const depthMultiplier = pick.int(1, 3);
    const args = {
      inputShape: image(pick, "channelsLast"),
      kernelSize: [pick.int(1, 3), pick.int(2, 3)] as [number, number],
      dilationRate: [pick.int(1, 3), pick.int(2, 3)] as [number, number],
      padding: pick.pick(paddings),
      depthMultiplier,
    };
    const model = row(L.depthwiseConv2d(args));
    randomizeWeights(model, seeded(seed));
    const [kernel, bias] = model.getWeights() as [tf.Tensor, tf.Tensor];
    const filters = bias.size;
    const oracle = row(L.separableConv2d({ ...args, filters }));
    oracle.setWeights([kernel, tf.eye(filters).reshape([1, 1, filters, filters]), bias]);
    const { json, weights } = parseSaved(await saveLayersModel(model));
    const { difference, magnitude } = await compareGraph(oracle, readLayersModel(json, weights), { seed });
    expect(magnitude).toBeGreaterThan(0);
    expect(difference / magnitude, `seed ${seed} ${JSON.stringify(args)}`).toBeLessThan(2e-5);
  }
});
