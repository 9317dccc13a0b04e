// Other image sizes: what stock tfjs makes of the edited model, and the errors where weights or layers do not fit.

import * as tf from "@tensorflow/tfjs";
import { describe, expect, test } from "vitest";
import { type LayersModel, loadLayersModel } from "../../src/train/layers-model-file.js";
import { graphOf } from "../../src/train/trainable-model.js";
import { builtInModel } from "../../src/train/models/built-in.js";
import { replaceHead } from "../../src/train/replace-head.js";
import { resizeInput } from "../../src/train/resize-input.js";
import { compareWithTfjs, modelOf, scaleWeight } from "../support/stock-tfjs.js";
import { SHARED } from "../support/needs.js";

const { layers } = tf;
const inputShape = [12, 12, 3];
const conv = (args: object = {}): tf.layers.Layer =>
  layers.conv2d({ filters: 4, kernelSize: 3, strides: 2, name: "body", ...args });
const tail = (): tf.layers.Layer[] => [
  layers.globalAveragePooling2d({ name: "gap" }),
  layers.dense({ units: 3, activation: "softmax", name: "d" }),
];

async function expectSize(model: LayersModel, size: number): Promise<tf.LayersModel> {
  const { stock, graph, difference, magnitude } = await compareWithTfjs(model);
  expect(graph.inputs[0]?.shape).toEqual(["N", size, size, 3]);
  expect(stock.inputs[0]?.shape).toEqual([null, size, size, 3]);
  expect(magnitude).toBeGreaterThan(0);
  expect(difference).toBeLessThan(1e-5);
  return stock;
}

describe("a model that pools globally takes another size", () => {
  test.each<[string, () => tf.LayersModel]>([
    ["Sequential by its first layer", () => tf.sequential({ layers: [conv({ inputShape }), ...tail()] })],
    [
      "Sequential with an InputLayer",
      () => tf.sequential({ layers: [layers.inputLayer({ inputShape }), conv(), ...tail()] }),
    ],
    [
      "Model",
      () => {
        const x = tf.input({ shape: inputShape });
        const y = [conv(), ...tail()].reduce((value, layer) => layer.apply(value) as tf.SymbolicTensor, x);
        return tf.model({ inputs: x, outputs: y });
      },
    ],
    [
      "Sequential of a Model in a Sequential, as Teachable Machine writes it",
      () => {
        const x = tf.input({ shape: inputShape });
        const inner = tf.model({ inputs: x, outputs: conv().apply(x) as tf.SymbolicTensor });
        const features = tf.sequential({ layers: [inner, layers.globalAveragePooling2d({ name: "gap" })] });
        const head = tf.sequential({ layers: [layers.dense({ units: 3, inputShape: [4], name: "d" })] });
        return tf.sequential({ layers: [features, head] });
      },
    ],
    [
      "Model around a Model and a Sequential that declare shapes of their own",
      () => {
        const x = tf.input({ shape: inputShape });
        const inner = tf.sequential({ layers: [conv({ inputShape })] });
        const pool = tf.sequential({
          layers: [
            layers.conv2d({ filters: 4, kernelSize: 2, inputShape: [5, 5, 4], name: "c2" }),
            ...tail(),
          ],
        });
        const features = inner.apply(x) as tf.SymbolicTensor;
        return tf.model({ inputs: x, outputs: pool.apply(features) as tf.SymbolicTensor });
      },
    ],
    [
      "Sequential of an InputLayer and two Sequentials",
      () =>
        tf.sequential({
          layers: [
            layers.inputLayer({ inputShape }),
            tf.sequential({ layers: [conv({ inputShape })] }),
            tf.sequential({
              layers: [
                layers.conv2d({ filters: 4, kernelSize: 2, inputShape: [5, 5, 4], name: "c2" }),
                ...tail(),
              ],
            }),
          ],
        }),
    ],
    [
      "Sequential of open size",
      () => tf.sequential({ layers: [conv({ inputShape: [null, null, 3] }), ...tail()] }),
    ],
    ["feature map", () => tf.sequential({ layers: [conv({ inputShape })] })],
  ])("%s", async (_, make) => {
    const before = await modelOf(make());
    const after = resizeInput(before, 17);
    expect(after.weights).toBe(before.weights);
    await expectSize(after, 17);
    // Nowhere on the way in does the old size stay, and shapes further on do.
    const said = JSON.stringify(after.topology);
    expect(said).not.toContain("12,12");
    expect(said.includes("5,5,4")).toBe(JSON.stringify(before.topology).includes("5,5,4"));
  });

  test.each([
    ["camelCase", (json: string) => json.replaceAll("batch_input_shape", "batchInputShape")],
    [
      "input_shape and batch_size",
      (json: string) =>
        json.replace('"batch_input_shape":[null,12,12,3]', '"batch_size":null,"input_shape":[12,12,3]'),
    ],
    [
      "the list of old versions",
      (json: string) => json.replace(/"config":\{"name":"[^"]*","layers":(\[.*\])\}\}$/, '"config":$1}'),
    ],
  ])("whose size is written as %s", async (_, spell) => {
    const model = await modelOf(tf.sequential({ layers: [conv({ inputShape }), ...tail()] }));
    const json = JSON.stringify({
      class_name: model.topology["class_name"],
      config: model.topology["config"],
    });
    const respelled = spell(json);
    expect(respelled).not.toBe(json);
    const after = resizeInput({ ...model, topology: JSON.parse(respelled) as LayersModel["topology"] }, 17);
    expect(graphOf(after).inputs[0]?.shape).toEqual(["N", 17, 17, 3]);
    expect(JSON.stringify(after.topology)).not.toContain("12,12");
  });

  test("and the outputs are those of a model made for that size", async () => {
    const [small, large] = [16, 40].map((imageSize) =>
      scaleWeight(builtInModel("resnet8", { imageSize, classes: 3, seed: 5 }), "classes/kernel", 0.1),
    ) as [LayersModel, LayersModel];
    expect(resizeInput(small, 40)).toEqual(large);
    await expectSize(resizeInput(small, 40), 40);
  });

  test("the same size gives the same model", () => {
    const model = builtInModel("resnet8", { imageSize: 16, classes: 3, seed: 5 });
    expect(resizeInput(model, 16)).toBe(model);
  });

  test("the model that was given stays as it was", () => {
    const model = builtInModel("resnet8", { imageSize: 16, classes: 3, seed: 5 });
    const copy = structuredClone(model.topology);
    resizeInput(model, 20);
    expect(model.topology).toEqual(copy);
  });

  test("Keras's notes on the sizes it has built do not stay behind", async () => {
    const model = await modelOf(tf.sequential({ layers: [conv({ inputShape }), ...tail()] }));
    const topology = structuredClone(model.topology) as {
      config: { layers: object[]; build_input_shape?: unknown };
    };
    topology.config.build_input_shape = [null, 12, 12, 3];
    topology.config.layers = topology.config.layers.map((layer) => ({
      ...layer,
      build_config: { input_shape: [null, 12, 12, 3] },
    }));
    const after = resizeInput({ ...model, topology: topology as unknown as LayersModel["topology"] }, 17);
    expect(JSON.stringify(after.topology)).not.toContain("12,12");
    await expectSize(after, 17);
  });
});

describe("what does not fit", () => {
  test.each<[string, () => tf.LayersModel, number, RegExp]>([
    [
      "Dense after Flatten, with the layer, the reason and the remedy",
      () =>
        tf.sequential({
          layers: [conv({ inputShape }), layers.flatten(), layers.dense({ units: 3, name: "d" })],
        }),
      17,
      /^d\/kernel: its weights are for images of 12x12, not 17 px .*Flatten.*GlobalAveragePooling2D/,
    ],
    [
      "PReLU with a slope for each place",
      () => tf.sequential({ layers: [conv({ inputShape }), layers.prelu({ name: "p" }), ...tail()] }),
      17,
      /^p\/alpha: its weights are for images of 12x12/,
    ],
    [
      "an image that is too small for a window, with the layer",
      () =>
        tf.sequential({
          layers: [
            conv({ inputShape }),
            layers.conv2d({ filters: 2, kernelSize: 5, name: "second" }),
            ...tail(),
          ],
        }),
      8,
      /^second \(Conv2D\): images of 8 px are too small: the window \[5, 5\] does not fit the space \[3, 3\]/,
    ],
    [
      "an image that is too small for pooling",
      () =>
        tf.sequential({
          layers: [conv({ inputShape }), layers.averagePooling2d({ poolSize: 5, name: "p" }), ...tail()],
        }),
      8,
      /^p \(AveragePooling2D\): images of 8 px are too small/,
    ],
    [
      "branches that no longer meet",
      () => {
        const x = tf.input({ shape: inputShape });
        const down = layers.maxPooling2d({ poolSize: 2, name: "down" }).apply(x);
        const up = layers.upSampling2d({ size: [2, 2], name: "up" }).apply(down) as tf.SymbolicTensor;
        const y = layers.concatenate({ name: "meet" }).apply([x, up]);
        return tf.model({
          inputs: x,
          outputs: layers.globalAveragePooling2d({}).apply(y) as tf.SymbolicTensor,
        });
      },
      17,
      /^meet \(Concatenate\): cannot be computed for images of 17 px \(the model was made for 12x12\)/,
    ],
    [
      "a fixed Reshape",
      () =>
        tf.sequential({ layers: [conv({ inputShape }), layers.reshape({ targetShape: [100], name: "r" })] }),
      17,
      /^r \(Reshape\): cannot be computed for images of 17 px/,
    ],
    [
      "a flattened output",
      () => tf.sequential({ layers: [conv({ inputShape }), layers.flatten({ name: "f" })] }),
      17,
      /^f: gives 256 numbers for images of 17 px, 100 for 12x12/,
    ],
    [
      "an input that is no image",
      () => tf.sequential({ layers: [layers.dense({ units: 3, inputShape: [7] })] }),
      17,
      /has inputs \[N, 7\], expected one of images/,
    ],
    [
      "channels first",
      () =>
        tf.sequential({
          layers: [conv({ inputShape: [3, 12, 12], dataFormat: "channelsFirst" })],
        }),
      17,
      /has its channels first, expected channels last/,
    ],
  ])("%s", async (_, make, size, message) => {
    const model = await modelOf(make());
    expect(() => resizeInput(model, size)).toThrow(message);
  });

  test.each([0, -8, 2.5, Number.NaN, 1e6])("an image size of %s", (size) => {
    const model = builtInModel("resnet8", { imageSize: 16, classes: 3, seed: 5 });
    expect(() => resizeInput(model, size)).toThrow(/image size: got .*expected an integer in 1..8192/);
  });
});

const MODELS = "../shared/models";
describe("real models", SHARED, () => {
  test("Teachable Machine's MobileNetV2 at 96 px and seven classes runs in stock tfjs", async () => {
    const model = await loadLayersModel(`${MODELS}/mobilenet-v2-035-224/model.json`);
    const stock = await expectSize(replaceHead(resizeInput(model, 96), 7, 1), 96);
    expect(stock.outputs[0]?.shape).toEqual([null, 7]);
  });

  test("darknet-tiny at 96 px and seven classes runs in stock tfjs", async () => {
    const model = await loadLayersModel(`${MODELS}/darknet-tiny-224/model.json`);
    const stock = await expectSize(replaceHead(resizeInput(model, 96), 7, 1), 96);
    expect(stock.outputs[0]?.shape).toEqual([null, 7]);
  });
});
