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

const SELF_TAUGHT: AskedTrainOptions = {
  ...TINY,
  method: "lsq",
  floatSteps: 4,
  logEvery: 1,
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
    for (const step of [3, 7]) {
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
      const { bits: _, ...rest } = TINY;
      const teacher = await savedResnet(`of-${method}`, 1);
      const options = { ...rest, method, steps: 6, window: 2, logEvery: 1 };
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

test("a step of two passes asks its teacher once", async () => {
  await useBackend("wasm");
  const model = builtInModel("resnet8", { imageSize: 8, classes: 7, seed: 1 });
  const network = TrainingNetwork.create(model, {
    recipe: null,
    granularity: "channel",
    statistics: "batch",
    scaleParameterization: "log",
    preprocessing: null,
  });
  let asked = 0;
  const teacher = new Teacher(model);
  const probabilities = teacher.probabilities.bind(teacher);
  teacher.probabilities = (x) => {
    asked++;
    return probabilities(x);
  };
  const taught = new TaughtNetwork(network, { teacher, sha256: "" });
  const method = createMethod<Batch>("sagm", taught.trainables, { steps: 2 });
  for (const step of [0, 1]) {
    const batch: Batch = {
      x: tf.randomUniform([4, 8, 8, 3], 0, 1, "float32", step),
      labels: tf.tensor1d([0, 1, 2, 3], "int32"),
    };
    method.step(taught, batch, step, 1e-3);
    disposeBatch(batch);
  }
  expect(asked).toBe(2);
  method.dispose();
  taught.dispose();
});

async function savedResnet(name: string, seed: number): Promise<string> {
  const path = join(folder, name, "model.json");
  await saveLayersModel(path, builtInModel("resnet8", { imageSize: 8, classes: 7, seed }), { force: true });
  return path;
}
