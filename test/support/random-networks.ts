// Networks that nobody would draw: layers in random order over random tensors, several inputs and outputs,
// layers that are called twice, weights that are dead, huge, negative or all the same.

import * as tf from "@tensorflow/tfjs";
import { type Chance, chance } from "./layer-cases.js";
import { randomizeWeights, type SavedModel, saveLayersModel } from "./layers-models.js";

const L = tf.layers;
type Tensor = tf.SymbolicTensor;

interface Growing {
  readonly chance: Chance;
  /** Images so far. */
  readonly tensors: Tensor[];
  /** Those that something reads. */
  readonly read: Set<Tensor>;
  /** Layers that can be called again on a tensor of the same shape. */
  readonly layers: { readonly layer: tf.layers.Layer; readonly shape: string }[];
}

/**
 * A network of about `size` layers, with random weights, as it is once saved and loaded: tfjs mixes up the calls
 * of a layer that was called before a layer it reads was in the list, and what it loads is what counts.
 */
export async function randomNetwork(
  seed: number,
  size = 10,
): Promise<{ readonly model: tf.LayersModel; readonly saved: SavedModel }> {
  const built = build(seed, size);
  const saved = await saveLayersModel(built);
  const { modelTopology, weightsManifest } = saved.json as {
    modelTopology: object;
    weightsManifest: { weights: tf.io.WeightsManifestEntry[] }[];
  };
  const weightSpecs = weightsManifest.flatMap(({ weights }) => weights);
  const weightData = new Uint8Array(saved.weights).buffer;
  const model = await tf.loadLayersModel(tf.io.fromMemory({ modelTopology, weightSpecs, weightData }));
  built.dispose();
  return { model, saved };
}

function build(seed: number, size: number): tf.LayersModel {
  const c = chance(seed * 31 + 7);
  const inputs = Array.from({ length: c.int(1, 2) }, () =>
    tf.input({ shape: [c.int(5, 8), c.int(5, 8), c.int(1, 4)] }),
  );
  const growing: Growing = { chance: c, tensors: [...inputs], read: new Set(), layers: [] };
  for (let i = 0; i < size; i++) grow(growing);
  for (const input of inputs) {
    if (!growing.read.has(input)) growing.tensors.push(call(growing, weighted(c), input));
  }
  const ends = growing.tensors.filter((tensor) => !growing.read.has(tensor)).slice(-3);
  const missing = growing.tensors.filter((tensor) => !growing.read.has(tensor)).slice(0, -3);
  const outputs = [...ends, ...missing].map((end) => finish(c, end));
  const model = tf.model({ inputs, outputs });
  randomizeWeights(model, () => c.number());
  for (const layer of model.layers) if (c.int(0, 3) === 0) damage(c, layer);
  return model;
}

function grow(growing: Growing): void {
  const { chance: c, tensors } = growing;
  const x = c.pick(tensors.slice(-4));
  const partner = tensors.filter((tensor) => tensor !== x && String(tensor.shape) === String(x.shape));
  const beside = tensors.filter(
    (tensor) => String(tensor.shape.slice(0, 3)) === String(x.shape.slice(0, 3)) && tensor !== x,
  );
  const again = growing.layers.filter(({ shape }) => shape === String(x.shape));
  const kind = c.int(0, 12);
  if (kind <= 2 && partner.length > 0) {
    const layer = c.pick([L.add, L.add, L.average, L.maximum, L.minimum, L.multiply])();
    const operands =
      c.int(0, 3) === 0 && partner.length > 1 ? [x, ...partner.slice(-2)] : [x, c.pick(partner)];
    tensors.push(call(growing, layer, ...operands));
  } else if (kind === 3 && beside.length > 0) {
    tensors.push(call(growing, L.concatenate(), x, c.pick(beside)));
  } else if (kind === 4 && again.length > 0) {
    tensors.push(call(growing, c.pick(again).layer, x));
  } else if (kind === 5) {
    tensors.push(gated(growing, x));
  } else if (kind <= 8) {
    tensors.push(call(growing, weighted(c), x));
  } else {
    const layer = simple(c, x);
    if (layer) tensors.push(call(growing, layer, x));
  }
}

function call({ read, layers }: Growing, layer: tf.layers.Layer, ...inputs: Tensor[]): Tensor {
  inputs.forEach((input) => read.add(input));
  const output = layer.apply(inputs.length === 1 ? (inputs[0] as Tensor) : inputs) as Tensor;
  if (inputs.length === 1 && output.rank === 4) layers.push({ layer, shape: String(inputs[0]?.shape) });
  return output;
}

function weighted(c: Chance): tf.layers.Layer {
  const activation = c.pick(["linear", "linear", "relu", "relu6", "tanh", "sigmoid", "elu"] as const);
  const args = {
    kernelSize: c.int(1, 3),
    padding: "same" as const,
    strides: c.pick([1, 1, 1, 2]),
    useBias: c.int(0, 1) === 1,
    activation,
  };
  const filters = c.int(1, 6);
  return c.pick([
    () => L.conv2d({ ...args, filters }),
    () => L.conv2d({ ...args, filters }),
    () => L.depthwiseConv2d({ ...args, depthMultiplier: c.int(1, 2) }),
    () => L.separableConv2d({ ...args, filters }),
    () => L.conv2dTranspose({ ...args, filters }),
    () => L.dense({ units: filters, activation }),
  ])();
}

function simple(c: Chance, x: Tensor): tf.layers.Layer | null {
  const [, h, w] = x.shape as number[];
  const large = (h as number) >= 4 && (w as number) >= 4;
  return c.pick([
    () => L.batchNormalization({ scale: c.int(0, 3) > 0, center: c.int(0, 3) > 0 }),
    () => L.batchNormalization({}),
    () => L.reLU(c.pick([{}, {}, { maxValue: 6 }, { negativeSlope: 0.25 }, { threshold: 0.5 }])),
    () => L.leakyReLU({ alpha: c.number() }),
    () => L.prelu({ sharedAxes: [1, 2] }),
    () => L.activation({ activation: c.pick(["tanh", "hardSigmoid", "softplus", "selu", "swish"]) }),
    () => L.maxPooling2d({ poolSize: 2, strides: large ? 2 : 1, padding: "same" }),
    () =>
      L.zeroPadding2d({
        padding: [
          [1, 0],
          [0, 2],
        ],
      }),
    () =>
      large
        ? L.cropping2D({
            cropping: [
              [1, 0],
              [0, 1],
            ],
          })
        : null,
    () => (large ? null : L.upSampling2d({ size: [2, 2] })),
    () => L.dropout({ rate: 0.5 }),
    () => (h === w ? L.permute({ dims: [2, 1, 3] }) : null),
    () => L.reshape({ targetShape: [w as number, h as number, x.shape[3] as number] }),
    () => (large ? L.averagePooling2d({ poolSize: 2, strides: 1 }) : null),
  ])();
}

/** Squeeze and excitation. */
function gated(growing: Growing, x: Tensor): Tensor {
  const channels = x.shape[3] as number;
  const pooled = call(growing, L.globalAveragePooling2d({ dataFormat: "channelsLast" }), x);
  const gate = call(
    growing,
    L.dense({ units: channels, activation: growing.chance.pick(["sigmoid", "relu"]) }),
    pooled,
  );
  return call(growing, L.multiply(), x, call(growing, L.reshape({ targetShape: [1, 1, channels] }), gate));
}

function finish(c: Chance, x: Tensor): Tensor {
  const pool = c.pick([
    L.globalAveragePooling2d({ dataFormat: "channelsLast" }),
    L.globalMaxPooling2d({ dataFormat: "channelsLast" }),
    L.flatten(),
  ]);
  return L.dense({ units: 3 }).apply(pool.apply(x)) as Tensor;
}

/** Weights as bad training leaves them. */
function damage(c: Chance, layer: tf.layers.Layer): void {
  for (const weight of layer.weights) {
    const channels = weight.shape.at(-1) ?? 1;
    const dead = Array.from({ length: channels }, () => c.int(0, 2) === 0);
    const how = c.pick(["zero", "tiny", "huge", "negative", "equal"] as const);
    const old = weight.read().dataSync();
    const values = Float32Array.from(old, (x, i) => {
      if (!dead[i % channels]) return x;
      switch (how) {
        case "zero":
          return 0;
        case "tiny":
          return x * 1e-12;
        case "huge":
          return x * 30;
        case "negative":
          return weight.originalName.includes("variance") ? x : -Math.abs(x);
        case "equal":
          return 0.5;
        default:
          return how satisfies never;
      }
    });
    weight.write(tf.tensor(values, weight.shape as number[]));
  }
}
