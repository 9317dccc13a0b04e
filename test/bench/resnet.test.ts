import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { saveLayersModel } from "../../bench/models/layers-model.js";
import type { ResnetOptions } from "../../bench/models/resnet.js";
import { resnet } from "../../bench/models/resnet.js";
import { gaussian } from "../support/arbitrary.js";

let folder = "";
beforeAll(async () => {
  await tf.setBackend("cpu");
  folder = await mkdtemp(join(tmpdir(), "qdg-resnet-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Loads a model from disk with tfjs's own loader. */
async function load(path: string): Promise<tf.LayersModel> {
  const json = JSON.parse(await readFile(path, "utf8")) as tf.io.ModelJSON;
  const manifest = json.weightsManifest[0] as tf.io.WeightsManifestConfig[number];
  const shards = await Promise.all(manifest.paths.map((name) => readFile(join(path, "..", name))));
  return tf.loadLayersModel({
    load: () =>
      Promise.resolve({
        modelTopology: json.modelTopology,
        weightSpecs: manifest.weights,
        weightData: new Uint8Array(Buffer.concat(shards)).buffer,
      }),
  });
}

function countWeights(options: ResnetOptions): number {
  return resnet(options).weights.reduce((sum, weight) => sum + weight.data.length, 0);
}

const small: ResnetOptions = { blocks: [1, 2], width: 8, size: 24, classes: 10 };

describe.each<{ name: string; options: ResnetOptions; outputs: number[] }>([
  { name: "two 3x3", options: small, outputs: [6, 10] },
  { name: "bottlenecks", options: { ...small, bottleneck: true, stem: "imagenet" }, outputs: [6, 10] },
  { name: "open H and W", options: { ...small, size: null }, outputs: [6, 10] },
])("a synthetic network of $name", ({ name, options, outputs }) => {
  test("loads in stock tfjs and is alive: no layer is constant, and the output depends on the input", async () => {
    const path = join(folder, name.replaceAll(" ", "-"), "model.json");
    const count = await saveLayersModel(path, resnet(options));
    const model = await load(path);
    expect(model.countParams()).toBe(count);
    const x = tf.tensor4d(gaussian(6 * 24 * 24 * 3, 3, 0.5), [6, 24, 24, 3]);
    const relus = model.layers.filter((layer) => layer.name.includes("relu"));
    const watched = tf.model({
      inputs: model.inputs,
      outputs: [...relus.map((layer) => layer.output as tf.SymbolicTensor), ...model.outputs],
    });
    const values = watched.predict(x) as tf.Tensor[];
    const logits = values.pop() as tf.Tensor;
    for (const value of values) {
      const variance = tf.moments(value, [0, 1, 2]).variance.dataSync();
      const alive = variance.filter((channel) => channel > 1e-3).length;
      expect(alive / variance.length).toBeGreaterThan(0.9);
      expect(Math.max(...variance)).toBeLessThan(30);
    }
    expect(logits.shape).toEqual(outputs);
    const betweenImages = tf.moments(logits, [0]).variance.mean().dataSync()[0];
    expect(betweenImages).toBeGreaterThan(1e-3);
  });
});

test("the same seed gives the same weights, another seed others", () => {
  const first = resnet(small).weights;
  expect(resnet(small).weights).toEqual(first);
  expect(resnet({ ...small, seed: 2 }).weights[0]?.data).not.toEqual(first[0]?.data);
});

test("ResNet-18 and ResNet-50 have the weights that those networks have, batch norm statistics among them", () => {
  const imagenet = { width: 64, size: 224, classes: 1000, stem: "imagenet" } as const;
  expect(countWeights({ ...imagenet, blocks: [2, 2, 2, 2] })).toBe(11_689_512 + 9_600);
  expect(countWeights({ ...imagenet, blocks: [3, 4, 6, 3], bottleneck: true })).toBe(25_557_032 + 53_120);
});

test("weights are split into shards of 4 MB", async () => {
  const path = join(folder, "wide", "model.json");
  const count = await saveLayersModel(path, resnet({ ...small, width: 192 }));
  const shards = (await readdir(join(folder, "wide"))).filter((name) => name.endsWith(".bin"));
  const sizes = await Promise.all(shards.map(async (name) => (await stat(join(folder, "wide", name))).size));
  expect(shards.length).toBe(Math.ceil((4 * count) / 2 ** 22));
  expect(shards.length).toBeGreaterThan(1);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(4 * count);
  expect(Math.max(...sizes)).toBe(2 ** 22);
});
