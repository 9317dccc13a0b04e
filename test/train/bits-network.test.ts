// One network for several bits: that each bits' integers are those of its file, and that nothing of one leaks into another.

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { noProgress } from "../../src/base/progress.js";
import { exportModel } from "../../src/export/export-model.js";
import { inspectModel } from "../../src/export/inspect-model.js";
import { type Recipe, recipeOf } from "../../src/graph/recipe.js";
import { rangePreprocessing } from "../../src/image/preprocessing.js";
import { compareTrained } from "../../src/parity/trained.js";
import { parseLearned } from "../../src/quant/learned.js";
import { useBackend } from "../../src/train/backends/backends.js";
import { BitsNetwork, modelAtBits } from "../../src/train/bits-network.js";
import type { Batch } from "../../src/train/data/batch.js";
import { openClassifier } from "../../src/train/evaluation/classifier.js";
import { IntegerNetwork } from "../../src/train/integer-network.js";
import { createMethod } from "../../src/train/methods/create-method.js";
import type { Method } from "../../src/train/methods/method.js";
import type { Guidance } from "../../src/train/methods/method-options.js";
import { builtInModel } from "../../src/train/models/built-in.js";
import { TrainingNetwork } from "../../src/train/network.js";
import type { Evaluated } from "../../src/train/objective.js";
import { onnxNetwork } from "../../src/train/onnx-network.js";
import { exportedGraph } from "./onnx-networks.js";
import { readTeacher } from "../../src/train/teacher.js";
import { loadModel, saveModel, type TrainableModel } from "../../src/train/trainable-model.js";

const BITS = [2, 3, 8];
const recipe = (bits: number): Recipe => recipeOf({ weightBits: bits, activationBits: bits });
const OPTIONS = {
  granularity: "channel",
  statistics: "batch",
  scaleParameterization: "log",
  preprocessing: rangePreprocessing(0, 1),
  labels: ["a", "b", "c", "d"],
} as const;

let folder: string;
beforeAll(async () => {
  await useBackend("wasm");
  folder = await mkdtemp(join(tmpdir(), "qdg-bits-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.each(["layers-model", "ONNX file"] as const)("a %s that was trained for several bits", (kind) => {
  let path: string;
  let model: TrainableModel;
  beforeAll(async () => {
    const network = made(source(kind), "next");
    train(network, 10);
    path = await saveModel(join(folder, kind), network.toModel(), { force: true });
    model = network.toModel();
    network.dispose();
  });

  it.each(BITS)("gives at %i bits a file of the very integers that training evaluates", async (bits) => {
    const integers = await IntegerNetwork.create(modelAtBits(model, bits));
    const output = join(folder, `${kind}-${bits}.onnx`);
    const result = await exportModel({ model: path, output, bits, force: true });
    expect(result.scales).toBe("learned");
    expect(Object.values(result.bits).map(([ofWeights]) => ofWeights)).toContain(bits);
    const parity = await compareTrained(integers, await readFile(output), "cpu", [
      images(20, 7),
      images(5, 8),
    ]);
    expect(parity).toMatchObject({ images: 25, mismatches: {}, predictionsDiffer: 0, unmatched: [] });
    expect(parity.tensors).toBeGreaterThan(3);
    integers.dispose();
  });

  it("has statistics of normalization for each bits: those of others give other integers", async () => {
    const own = modelAtBits(model, 2);
    const borrowed = { ...own, weights: modelAtBits(model, 8).weights };
    const integers = await IntegerNetwork.create(borrowed);
    const output = join(folder, `${kind}-own.onnx`);
    await exportModel({ model: path, output, bits: 2, force: true });
    const { mismatches } = await compareTrained(integers, await readFile(output), "cpu", [images(20, 7)]);
    expect(Object.keys(mismatches).length).toBeGreaterThan(0);
    integers.dispose();
  });

  it("reads back as it was written, and another run begins from it", async () => {
    const again = await loadModel(path);
    expect(parseLearned(again.userDefinedMetadata)).toEqual(parseLearned(model.userDefinedMetadata));
    const network = TrainingNetwork.create(again, { ...OPTIONS, recipe: recipe(4) });
    network.initialize(images(8, 1));
    const next = parseLearned(network.toModel().userDefinedMetadata);
    expect([next?.byBits, next?.quantizers.size]).toEqual([undefined, network.quantizers.length + 1]);
    network.dispose();
  });

  it("is not exported, evaluated or made a teacher without saying which bits", async () => {
    const output = join(folder, "none.onnx");
    const wrong: readonly (readonly [() => Promise<unknown>, RegExp])[] = [
      [() => exportModel({ model: path, output }), /--bits: got none, expected one of 2, 3, 8/],
      [() => exportModel({ model: path, output, bits: 5 }), /--bits: got 5, expected one of 2, 3, 8/],
      [
        () => exportModel({ model: path, output, bits: 3, activationBits: 8 }),
        /got 8 bits asked for, but its scales were learned at 3/,
      ],
      [() => IntegerNetwork.create(model), /was trained for each of 2, 3 and 8 bits; take it at one/],
      [
        () => openClassifier(path, ["cpu"], {}, noProgress),
        /was trained for each of 2, 3 and 8 bits, and cpu would run one of them; export it with qdg-export --bits 2/,
      ],
      [
        () => readTeacher(path, { classes: null, imageSize: 8, preprocessing: OPTIONS.preprocessing }),
        /has learned scales: it is a quantized network/,
      ],
    ];
    for (const [work, says] of wrong) await expect(work()).rejects.toThrow(says);
  });

  it("is said to have them, and is a float network all the same", async () => {
    const inspection = await inspectModel(path);
    expect(inspection.learnedBits).toEqual(BITS);
    expect(inspection.learnedQuantizers).toBeGreaterThan(5);
    const output = join(folder, `${kind}-float.onnx`);
    expect((await exportModel({ model: path, output, float: true, force: true })).scales).toBe("float");
    expect((await openClassifier(path, ["float"], {}, noProgress)).quantized).toBe(false);
  });
});

describe("a network for several bits", () => {
  it("is at each of them the network that is made for it alone", () => {
    const model = source("layers-model");
    const network = made(model, "none");
    const batch = images(12, 3);
    for (const bits of BITS) {
      const alone = TrainingNetwork.create(model, { ...OPTIONS, recipe: recipe(bits) });
      alone.initialize(batch);
      const [one, other] = [
        alone.evaluate(batch, { updateStatistics: false }),
        network.evaluate(batch, { updateStatistics: false, bits }),
      ];
      expect(other.loss).toBe(one.loss);
      const names = alone.trainables.map(({ name }) => name);
      network.trainables.forEach((trainable, i) => {
        const gradient = [...(other.gradients[i]?.dataSync() ?? [])];
        const [name = ""] = trainable.name.split("@");
        const expected =
          trainable.bits === undefined || trainable.bits === bits
            ? [...(one.gradients[names.indexOf(name)]?.dataSync() ?? [])]
            : gradient.map(() => 0);
        expect(gradient).toEqual(expected);
      });
      tf.dispose([one.gradients, other.gradients]);
      alone.dispose();
    }
    network.dispose();
  });

  it.each<[Guidance, readonly (number | null)[]]>([
    ["none", [null, null, null]],
    ["most", [null, 8, 8]],
    ["next", [null, 8, 3]],
  ])("guided by %s learns the labels and what was said at %o", (guidance, guides) => {
    const told = new Told();
    const network = new BitsNetwork(told as unknown as TrainingNetwork, BITS, guidance);
    network.setQuantized(true);
    for (const label of [0, 1]) {
      const batch = { x: tf.zeros([1, 1, 1, 1]) as tf.Tensor4D, labels: tf.tensor1d([label], "int32") };
      for (const [i, bits] of [8, 3, 2].entries()) {
        const { loss } = network.evaluate(batch, { updateStatistics: true, bits });
        const p = softmax(Told.SAID.get(bits) ?? []);
        const guide = guides[i];
        const t = [0, 1].map((k) => (k === label ? 1 : 0));
        const target =
          guide === null ? t : softmax(Told.SAID.get(guide ?? 0) ?? []).map((q, k) => (q + (t[k] ?? 0)) / 2);
        expect(loss).toBeCloseTo(-target.reduce((sum, each, k) => sum + each * Math.log(p[k] ?? 0), 0), 5);
      }
    }
  });

  it("goes on from its state bit for bit, its statistics of all bits included", () => {
    const model = source("layers-model");
    const [network, again] = [made(model, "next"), made(model, "next")];
    const method = train(network, 4);
    again.restore(network.state());
    const resumed = methodOf(again);
    resumed.restore(method.state());
    for (let step = 4; step < 7; step++) {
      method.step(network, images(8, step), step, 0.01);
      resumed.step(again, images(8, step), step, 0.01);
    }
    expect(again.state()).toEqual(network.state());
    expect(again.toModel().userDefinedMetadata).toEqual(network.toModel().userDefinedMetadata);
    const { arrays, values } = network.state();
    const other = { ...arrays, "statistics-by-bits/5/x": Float32Array.of(1) };
    expect(() => again.restore({ arrays: other, values })).toThrow(/other bits/);
    network.dispose();
    again.dispose();
  });

  it("holds no tensor more after a step than before", () => {
    const network = made(source("layers-model"), "next");
    const method = train(network, 2);
    const batch = images(8, 9);
    const before = tf.memory().numTensors;
    // Whoever asks in a tidy takes nothing away that waits.
    tf.tidy(() => {
      network.weightIntegers();
      network.logits(batch.x);
    });
    for (let step = 2; step < 5; step++) method.step(network, batch, step, 0.01);
    network.state();
    network.toModel();
    expect(tf.memory().numTensors).toBe(before);
    network.dispose();
  });
});

/** Says the same of every image, at each bits something else. */
class Told {
  static readonly SAID = new Map([
    [8, [2, -1]],
    [3, [0.5, 0.1]],
    [2, [-1, 1]],
  ]);
  readonly trainables = [];
  readonly quantizers = [];
  readonly statistics = [];
  #bits = 8;

  useBits(bits: number): void {
    this.#bits = bits;
  }

  setQuantized(): void {
    // It is one.
  }

  evaluate(batch: Batch): Evaluated {
    const loss = tf.tidy(() => {
      const logits = tf.tensor2d([Told.SAID.get(this.#bits) ?? []]);
      return (batch.loss as NonNullable<Batch["loss"]>)(logits, batch).dataSync()[0] as number;
    });
    return { loss, gradients: [] };
  }
}

function softmax(row: readonly number[]): number[] {
  const exps = row.map(Math.exp);
  const sum = exps.reduce((a, b) => a + b, 0);
  return exps.map((x) => x / sum);
}

/** Blobs of a colour that goes with the class, in noise. */
function images(count: number, seed: number): Batch {
  const noise = tf.tidy(() => tf.randomUniform([count, 8, 8, 3], 0, 0.5, "float32", seed).dataSync());
  const labels = Int32Array.from({ length: count }, (_, i) => (i + seed) % 4);
  const data = Float32Array.from(noise, (x, i) => {
    const label = labels[Math.floor(i / 192)] as number;
    return Math.fround(Math.round((x + (i % 3 === label ? 0.5 : 0.1 * label)) * 255) / 255);
  });
  return { x: tf.tensor4d(data, [count, 8, 8, 3]), labels: tf.tensor1d(labels, "int32") };
}

function source(kind: "layers-model" | "ONNX file"): TrainableModel {
  if (kind === "layers-model") return builtInModel("resnet8", { imageSize: 8, classes: 4, seed: 1 });
  return onnxNetwork(exportedGraph({ classes: 4 }), "nchw", null);
}

function made(model: TrainableModel, guidance: Guidance): BitsNetwork {
  const byBits = new Map(BITS.map((bits) => [bits, recipe(bits)]));
  const network = new BitsNetwork(
    TrainingNetwork.create(model, { ...OPTIONS, recipe: recipe(8), byBits }),
    BITS,
    guidance,
  );
  network.setQuantized(true);
  network.initialize(images(12, 3));
  return network;
}

function methodOf(network: BitsNetwork): Method<Batch> {
  return createMethod<Batch>("eq-net", network.trainables, { steps: 100, bitSet: BITS });
}

/** Some steps, and statistics that are estimated as before an evaluation. */
function train(network: BitsNetwork, steps: number): Method<Batch> {
  const method = methodOf(network);
  for (let step = 0; step < steps; step++) method.step(network, images(8, step), step, 0.02);
  const estimate = network.estimateStatistics();
  for (const seed of [20, 21]) estimate.add(images(16, seed).x);
  estimate.apply();
  return method;
}
