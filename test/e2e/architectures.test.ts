// Small networks built as well-known ones are, with random weights: the same integers on every runtime and in
// both forms, and near the float network at eight bits.

import * as tf from "@tensorflow/tfjs";
import { describe, expect, test } from "vitest";
import { randomizeWeights, seeded } from "../support/layers-models.js";
import { compareQuantized } from "../support/quantized-models.js";

const L = tf.layers;
type Tensor = tf.SymbolicTensor;

/** What is left at the least, by bits. */
const LEAST_SQNR_DB = { 8: 30, 4: 10, 3: 0 } as const;

interface Architecture {
  readonly title: string;
  readonly model: () => tf.LayersModel;
  /** Changes the random weights. */
  readonly weights?: (model: tf.LayersModel) => void;
}

function apply(layer: tf.layers.Layer, ...inputs: Tensor[]): Tensor {
  return layer.apply(inputs.length === 1 ? (inputs[0] as Tensor) : inputs) as Tensor;
}

function conv(x: Tensor, filters: number, kernelSize = 3, strides = 1): Tensor {
  return apply(L.conv2d({ filters, kernelSize, strides, padding: "same", useBias: false }), x);
}

function norm(x: Tensor): Tensor {
  return apply(L.batchNormalization({}), x);
}

function relu(x: Tensor, maxValue?: number): Tensor {
  return apply(L.reLU(maxValue === undefined ? {} : { maxValue }), x);
}

function classify(x: Tensor, units = 3): Tensor {
  return apply(L.dense({ units }), apply(L.globalAveragePooling2d({ dataFormat: "channelsLast" }), x));
}

function image(channels = 3, size = 8): Tensor {
  return tf.input({ shape: [size, size, channels] });
}

/** Sets a weight of the layer to what `value` gives for each element. */
function set(
  model: tf.LayersModel,
  layer: string,
  weight: string,
  value: (i: number, old: number) => number,
): void {
  const found = model.getLayer(layer).weights.find(({ originalName }) => originalName.endsWith(`/${weight}`));
  if (!found) throw new Error(`${layer} has no ${weight}`);
  const old = found.read().dataSync();
  found.write(
    tf.tensor(
      Float32Array.from(old, (x, i) => value(i, x)),
      found.shape as number[],
    ),
  );
}

const ARCHITECTURES: readonly Architecture[] = [
  {
    title: "a convolution that is called twice, with a batch norm of its own behind each call",
    model: () => {
      const [a, b] = [image(), image()];
      const shared = L.conv2d({ filters: 4, kernelSize: 3 });
      const sum = apply(L.add(), relu(norm(apply(shared, a))), relu(norm(apply(shared, b))));
      return tf.model({ inputs: [a, b], outputs: classify(sum) });
    },
  },
  {
    title: "a convolution and its batch norm, both called twice",
    model: () => {
      const [a, b] = [image(), image()];
      const shared = L.conv2d({ filters: 4, kernelSize: 3 });
      const bn = L.batchNormalization();
      const one = relu(apply(bn, apply(shared, a)));
      const two = relu(apply(bn, apply(shared, b)));
      return tf.model({ inputs: [a, b], outputs: classify(apply(L.concatenate(), one, two)) });
    },
  },
  {
    title: "a batch norm that is called behind two convolutions",
    model: () => {
      const x = image();
      const bn = L.batchNormalization();
      const sum = apply(L.add(), apply(bn, conv(x, 4)), apply(bn, conv(x, 4, 1)));
      return tf.model({ inputs: x, outputs: classify(relu(sum)) });
    },
  },
  {
    title: "a batch norm that is called twice, each time behind a ReLU",
    model: () => {
      const x = image();
      const bn = L.batchNormalization();
      const once = apply(bn, relu(conv(x, 4)));
      return tf.model({ inputs: x, outputs: classify(apply(bn, relu(conv(once, 4)))) });
    },
  },
  {
    title: "dense layers over the channels of images of two sizes, the batch open",
    model: () => {
      const x = image();
      const large = apply(L.dense({ units: 4, activation: "relu" }), x);
      const small = apply(L.dense({ units: 4, activation: "relu" }), conv(x, 3, 3, 2));
      const [a, b] = [large, small].map((y) => apply(L.globalMaxPooling2d({}), y)) as [Tensor, Tensor];
      return tf.model({ inputs: x, outputs: apply(L.dense({ units: 3 }), apply(L.concatenate(), a, b)) });
    },
  },
  {
    title: "rectifiers behind rectifiers, after a convolution and after average pooling",
    model: () => {
      const x = image();
      const y = relu(apply(L.conv2d({ filters: 4, kernelSize: 3, activation: "relu" }), x), 6);
      const pooled = relu(relu(apply(L.averagePooling2d({ poolSize: 2, strides: 1 }), y)));
      return tf.model({ inputs: x, outputs: classify(conv(pooled, 4)) });
    },
  },
  {
    title: "sums of a value with itself, whose halves are ties",
    model: () => {
      const x = image();
      const y = conv(x, 4);
      const twice = apply(L.add(), y, y);
      const squared = apply(L.multiply(), relu(y), relu(y));
      return tf.model({ inputs: x, outputs: classify(conv(apply(L.concatenate(), twice, squared), 4)) });
    },
  },
  {
    title: "a model in a model in a model, one of them called twice",
    model: () => {
      const block = tf.sequential({
        layers: [
          L.conv2d({ inputShape: [8, 8, 4], filters: 4, kernelSize: 3, padding: "same" }),
          L.batchNormalization(),
          L.reLU(),
        ],
      });
      const inner = image(4);
      const stage = tf.model({
        inputs: inner,
        outputs: apply(L.add(), apply(block, apply(block, inner)), inner),
      });
      const x = image();
      return tf.model({ inputs: x, outputs: classify(apply(stage, relu(norm(conv(x, 4))))) });
    },
  },
  {
    title: "a network with an image and numbers as inputs, and three outputs",
    model: () => {
      const [x, facts] = [image(), tf.input({ shape: [5] })];
      const features = relu(norm(conv(x, 6, 3, 2)));
      const pooled = apply(L.globalMaxPooling2d({}), features);
      const joined = apply(L.concatenate(), pooled, apply(L.dense({ units: 4, activation: "relu" }), facts));
      const hidden = apply(L.dense({ units: 6, activation: "tanh" }), joined);
      const outputs = [
        apply(L.dense({ units: 3, activation: "softmax" }), hidden),
        apply(L.dense({ units: 1, activation: "sigmoid" }), hidden),
        apply(L.conv2d({ filters: 2, kernelSize: 1 }), features),
      ];
      return tf.model({ inputs: [x, facts], outputs });
    },
  },
  {
    title: "a Siamese network that compares two images by Multiply, Average and Dot",
    model: () => {
      const tower = tf.sequential({
        layers: [
          L.conv2d({ inputShape: [8, 8, 3], filters: 4, kernelSize: 3, strides: 2 }),
          L.batchNormalization(),
          L.reLU(),
          L.flatten(),
          L.dense({ units: 6, activation: "relu" }),
        ],
      });
      const [a, b] = [image(), image()];
      const [x, y] = [apply(tower, a), apply(tower, b)];
      const merged = [
        apply(L.multiply(), x, y),
        apply(L.average(), x, y),
        apply(L.dot({ axes: -1, normalize: false }), x, y),
      ];
      const joined = apply(L.concatenate(), ...merged);
      return tf.model({ inputs: [a, b], outputs: apply(L.dense({ units: 2 }), joined) });
    },
  },
  {
    title: "pre-activation residual blocks: batch norm after Add, the sum read by three layers",
    model: () => {
      const input = image();
      let x = conv(input, 4);
      for (let i = 0; i < 2; i++) {
        const y = relu(norm(x));
        x = apply(L.add(), x, conv(relu(norm(conv(y, 4))), 4));
      }
      const down = relu(norm(x));
      x = apply(L.add(), conv(down, 6, 1, 2), conv(relu(norm(conv(down, 6, 3, 2))), 6));
      return tf.model({ inputs: input, outputs: classify(relu(norm(x))) });
    },
  },
  {
    title: "dense blocks: every layer reads the Concatenate of all before it, through batch norm and ReLU",
    model: () => {
      const input = image();
      let x = conv(input, 4);
      for (let i = 0; i < 3; i++) {
        x = apply(L.concatenate(), x, conv(relu(norm(x)), 3));
      }
      x = apply(L.averagePooling2d({ poolSize: 2 }), conv(relu(norm(x)), 5, 1));
      return tf.model({
        inputs: input,
        outputs: classify(relu(norm(apply(L.concatenate(), x, conv(x, 3))))),
      });
    },
  },
  {
    title: "squeeze and excitation: channels weighed by pooling, two dense layers and a sigmoid",
    model: () => {
      const input = image();
      const x = relu(norm(conv(input, 6)));
      const pooled = apply(L.globalAveragePooling2d({ dataFormat: "channelsLast" }), x);
      const squeezed = apply(L.dense({ units: 3, activation: "relu" }), pooled);
      const gate = apply(L.dense({ units: 6, activation: "sigmoid" }), squeezed);
      const weighed = apply(L.multiply(), x, apply(L.reshape({ targetShape: [1, 1, 6] }), gate));
      return tf.model({ inputs: input, outputs: classify(relu(norm(conv(weighed, 4)))) });
    },
  },
  {
    title: "a U-Net: down by pooling, up by Conv2DTranspose and UpSampling2D, joined by Concatenate",
    model: () => {
      const input = image(2);
      const top = relu(norm(conv(input, 4)));
      const middle = relu(norm(conv(apply(L.maxPooling2d({ poolSize: 2 }), top), 6)));
      const bottom = relu(norm(conv(apply(L.maxPooling2d({ poolSize: 2 }), middle), 8)));
      const up = apply(
        L.conv2dTranspose({ filters: 6, kernelSize: 2, strides: 2, padding: "same", activation: "relu" }),
        bottom,
      );
      const joined = relu(norm(conv(apply(L.concatenate(), up, middle), 6)));
      const up2 = apply(L.upSampling2d({ size: [2, 2] }), joined);
      const last = relu(norm(conv(apply(L.concatenate(), up2, top), 4)));
      return tf.model({ inputs: input, outputs: apply(L.conv2d({ filters: 2, kernelSize: 1 }), last) });
    },
  },
  {
    title: "inverted residual blocks: ReLU6, depthwise convolutions, a linear bottleneck added",
    model: () => {
      const input = image();
      let x = relu(norm(conv(input, 4, 3, 2)), 6);
      for (let i = 0; i < 2; i++) {
        let y = relu(norm(conv(x, 12, 1)), 6);
        y = apply(L.depthwiseConv2d({ kernelSize: 3, padding: "same", useBias: false }), y);
        x = apply(L.add(), x, norm(conv(relu(norm(y), 6), 4, 1)));
      }
      return tf.model({ inputs: input, outputs: classify(relu(norm(conv(x, 8, 1)), 6)) });
    },
  },
  {
    title: "dead channels: zero weights behind a tiny variance, gamma tiny, zero and negative",
    model: () => {
      const input = image();
      const first = apply(L.conv2d({ filters: 6, kernelSize: 3, useBias: false, name: "conv" }), input);
      const x = relu(apply(L.batchNormalization({ name: "bn" }), first));
      const depthwise = apply(L.depthwiseConv2d({ kernelSize: 3, useBias: false, name: "dw" }), x);
      const y = relu(apply(L.batchNormalization({ name: "bn2" }), depthwise), 6);
      return tf.model({ inputs: input, outputs: classify(y) });
    },
    weights: (model) => {
      set(model, "conv", "kernel", (i, old) => (i % 6 < 2 ? 0 : old));
      set(model, "bn", "moving_variance", (i, old) => (i < 2 ? 1e-12 : old));
      set(model, "bn", "gamma", (i, old) => [0.5, 1e-20, 1e-8, 0, -0.9, old][i] as number);
      set(model, "bn", "beta", (i, old) => [0.7, -0.3, 0.6, 0.4, old, old][i] as number);
      set(model, "dw", "depthwise_kernel", (i, old) => (i % 6 === 1 ? 0 : old));
      set(model, "bn2", "gamma", (i, old) => [1e-18, 0.8, 0, -1.2, old, -0.5][i] as number);
    },
  },
];

/** Bits of everything, and the ways to hold what can be negative. */
const SETTINGS = [
  { bits: 8 },
  { bits: 3, activationBits: 3, firstLastBits: 3, signedActivations: "signed" },
  { bits: 4, activationBits: 4, powerOfTwo: true },
] as const;

describe.each(ARCHITECTURES)("$title", ({ model, weights }) => {
  test.each(SETTINGS)("has the same integers on every runtime and in both forms: %j", async (setting) => {
    const seed = setting.bits;
    const built = model();
    randomizeWeights(built, seeded(seed));
    weights?.(built);
    const found = await compareQuantized(built, setting, { seed, keepWeights: true });
    expect(found.tensors).toBeGreaterThan(0);
    expect(found.mismatches).toEqual([]);
    expect(found.outputDifference).toBeLessThan(1e-5);
    expect(found.sqnrDb).toBeGreaterThan(LEAST_SQNR_DB[setting.bits]);
    built.dispose();
  });
});
