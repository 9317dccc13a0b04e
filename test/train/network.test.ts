// A network in training: what its numbers are before, during and after, and that the file which is exported from
// it holds the very integers that evaluation computes.

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { exportModel } from "../../src/export/export-model.js";
import { recipeOf } from "../../src/graph/recipe.js";
import { drawSet, SHAPE_IMAGE_SIZE } from "../../src/image/draw-shapes.js";
import { rangePreprocessing } from "../../src/image/preprocessing.js";
import { compareTrained } from "../../src/parity/trained.js";
import { useBackend } from "../../src/train/backends/backends.js";
import type { Batch } from "../../src/train/data/batch.js";
import { IntegerNetwork } from "../../src/train/integer-network.js";
import { type LayersModel, loadLayersModel, saveLayersModel } from "../../src/train/layers-model-file.js";
import { builtInModel } from "../../src/train/models/built-in.js";
import { type NetworkOptions, TrainingNetwork } from "../../src/train/network.js";
import { describeOnBackends } from "./support/backends.js";

const OPTIONS: NetworkOptions = {
  recipe: recipeOf({ weightBits: 3, activationBits: 3 }),
  granularity: "channel",
  statistics: "batch",
  scaleParameterization: "log",
  preprocessing: rangePreprocessing(0, 1),
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "qdg-network-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describeOnBackends((backend) => {
  beforeAll(() => useBackend(backend));

  it.each(["channel", "tensor"] as const)(
    "trains to the very integers of the file, on cpu and wasm, one scale a %s",
    async (granularity) => {
      const network = TrainingNetwork.create(resnet(), { ...OPTIONS, granularity });
      const batch = images(16, 1);
      network.initialize(batch);
      for (let step = 0; step < 8; step++) descend(network, batch, 0.02);
      const model = network.toModel();
      const integers = await IntegerNetwork.create(model);
      const path = join(folder, `${backend}-${granularity}`, "model.json");
      await saveLayersModel(path, model, { force: true });
      const output = join(folder, `${backend}-${granularity}.onnx`);
      for (const form of ["integer", "float"] as const) {
        await exportModel({ model: path, output, form, force: true });
        const bytes = await readFile(output);
        for (const target of ["cpu", "wasm"] as const) {
          const result = await compareTrained(integers, bytes, target, [images(20, 7), images(5, 8)]);
          expect(result).toMatchObject({
            images: 25,
            mismatches: {},
            predictionsDiffer: 0,
            unmatched: [],
            dead: [],
          });
          expect(result.tensors).toBeGreaterThan(8);
        }
      }
      integers.dispose();
      network.dispose();
    },
  );

  it.each<[string, Partial<NetworkOptions>, readonly [number, number]]>([
    ["W3A3", {}, [3, 3]],
    ["W3A8", { recipe: recipeOf({ weightBits: 3 }) }, [3, 8]],
    ["weights of 3 bits alone", { weightsOnly: true }, [3, 0]],
  ])("is exported with --bits 3 as without when it was trained at %s", async (title, options, bits) => {
    const network = TrainingNetwork.create(resnet(), { ...OPTIONS, ...options });
    const batch = images(8, 4);
    network.initialize(batch);
    descend(network, batch, 0.02);
    const model = join(folder, `${backend}-${title.replaceAll(" ", "-")}`, "model.json");
    await saveLayersModel(model, network.toModel(), { force: true });
    network.dispose();
    const files: Buffer[] = [];
    for (const asked of [{}, { bits: 3 }, { weightBits: 3 }]) {
      const output = model.replace(".json", ".onnx");
      const result = await exportModel({ model, output, force: true, ...asked });
      expect(Object.values(result.bits)).toContainEqual(bits);
      files.push(await readFile(output));
    }
    expect(files.every((file) => file.equals(files[0] as Buffer))).toBe(true);
    const wrong = exportModel({ model, output: join(folder, "wrong.onnx"), bits: 4 });
    await expect(wrong).rejects.toThrow(/got 4 bits asked for, but its scales were learned at 3/);
  });

  it("says which bits were asked for in vain", () => {
    const layers = { classes: { activationBits: 4 } };
    const recipe = recipeOf({ weightBits: 3, activationBits: 3, layers });
    const network = TrainingNetwork.create(resnet(), { ...OPTIONS, recipe });
    expect(network.notes).toEqual([expect.stringMatching(/^classes: 4 activation bits have no effect/)]);
    network.dispose();
    // Of weights alone no activation is quantized, and none is missed.
    const weights = TrainingNetwork.create(resnet(), { ...OPTIONS, recipe, weightsOnly: true });
    expect(weights.notes).toEqual([]);
    weights.dispose();
  });

  it("computes in training, with its statistics still, what the integers stand for", async () => {
    const network = TrainingNetwork.create(resnet(), { ...OPTIONS, recipe: recipeOf({}) });
    const batch = images(32, 2);
    network.initialize(batch);
    for (let step = 0; step < 30; step++) descend(network, batch, 0.02);
    const integers = await IntegerNetwork.create(network.toModel());
    const own = tf.tidy(() => tf.softmax(network.logits(batch.x)).dataSync());
    const deployed = tf.tidy(() => integers.predict(batch.x).dataSync());
    // A rounding on a tie may fall to either side of it where sums are real; at 8 bits that moves little.
    own.forEach((p, i) => expect(Math.abs(p - (deployed[i] as number))).toBeLessThan(0.02));
    integers.dispose();
    network.dispose();
  });

  it("saves a model that stock tfjs loads, with the weights and statistics as they stand", async () => {
    const network = TrainingNetwork.create(resnet(), { ...OPTIONS, recipe: null });
    const batch = images(16, 3);
    for (let step = 0; step < 5; step++) descend(network, batch, 0.02);
    const path = join(folder, `stock-${backend}`, "model.json");
    await saveLayersModel(path, network.toModel());
    const { weightsManifest, modelTopology } = JSON.parse(await readFile(path, "utf8")) as {
      weightsManifest: { paths: string[]; weights: tf.io.WeightsManifestEntry[] }[];
      modelTopology: object;
    };
    const bytes = new Uint8Array(await readFile(join(path, "..", weightsManifest[0]?.paths[0] ?? "")));
    const stock = await tf.loadLayersModel(
      tf.io.fromMemory({
        modelTopology,
        weightSpecs: weightsManifest[0]?.weights ?? [],
        weightData: bytes.buffer,
      }),
    );
    const expected = tf.tidy(() => (stock.predict(batch.x) as tf.Tensor).dataSync());
    const got = tf.tidy(() => tf.softmax(network.logits(batch.x)).dataSync());
    expected.forEach((p, i) => expect(got[i]).toBeCloseTo(p, 5));
    stock.dispose();
    network.dispose();
  });

  it("has the gradients of its loss, by finite differences, in full precision and by batch statistics", () => {
    const network = TrainingNetwork.create(resnet(), { ...OPTIONS, recipe: null });
    const batch = images(6, 4);
    const { gradients } = network.evaluate(batch, { updateStatistics: false });
    const h = 1e-2;
    const picks = network.trainables.flatMap((trainable, i) => (i % 7 === 0 ? [{ trainable, i }] : []));
    for (const { trainable, i } of picks) {
      const { variable } = trainable;
      // Along the gradient itself, where the difference is largest.
      const gradient = gradients[i] as tf.Tensor;
      const norm = tf.tidy(() => tf.norm(gradient).dataSync()[0] as number);
      const at = (distance: number): number => {
        const before = variable.dataSync().slice();
        tf.tidy(() => variable.assign(tf.add(variable, tf.mul(gradient, distance / norm))));
        const { loss, gradients: unused } = network.evaluate(batch, { updateStatistics: false });
        tf.dispose(unused);
        tf.tidy(() => variable.assign(tf.tensor(before, variable.shape)));
        return loss;
      };
      expect((at(h) - at(-h)) / (2 * h) / norm, trainable.name).toBeCloseTo(1, 1);
    }
    tf.dispose(gradients);
    network.dispose();
  });

  it("keeps as many tensors alive over 20 steps as after the first", () => {
    const network = TrainingNetwork.create(resnet(), OPTIONS);
    const batch = images(8, 5);
    network.initialize(batch);
    descend(network, batch, 1e-3);
    const alive = tf.memory().numTensors;
    for (let step = 0; step < 20; step++) descend(network, batch, 1e-3);
    expect(tf.memory().numTensors).toBe(alive);
    network.dispose();
  });

  it("gets back its state bit for bit, and refuses that of another model", () => {
    const network = TrainingNetwork.create(resnet(), OPTIONS);
    const batch = images(8, 6);
    network.initialize(batch);
    descend(network, batch, 0.02);
    const state = network.state();
    const other = TrainingNetwork.create(resnet(), OPTIONS);
    other.restore(state);
    for (const each of [network, other]) descend(each, batch, 0.02);
    expect(other.state()).toEqual(network.state());
    const smaller = TrainingNetwork.create(
      builtInModel("resnet8", { imageSize: 8, classes: 3, seed: 1 }),
      OPTIONS,
    );
    expect(() => smaller.restore(state)).toThrow(/is of another model/);
    [network, other, smaller].forEach((each) => each.dispose());
  });

  it("moves the statistics of batch normalization in first passes alone", () => {
    const network = TrainingNetwork.create(resnet(), OPTIONS);
    const batch = images(8, 9);
    network.initialize(batch);
    const statistics = (): string =>
      JSON.stringify(Object.entries(network.state().arrays).filter(([name]) => name.includes("moving")));
    const before = statistics();
    tf.dispose(network.evaluate(batch, { updateStatistics: false }).gradients);
    expect(statistics()).toBe(before);
    tf.dispose(network.evaluate(batch, { updateStatistics: true }).gradients);
    expect(statistics()).not.toBe(before);
    network.dispose();
  });

  it("estimates those of several batches as if they were one, and gives the moving ones back", () => {
    const network = TrainingNetwork.create(resnet(), OPTIONS);
    const batch = images(12, 9);
    network.initialize(batch);
    // Later normalizations follow from how the first ones are computed, by their own batch: they tell nothing here.
    const first = (): [string, Float32Array][] =>
      Object.entries(network.state().arrays).filter(([name]) => /^bn1.*moving/.test(name));
    const before = network.state();
    const whole = network.estimateStatistics();
    whole.add(batch.x);
    const putBack = whole.hold();
    whole.apply();
    const expected = first();
    expect(expected).toHaveLength(2);
    const parts = network.estimateStatistics();
    for (const part of tf.split(batch.x, 3)) parts.add(part as tf.Tensor4D);
    parts.apply();
    first().forEach(([, values], i) => {
      values.forEach((value, c) => expect(value).toBeCloseTo(expected[i]?.[1][c] as number, 4));
    });
    expect(network.state()).not.toEqual(before);
    putBack();
    expect(network.state()).toEqual(before);
    network.dispose();
  });

  it("takes the model of models/shapes, with its depthwise convolution and its sum of branches", async () => {
    const model = await loadLayersModel("models/shapes/model.json");
    const network = TrainingNetwork.create(model, { ...OPTIONS, statistics: "frozen" });
    const { pixels, labels } = drawSet(16, 3);
    const size = SHAPE_IMAGE_SIZE;
    const x = tf.tensor4d(
      Float32Array.from(pixels, (pixel) => pixel / 255),
      [16, size, size, 3],
    );
    const batch = { x, labels: tf.tensor1d(Int32Array.from(labels), "int32") };
    network.initialize(batch);
    const first = descend(network, batch, 1e-3);
    for (let step = 0; step < 10; step++) descend(network, batch, 1e-3);
    expect(descend(network, batch, 1e-3)).toBeLessThan(first);
    // The operands of the sum share one quantizer.
    const ids = network.quantizers.filter(({ role }) => role === "activation").map(({ id }) => id);
    expect(ids.filter((id) => id === "bn3b" || id === "bn3s")).toHaveLength(1);
    expect(ids).not.toContain("input");
    network.dispose();
  });

  it("names the first layer whose values are not finite", () => {
    const model = resnet();
    const weights = new Map(model.weights);
    const [name, kernel] = [...weights].filter(([key]) => key.endsWith("kernel"))[3] as [string, never];
    const { shape, data } = kernel as { shape: number[]; data: Float32Array };
    weights.set(name, { dtype: "float32", shape, data: data.map(() => Number.NaN) });
    const network = TrainingNetwork.create({ ...model, weights }, { ...OPTIONS, recipe: null });
    const batch = images(2, 1);
    expect(network.firstNotFinite(batch.x)).toBe(name.split("/")[0]);
    network.dispose();
  });
});

function resnet(imageSize = 8): LayersModel {
  return builtInModel("resnet8", { imageSize, classes: 4, seed: 1 });
}

/** Blobs of a colour that goes with the class, in noise. */
function images(count: number, seed: number, size = 8): Batch {
  const noise = tf.tidy(() => tf.randomUniform([count, size, size, 3], 0, 0.5, "float32", seed).dataSync());
  const labels = Int32Array.from({ length: count }, (_, i) => (i + seed) % 4);
  const data = Float32Array.from(noise, (x, i) => {
    const label = labels[Math.floor(i / (size * size * 3))] as number;
    return Math.fround(Math.round((x + (i % 3 === label ? 0.5 : 0.1 * label)) * 255) / 255);
  });
  return { x: tf.tensor4d(data, [count, size, size, 3]), labels: tf.tensor1d(labels, "int32") };
}

/** One step of plain gradient descent. @returns the loss before it */
function descend(network: TrainingNetwork, batch: Batch, rate: number): number {
  const { loss, gradients } = network.evaluate(batch, { updateStatistics: true });
  tf.tidy(() =>
    network.trainables.forEach(({ variable }, i) =>
      variable.assign(tf.sub(variable, tf.mul(gradients[i] as tf.Tensor, rate))),
    ),
  );
  tf.dispose(gradients);
  network.constrain();
  return loss;
}
