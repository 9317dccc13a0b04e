// Runs with a teacher: from when it counts, how often it is asked, and that stopping leaves no trace.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { useBackend } from "../../../src/train/backends/backends.js";
import { type Batch, disposeBatch } from "../../../src/train/data/batch.js";
import { saveLayersModel } from "../../../src/train/layers-model-file.js";
import { builtInModel } from "../../../src/train/models/built-in.js";
import { createMethod } from "../../../src/train/methods/create-method.js";
import { TrainingNetwork } from "../../../src/train/network.js";
import { silentObserver } from "../../../src/train/run/observer.js";
import { TaughtNetwork } from "../../../src/train/run/taught-network.js";
import type { AskedTrainOptions } from "../../../src/train/run/train-options.js";
import { train } from "../../../src/train/run/train.js";
import { Teacher } from "../../../src/train/teacher.js";
import { contentOf, stopAfter, TINY } from "./tiny-run.js";

const { window: _windowOfGaqat, ...REST } = TINY;
const SELF_TAUGHT: AskedTrainOptions = {
  ...REST,
  method: "lsq",
  steps: 8,
  floatSteps: 4,
  logEvery: 1,
  evalEvery: 8,
  teacher: "self",
};

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "qdg-taught-"));
});
afterAll(() => rm(folder, { recursive: true }));

const losses = async (out: string): Promise<number[]> =>
  (await contentOf(out)).log.map((line) => (line as { loss: number }).loss);

describe("a run that is its own teacher", () => {
  test("learns from itself when its quantizers begin, and goes on as if never stopped", async () => {
    const [plain, whole] = [join(folder, "plain"), join(folder, "whole")];
    await train({ options: { ...SELF_TAUGHT, teacher: null }, out: plain });
    const counts: number[] = [];
    const observer = { ...silentObserver, stepped: () => void counts.push(tf.memory().numTensors) };
    await train({ options: SELF_TAUGHT, out: whole, observer });
    const [without, taught] = [await losses(plain), await losses(whole)];
    expect(taught.slice(0, 4)).toEqual(without.slice(0, 4));
    expect(taught.slice(4)).not.toEqual(without.slice(4));
    expect(new Set(counts.slice(5)).size).toBe(1);
    for (const step of [3, 6]) {
      const out = join(folder, `stopped-${step}`);
      await train({ options: SELF_TAUGHT, out, ...stopAfter(step) });
      expect(await train({ options: {}, out, resume: true })).toMatchObject({ finished: true });
      expect(await contentOf(out)).toEqual(await contentOf(whole));
    }
  });

  test("is no run that began without a teacher", async () => {
    const out = join(folder, "plain");
    await expect(train({ options: { teacher: "self" }, out, resume: true })).rejects.toThrow(
      /--teacher "self" \(was null\)/,
    );
  });
});

describe("a run with a model.json as its teacher", () => {
  test.each(["gaqat", "erm"])(
    "of %s learns from its first step on, and goes on as if never stopped",
    async (method) => {
      const { bits: _, window: __, ...rest } = TINY;
      const teacher = await savedResnet(`of-${method}`, 1);
      const options = { ...rest, method, steps: 4, logEvery: 1, evalEvery: 4 };
      const [plain, taught, stopped] = ["plain", "taught", "stopped"].map((name) =>
        join(folder, `${name}-${method}`),
      );
      await train({ options, out: plain as string });
      const notes: string[] = [];
      const observer = { ...silentObserver, note: (text: string) => void notes.push(text) };
      await train({ options: { ...options, teacher }, out: taught as string, observer });
      const without = await losses(plain as string);
      (await losses(taught as string)).forEach((loss, i) => expect(loss).not.toBe(without[i]));
      expect(notes.filter((note) => note.startsWith(`the teacher ${teacher}`))).toHaveLength(2);
      await train({ options: { ...options, teacher }, out: stopped as string, ...stopAfter(3) });
      await train({ options: {}, out: stopped as string, resume: true });
      expect(await contentOf(stopped as string)).toEqual(await contentOf(taught as string));
    },
  );

  test("does not go on with other weights in its place", async () => {
    const [teacher, out] = [await savedResnet("changing", 1), join(folder, "changed")];
    await train({ options: { ...TINY, teacher }, out, ...stopAfter(3) });
    await savedResnet("changing", 2);
    await expect(train({ options: {}, out, resume: true })).rejects.toMatchObject({
      code: "invalid-data",
      message: expect.stringMatching(
        /--teacher: got a model of hash \w{64}, expected .*\(\w{64}\)/,
      ) as string,
    });
  });
});

describe("a network with a teacher", () => {
  const model = builtInModel("resnet8", { imageSize: 8, classes: 4, seed: 1 });
  const network = (): TrainingNetwork =>
    TrainingNetwork.create(model, {
      recipe: null,
      granularity: "channel",
      statistics: "frozen",
      scaleParameterization: "log",
      preprocessing: null,
    });
  beforeAll(async () => void (await useBackend("wasm")));

  test("has the mean of cross-entropy and divergence from the teacher as its loss, but for the teacher's entropy", () => {
    const teacher = new Teacher(builtInModel("resnet8", { imageSize: 8, classes: 4, seed: 2 }));
    const [taught, batch] = [new TaughtNetwork(network(), { teacher, sha256: "" }), batchOf(1)];
    const p = tf.tidy(() => tf.softmax(taught.logits(batch.x)).arraySync());
    const q = tf.tidy(() => teacher.probabilities(batch.x).arraySync());
    const expected = p.map((row, n) => {
      const said = q[n] as number[];
      const crossEntropy = -Math.log(row[n] as number);
      const divergence = sumOf(said.map((each, k) => each * Math.log(each / (row[k] as number))));
      const entropy = -sumOf(said.map((each) => each * Math.log(each)));
      return (crossEntropy + divergence + entropy) / 2;
    });
    const { loss, gradients } = taught.evaluate(batch, { updateStatistics: false });
    expect(loss).toBeCloseTo(sumOf(expected) / 4, 5);
    // Of the bias of the head: the mean over the batch of p - t.
    const bias = taught.trainables.findIndex(({ variable }) => variable.shape.join() === "4");
    const gradient = (gradients[bias] as tf.Tensor).dataSync();
    [0, 1, 2, 3].forEach((k) => {
      const each = p.map((row, n) => (row[k] as number) - ((n === k ? 1 : 0) + (q[n]?.[k] as number)) / 2);
      expect(gradient[k]).toBeCloseTo(sumOf(each) / 4, 5);
    });
    disposeBatch(batch);
    tf.dispose(gradients);
    taught.dispose();
  });

  test("without labels learns what the teacher says alone: of one that says the same there is no gradient", () => {
    const [taught, batch] = [
      new TaughtNetwork(network(), { teacher: new Teacher(model), sha256: "" }, true),
      batchOf(1),
    ];
    const { gradients } = taught.evaluate(batch, { updateStatistics: false });
    gradients.forEach((gradient) =>
      expect(Math.max(...gradient.dataSync().map(Math.abs))).toBeLessThan(1e-6),
    );
    disposeBatch(batch);
    tf.dispose(gradients);
    taught.dispose();
  });

  test("asks it once in a step of two passes", () => {
    const teacher = new Teacher(model);
    const probabilities = teacher.probabilities.bind(teacher);
    let asked = 0;
    teacher.probabilities = (x) => {
      asked++;
      return probabilities(x);
    };
    const taught = new TaughtNetwork(network(), { teacher, sha256: "" });
    const method = createMethod<Batch>("sagm", taught.trainables, { steps: 2 });
    for (const step of [0, 1]) {
      const batch = batchOf(step);
      method.step(taught, batch, step, 1e-3);
      disposeBatch(batch);
    }
    expect(asked).toBe(2);
    method.dispose();
    taught.dispose();
  });
});

async function savedResnet(name: string, seed: number): Promise<string> {
  const path = join(folder, name, "model.json");
  await saveLayersModel(path, builtInModel("resnet8", { imageSize: 8, classes: 7, seed }), { force: true });
  return path;
}

function batchOf(seed: number): Batch {
  return {
    x: tf.randomUniform([4, 8, 8, 3], 0, 1, "float32", seed),
    labels: tf.tensor1d([0, 1, 2, 3], "int32"),
  };
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, each) => sum + each, 0);
}
