// The model in models/shapes as it lies there: what stock tfjs makes of it, and what it says of itself.

import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs";
import { beforeAll, expect, it } from "vitest";
import { drawSet, SHAPE_IMAGE_SIZE, SHAPE_LABELS } from "../../src/image/draw-shapes.js";
import { quantize } from "../../src/quant/affine.js";
import { type LearnedQuantizers, learnedQuantization, parseLearned } from "../../src/quant/learned.js";

interface ModelFile {
  readonly modelTopology: object;
  readonly userDefinedMetadata: { readonly accuracy: Readonly<Record<string, number>> };
  readonly weightsManifest: readonly {
    readonly paths: readonly string[];
    readonly weights: tf.io.WeightsManifestEntry[];
  }[];
}

const folder = new URL("../../models/shapes/", import.meta.url);
const file = JSON.parse(readFileSync(new URL("model.json", folder), "utf8")) as ModelFile;
let model: tf.LayersModel;
let learned: LearnedQuantizers;

beforeAll(async () => {
  await tf.setBackend("cpu");
  const shard = readFileSync(new URL("weights.bin", folder));
  const artifacts: tf.io.ModelArtifacts = {
    modelTopology: file.modelTopology,
    weightSpecs: file.weightsManifest.flatMap(({ weights }) => weights),
    weightData: new Uint8Array(shard).buffer,
  };
  model = await tf.loadLayersModel(tf.io.fromMemory(artifacts));
  learned = parseLearned(file.userDefinedMetadata) as LearnedQuantizers;
});

it("names the classes in the order in which they are drawn", () => {
  expect(learned.labels).toEqual([...SHAPE_LABELS]);
  expect(model.outputs[0]?.shape).toEqual([null, SHAPE_LABELS.length]);
  expect(model.inputs[0]?.shape).toEqual([null, SHAPE_IMAGE_SIZE, SHAPE_IMAGE_SIZE, 3]);
});

it("classifies drawn images in float about as well as its card says", () => {
  const { pixels, labels } = drawSet(140, 77);
  const classes = tf.tidy(() => {
    const shape: [number, number, number, number] = [140, SHAPE_IMAGE_SIZE, SHAPE_IMAGE_SIZE, 3];
    const x = tf.tensor(Float32Array.from(pixels), shape).div(255);
    return (model.predict(x) as tf.Tensor).argMax(-1).dataSync();
  });
  const accuracy = labels.filter((label, i) => label === classes[i]).length / 140;
  // Four standard deviations of the share of 140 at 90 %.
  expect(accuracy).toBeGreaterThan((file.userDefinedMetadata.accuracy["latent"] as number) - 0.1);
});

it("loses at most five points at three bits, by its own account", () => {
  const { float, quantized } = file.userDefinedMetadata.accuracy;
  expect(quantized).toBeGreaterThanOrEqual((float as number) - 0.05);
});

it("carries a learned scale for every output channel, three bits within and eight at both ends", () => {
  const kernels = model.weights.filter(({ name }) => name.endsWith("kernel"));
  const found = kernels.map(({ name }) => {
    const quantizer = learned.quantizers.get(name);
    return `${name}: ${quantizer?.bits} bits, ${quantizer?.scale.length} scales`;
  });
  expect(found).toEqual([
    "conv1/kernel: 8 bits, 16 scales",
    "conv2/kernel: 3 bits, 24 scales",
    "conv3a/kernel: 3 bits, 32 scales",
    "conv3b/kernel: 3 bits, 32 scales",
    "conv3s/kernel: 3 bits, 32 scales",
    "depthwise4/depthwise_kernel: 3 bits, 32 scales",
    "conv4b/kernel: 3 bits, 64 scales",
    "conv5/kernel: 3 bits, 64 scales",
    "classes/kernel: 8 bits, 7 scales",
  ]);
});

it("carries learned scales for layers that are there, the operands of the Add on one", () => {
  const names = new Set([...model.layers.map(({ name }) => name), ...model.weights.map(({ name }) => name)]);
  for (const name of learned.quantizers.keys()) expect(names).toContain(name);
  expect(learned.quantizers.get("bn3b")).toEqual(learned.quantizers.get("bn3s"));
});

it("uses at least seven of the eight levels of its three-bit weights in each layer", () => {
  const weights = model.getWeights().map((value, i) => ({ value, name: model.weights[i]?.name ?? "" }));
  for (const { value, name } of weights) {
    const quantizer = learned.quantizers.get(name);
    if (quantizer?.bits !== 3) continue;
    const axis = name.endsWith("depthwise_kernel") ? 2 : value.rank - 1;
    const quantization = learnedQuantization(quantizer, axis, value.shape[axis] as number, name);
    const q = quantize(value.dataSync() as Float32Array, value.shape, quantization);
    const levels = new Set(q);
    expect({ name, enough: levels.size >= 7 }).toEqual({ name, enough: true });
  }
});
