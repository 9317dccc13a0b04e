import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type LayersModel, saveLayersModel } from "../../bench/models/layers-model.js";
import { mobilenetV1 } from "../../bench/models/mobilenet.js";
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

function countWeights({ weights }: LayersModel): number {
  return weights.reduce((sum, weight) => sum + weight.data.length, 0);
}

const small: ResnetOptions = { blocks: [1, 2], width: 8, size: 24, classes: 10 };

describe.each<{ name: string; network: LayersModel; size: number }>([
  { name: "two 3x3", network: resnet(small), size: 24 },
  { name: "bottlenecks", network: resnet({ ...small, bottleneck: true, stem: "imagenet" }), size: 24 },
  { name: "open H and W", network: resnet({ ...small, size: null }), size: 24 },
  { name: "depthwise", network: mobilenetV1({ width: 0.25, size: 96, classes: 10 }), size: 96 },
])("a synthetic network of $name", ({ name, network, size }) => {
  test("loads in stock tfjs and is alive: no layer is constant, and the output depends on the input", async () => {
    const path = join(folder, name.replaceAll(" ", "-"), "model.json");
    const count = await saveLayersModel(path, network);
    const model = await load(path);
    expect(model.countParams()).toBe(count);
    const x = tf.tensor4d(gaussian(6 * size * size * 3, 3, 0.5), [6, size, size, 3]);
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
    expect(logits.shape).toEqual([6, 10]);
    const betweenImages = tf.moments(logits, [0]).variance.mean().dataSync()[0];
    expect(betweenImages).toBeGreaterThan(1e-3);
  });
});

test("the same seed gives the same weights, another seed others", () => {
  const first = resnet(small).weights;
  expect(resnet(small).weights).toEqual(first);
  expect(resnet({ ...small, seed: 2 }).weights[0]?.data).not.toEqual(first[0]?.data);
});

test("a network has as many weights as the one that it is named for, batch norm statistics among them", () => {
  const imagenet = { width: 64, size: 224, classes: 1000, stem: "imagenet" } as const;
  expect(countWeights(resnet({ ...imagenet, blocks: [2, 2, 2, 2] }))).toBe(11_689_512 + 9_600);
  expect(countWeights(resnet({ ...imagenet, blocks: [3, 4, 6, 3], bottleneck: true }))).toBe(
    25_557_032 + 53_120,
  );
  // MLPerf Tiny's, whose convolutions have 336 biases, and whose two shortcuts have no batch norm.
  const resnet8 = resnet({ blocks: [1, 1, 1], width: 16, size: 32, classes: 10 });
  expect(countWeights(resnet8)).toBe(78_666 - 336 + 4 * (32 + 64));
  // Keras's without its top, and a dense layer.
  expect(countWeights(mobilenetV1({ width: 0.25, size: 96, classes: 2 }))).toBe(218_544 + 2 * 256 + 2);
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
