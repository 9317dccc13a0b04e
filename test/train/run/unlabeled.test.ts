// Runs on images without classes: what is taken for one, what is learned of it, and that stopping leaves no trace.

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describe as describeResult } from "../../../src/cli/commands/train.js";
import { drawShape, SHAPE_IMAGE_SIZE, SHAPE_LABELS } from "../../../src/image/draw-shapes.js";
import { encodePng } from "../../../src/image/encode.js";
import { rangePreprocessing } from "../../../src/image/preprocessing.js";
import { useBackend } from "../../../src/train/backends/backends.js";
import type { Domain } from "../../../src/train/data/dataset.js";
import { openDataset } from "../../../src/train/data/open-dataset.js";
import { saveLayersModel } from "../../../src/train/layers-model-file.js";
import { builtInModel } from "../../../src/train/models/built-in.js";
import { silentObserver } from "../../../src/train/run/observer.js";
import { train, type TrainResult } from "../../../src/train/run/train.js";
import type { AskedTrainOptions } from "../../../src/train/run/train-options.js";
import { labelledBy } from "../../../src/train/run/unlabeled.js";
import { readTeacher } from "../../../src/train/teacher.js";
import { contentOf, stopAfter } from "./tiny-run.js";

let folder = "";
let options: AskedTrainOptions;
let result: TrainResult;
const notes: string[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "qdg-unlabeled-"));
  const size = SHAPE_IMAGE_SIZE;
  for (let i = 0; i < 24; i++) {
    const path = join(folder, "data", ["", "some", "some/more"][i % 3] as string, `${i}.png`);
    await mkdir(dirname(path), { recursive: true });
    const data = drawShape(SHAPE_LABELS[i % 7] as "ring", 1, i);
    await writeFile(path, await encodePng({ width: size, height: size, channels: 3, data }));
  }
  const teacher = join(folder, "teacher", "model.json");
  await saveLayersModel(teacher, builtInModel("resnet8", { imageSize: 8, classes: 5, seed: 1 }));
  options = {
    data: join(folder, "data"),
    unlabeled: true,
    teacher,
    preprocess: rangePreprocessing(-1, 1),
    bits: 3,
    steps: 6,
    batchSize: 4,
    backend: "wasm",
    evalEvery: 3,
    logEvery: 1,
    threads: 0,
    cache: "none",
  };
  const observer = { ...silentObserver, note: (text: string) => void notes.push(text) };
  result = await train({ options, out: join(folder, "run"), observer });
}, 60_000);
afterAll(() => rm(folder, { recursive: true }));

test("a run without labels takes images in any layout, and says that folders are no classes", () => {
  const [source, ...more] = result.kept?.domains ?? [];
  expect(more).toEqual([]);
  expect(source).toMatchObject({ name: "data", role: "source" });
  expect(notes.filter((note) => /folders as that of some\/1\.png are no classes/.test(note))).toHaveLength(1);
});

test("it begins as the teacher, whose agreement with itself is whole, and whose classes have no names", async () => {
  const { results, model } = await contentOf(join(folder, "run"));
  expect(results[0]).toMatchObject({ step: 0, quantized: false, env0_out_acc: 1 });
  expect(result.options).toMatchObject({
    method: "lsq",
    keepHead: true,
    floatSteps: 0,
    testDomain: ["none"],
  });
  expect(model).not.toHaveProperty(["userDefinedMetadata", "qdg", "labels"]);
  expect(describeResult(result)).toContain("agreement with the teacher in %");
  expect(describeResult(result)).not.toContain("qdg evaluate");
});

test("each image has for its class what the teacher says of it, called by its number", async () => {
  await useBackend("wasm");
  const preprocessing = rangePreprocessing(-1, 1);
  const read = await readTeacher(options.teacher as string, { classes: null, imageSize: 8, preprocessing });
  const data = await openDataset(options.data as string, {
    imageSize: 8,
    unlabeled: true,
    cacheFolder: null,
  });
  const { classes, domains } = await labelledBy(read, data, { preprocessing, batchSize: 5 });
  expect(classes).toEqual(["0", "1", "2", "3", "4"]);
  const domain = domains[0] as Domain;
  expect(domain.files).toEqual(data.domains[0]?.files);
  for (let i = 0; i < domain.count; i++) {
    const pixels = Float32Array.from(domain.image(i), (pixel) => (2 * pixel) / 255 - 1);
    const said = tf.tidy(() => read.teacher.probabilities(tf.tensor4d(pixels, [1, 8, 8, 3])).dataSync());
    expect(said[domain.labels[i] as number]).toBeCloseTo(Math.max(...said), 4);
  }
  read.teacher.dispose();
});

test("it goes on as if never stopped", async () => {
  const out = join(folder, "stopped");
  await train({ options, out, ...stopAfter(4) });
  expect(await train({ options: {}, out, resume: true })).toMatchObject({ finished: true });
  expect(await contentOf(out)).toEqual(await contentOf(join(folder, "run")));
});

test("it has no domain to hold out", async () => {
  const asked = { ...options, testDomain: ["some"] };
  await expect(train({ options: asked, out: join(folder, "held") })).rejects.toMatchObject({
    code: "usage",
    where: "--test-domain",
  });
});
