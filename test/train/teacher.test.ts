// What a teacher says, what it adds to the loss, and which models are refused as one.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { preprocessingToJson, rangePreprocessing } from "../../src/image/preprocessing.js";
import { useBackend } from "../../src/train/backends/backends.js";
import { type LayersModel, saveLayersModel } from "../../src/train/layers-model-file.js";
import { builtInModel } from "../../src/train/models/built-in.js";
import { TrainingNetwork } from "../../src/train/network.js";
import { type Lesson, readTeacher } from "../../src/train/teacher.js";
import { describeOnBackends } from "./support/backends.js";

const CLASSES = ["cat", "dog", "owl"];
const LESSON: Lesson = { classes: CLASSES, imageSize: 8, preprocessing: rangePreprocessing(-1, 1) };

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "qdg-teacher-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describeOnBackends((backend) => {
  beforeAll(() => useBackend(backend));

  it("says the probabilities of the float network by its moving statistics, of images made otherwise than its own", async () => {
    const model = resnet();
    const own = { range: [0, 255], mean: [10, 20, 30], std: [2, 3, 4], resize: "stretch" } as const;
    const path = await saved({
      ...model,
      ...saying({ preprocessing: preprocessingToJson(own), labels: CLASSES }),
    });
    const { teacher, notes } = await readTeacher(path, LESSON);
    const network = TrainingNetwork.create(model, {
      recipe: null,
      granularity: "channel",
      statistics: "frozen",
      scaleParameterization: "log",
      preprocessing: null,
    });
    const pixels = tf.randomUniform<tf.Rank.R4>([5, 8, 8, 3], 0, 256, "int32", 1);
    const expected = tf.tidy(() =>
      tf
        .softmax(network.logits(tf.div(tf.sub(tf.cast(pixels, "float32"), [10, 20, 30]), [2, 3, 4])))
        .dataSync(),
    );
    const got = teacher.probabilities(tf.tidy(() => tf.sub(tf.div(pixels, 127.5), 1)));
    got.dataSync().forEach((each, i) => expect(each).toBeCloseTo(expected[i] as number, 4));
    expect(notes).toEqual([]);
    for (const each of [teacher, network, got, pixels]) each.dispose();
  });
});

describe("a model.json as a teacher", () => {
  beforeAll(() => useBackend("wasm"));

  it("says what is taken for granted of it", async () => {
    const path = await saved(resnet({ imageSize: 16 }));
    const { teacher, notes } = await readTeacher(path, LESSON);
    expect(notes).toEqual([
      `the teacher ${path} is made for 16 x 16 pixels and sees 8 x 8`,
      `the teacher ${path} does not say how pixels become its input, and gets what the network gets`,
      `the teacher ${path} does not name its classes; they are taken to be cat, dog, owl`,
    ]);
    teacher.dispose();
  });

  it("has a hash of its weights and of what it says of itself", async () => {
    const hashes = new Set<string>();
    for (const model of [
      resnet(),
      resnet({ seed: 2 }),
      { ...resnet(), ...saying({ labels: CLASSES }) },
      resnet(),
    ]) {
      const { teacher, sha256 } = await readTeacher(await saved(model), LESSON);
      hashes.add(sha256);
      teacher.dispose();
    }
    expect(hashes.size).toBe(3);
  });

  const center = { range: [0, 1], mean: [0], std: [1], resize: "center-crop" };
  const scale = { bits: 3, signed: true, scale: [1] };
  it.each<[title: string, model: () => LayersModel, says: RegExp]>([
    ["of other outputs", () => resnet({ classes: 5 }), /has outputs \[\w+, 5\], expected one of \[N, 3\]/],
    [
      "of other classes",
      () => ({ ...resnet(), ...saying({ labels: ["a", "b", "c"] }) }),
      /classes are a, b, c, expected cat, dog, owl/,
    ],
    [
      "of independent classes",
      () => ending("sigmoid"),
      /ends in Sigmoid \(sigmoid\), expected a softmax, or logits/,
    ],
    ["of numbers that are no classes", () => ending("tanh"), /ends in Tanh \(values\)/],
    [
      "for images cut otherwise",
      () => ({ ...resnet(), ...saying({ preprocessing: center }) }),
      /by center-crop, expected stretch.*--resize center-crop/,
    ],
    [
      "that is quantized",
      () => ({ ...resnet(), ...saying({ quantizers: { "conv1/kernel": scale } }) }),
      /has learned scales/,
    ],
  ])("%s is refused", async (_, model, says) => {
    const path = await saved(model());
    const thrown = await readTeacher(path, LESSON).then(
      () => expect.unreachable(),
      (error: Error) => error,
    );
    expect(thrown).toMatchObject({ name: "QdgError", code: "usage", where: "--teacher" });
    expect(thrown.message).toContain(path);
    expect(thrown.message).toMatch(says);
  });

  it("that is not there, or no model, is refused with its path", async () => {
    await expect(readTeacher(join(folder, "none.json"), LESSON)).rejects.toMatchObject({ code: "not-found" });
    const path = join(folder, "text.json");
    await writeFile(path, "{");
    await expect(readTeacher(path, LESSON)).rejects.toMatchObject({ code: "invalid-json" });
  });
});

function resnet(changes: { imageSize?: number; classes?: number; seed?: number } = {}): LayersModel {
  return builtInModel("resnet8", { imageSize: 8, classes: CLASSES.length, seed: 1, ...changes });
}

/** A network whose last activation is another. */
function ending(activation: string): LayersModel {
  const model = resnet();
  const topology = JSON.parse(
    JSON.stringify(model.topology).replace("softmax", activation),
  ) as LayersModel["topology"];
  return { ...model, topology };
}

function saying(qdg: object): Pick<LayersModel, "userDefinedMetadata"> {
  return { userDefinedMetadata: { qdg: { version: 1, quantizers: {}, ...qdg } } };
}

let count = 0;
async function saved(model: LayersModel): Promise<string> {
  const path = join(folder, `${count++}`, "model.json");
  await saveLayersModel(path, model);
  return path;
}
