// One network with every head that a classifier may have: qdg run, evaluate, deploy and qdg/web make the same
// probabilities of it, or ask in the same words, whether the file says what its outputs are or not.

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readDeployedModels } from "../../src/deploy/deployed-models.js";
import { exportModel } from "../../src/export/export-model.js";
import type { Image } from "../../src/image/image.js";
import type { ClassifierKind } from "../../src/model/classifier-output.js";
import { readOnnxMetadata } from "../../src/model/onnx-metadata.js";
import type { OutputKind } from "../../src/model/output-kind.js";
import { decodeModel, encodeModel } from "../../src/onnx/codec.js";
import { classifyImages } from "../../src/parity/classify-images.js";
import { cpuRuntime } from "../../src/runtime/cpu.js";
import { evaluate } from "../../src/train/evaluation/evaluate.js";
import { bareClassifier } from "../../src/web/bare-onnx.js";
import { modelOf } from "../../src/web/model.js";
import { readOnnxFacts } from "../../src/web/onnx-facts.js";
import { saveLayersModel } from "../support/layers-models.js";
import { newFolder, removeFolder } from "../support/small-models.js";

const COLOR = [255, 51, 0] as const;
/** Outputs of the last dense layer for that color. */
const LOGITS = [1, 0.2, -2];

let folder = "";
let data = "";
let two = "";
let images: string[] = [];
beforeAll(async () => {
  folder = await newFolder();
  data = join(folder, "data");
  two = join(folder, "two");
  const [r, g, b] = COLOR;
  const image = sharp({ create: { width: 8, height: 8, channels: 3, background: { r, g, b } } }).png();
  for (const at of [
    ...["a", "b", "c"].map((name) => join(data, "domain", name)),
    ...["a", "b"].map((name) => join(two, "domain", name)),
  ]) {
    await mkdir(at, { recursive: true });
    await image.toFile(join(at, "0.png"));
  }
  images = [join(data, "domain", "a", "0.png")];
});
afterAll(() => removeFolder(folder));

type Head = (logits: tf.SymbolicTensor) => tf.SymbolicTensor;

/** [N, 4, 4, 3] -> mean color -> dense -> head. @returns the path of its float file */
async function exported(name: string, head: Head, units: number, bits?: number): Promise<string> {
  const input = tf.input({ shape: [4, 4, 3] });
  const mean = tf.layers.globalAveragePooling2d({}).apply(input) as tf.SymbolicTensor;
  const matrix = [
    [1, 0, 0],
    [0, 1, -10],
    [0, 0, 0],
  ].map((row) => row.slice(0, units));
  const dense = tf.layers.dense({ units, weights: [tf.tensor2d(matrix), tf.zeros([units])] });
  const model = tf.model({ inputs: input, outputs: head(dense.apply(mean) as tf.SymbolicTensor) });
  const saved = await saveLayersModel(model);
  model.dispose();
  const at = join(folder, name);
  await mkdir(at, { recursive: true });
  const path = join(at, "model.json");
  await writeFile(path, JSON.stringify(saved.json));
  await writeFile(join(at, "weights.bin"), saved.weights);
  await exportModel({
    model: path,
    output: join(at, "out", "model.onnx"),
    labels: ["a", "b", "c"].slice(0, units === 1 ? 2 : units),
    preprocessing: { range: [0, 1], mean: [0], std: [1], resize: "stretch" },
    ...(bits === undefined ? { float: true } : { bits }),
  });
  return join(at, "out", "model.onnx");
}

/** The same file without the fact. */
async function withoutFact(path: string): Promise<void> {
  const model = decodeModel(await readFile(path), path);
  const metadataProps = (model.metadataProps ?? []).filter(({ key }) => key !== "qdg.outputs");
  await writeFile(path, encodeModel({ ...model, metadataProps }));
}

/** Probabilities as each way makes them, or what it throws. */
async function answers(path: string, outputKind?: ClassifierKind): Promise<(string | number[])[]> {
  const said = outputKind ? { outputKind } : {};
  const ran = async (): Promise<number[]> => {
    for await (const result of classifyImages({ models: [path], images, target: "cpu", ...said })) {
      if ("probabilities" in result) return [...result.probabilities];
    }
    return [];
  };
  const onPage = async (): Promise<number[]> => {
    const bytes = await readFile(path);
    const session = await cpuRuntime.open({ bytes });
    const facts = readOnnxFacts(bytes, path);
    const name = session.outputs[0]?.name ?? "";
    const options = outputKind ? { output: { name, kind: outputKind } } : {};
    const { labels, classifier } = bareClassifier(session, facts, options, path);
    const page = {
      url: path,
      engine: "onnxruntime",
      device: "wasm",
      adapter: null,
      threads: 1,
      fallbacks: [],
      selfTest: null,
    } as const;
    const model = modelOf(session, { ...page, labels }, classifier);
    const pixels = Uint8Array.from({ length: 8 * 8 * 3 }, (_, i) => COLOR[i % 3] as number);
    const image: Image = { width: 8, height: 8, channels: 3, data: pixels };
    try {
      return [...(await model.classify(image)).probabilities];
    } finally {
      await model.dispose();
    }
  };
  const deployed = async (): Promise<string> => {
    const { classifier } = await readDeployedModels(join(path, ".."), said);
    return classifier?.output.kind ?? "none";
  };
  const evaluated = async (): Promise<string> => {
    const { models } = await evaluate({ models: [path], data, targets: ["cpu"], cacheFolder: null, ...said });
    return models[0]?.outputKind ?? "";
  };
  const ways = [ran, onPage, deployed, evaluated];
  const found: (string | number[])[] = [];
  for (const way of ways) found.push(await way().catch((thrown: Error) => thrown.message));
  return found;
}

const softmaxOf = (logits: readonly number[]): number[] => {
  const powers = logits.map(Math.exp);
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
};
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const activation =
  (name: "softmax" | "sigmoid" | "tanh" | "relu"): Head =>
  (x) =>
    tf.layers.activation({ activation: name }).apply(x) as tf.SymbolicTensor;
const logSoftmax: Head = (x) =>
  tf.layers.activation({ activation: "logSoftmax" as "softmax" }).apply(x) as tf.SymbolicTensor;
const reshaped =
  (head: Head, shape: number[]): Head =>
  (x) =>
    tf.layers.reshape({ targetShape: shape }).apply(head(x)) as tf.SymbolicTensor;

describe("probabilities are the same in run, on a page, in deploy and in evaluate", () => {
  test.each<[what: string, head: Head, kind: ClassifierKind, expected: number[]]>([
    ["logits", (x) => x, "logits", softmaxOf(LOGITS)],
    ["a softmax", activation("softmax"), "softmax", softmaxOf(LOGITS)],
    ["sigmoids", activation("sigmoid"), "sigmoid", LOGITS.map(sigmoid)],
    ["a log-softmax", logSoftmax, "logits", softmaxOf(LOGITS)],
    ["a reshaped softmax", reshaped(activation("softmax"), [3]), "softmax", softmaxOf(LOGITS)],
  ])("of a head of %s", async (what, head, kind, expected) => {
    for (const bits of [undefined, 8]) {
      const path = await exported(`${what} ${bits}`, head, 3, bits);
      const close = (found: (string | number[])[], digits: number): void => {
        const [ran, page, deployed, evaluated] = found;
        expect([deployed, evaluated]).toEqual([kind, kind]);
        expect(page).toEqual(ran);
        expected.forEach((p, k) => expect((ran as number[])[k]).toBeCloseTo(p, digits));
      };
      const metadata = readOnnxMetadata(decodeModel(await readFile(path)).metadataProps ?? [], path);
      expect([...(metadata.outputs?.values() ?? [])]).toEqual([kind]);
      close(await answers(path), bits ? 1 : 5);
      // A page cannot see through a reshape, whose shapes it does not know: there the fact has to say it.
      if (what === "a reshaped softmax") continue;
      await withoutFact(path);
      close(await answers(path), bits ? 1 : 5);
    }
  });

  test("of one sigmoid for two classes", async () => {
    const path = await exported("binary", activation("sigmoid"), 1);
    const [ran, page, deployed] = await answers(path);
    const p = sigmoid(1);
    expect(page).toEqual(ran);
    expect((ran as number[])[0]).toBeCloseTo(1 - p, 6);
    expect((ran as number[])[1]).toBeCloseTo(p, 6);
    expect(deployed).toBe("sigmoid");
    // The color is of class b.
    const { models } = await evaluate({
      models: [path],
      data: two,
      targets: ["cpu", "wasm"],
      cacheFolder: null,
    });
    expect(models[0]).toMatchObject({
      outputKind: "sigmoid",
      targets: [{ correct: 1 }, { correct: 1 }],
      agreement: { differing: 0 },
    });
  });

  test.each<[what: string, head: Head, op: string]>([
    ["tanh", activation("tanh"), "Tanh"],
    ["relu", activation("relu"), "Relu"],
    ["two softmaxes side by side", reshaped(activation("softmax"), [3, 1]), "Reshape"],
  ])("are asked for where the head is %s, and made as is said", async (what, head, op) => {
    const build: Head = what.startsWith("two")
      ? (x) => reshaped(head, [3])(reshaped((y) => y, [3, 1])(x))
      : head;
    const path = await exported(what, build, 3);
    const says = `/model.onnx: output `;
    for (const answer of await answers(path)) {
      expect(answer).toContain(says);
      expect(answer).toContain(`made by ${op}, is neither probabilities nor logits as far as the file says`);
    }
    const kinds: OutputKind[] = [
      ...(readOnnxMetadata(decodeModel(await readFile(path)).metadataProps ?? [], path).outputs?.values() ??
        []),
    ];
    expect(kinds).toEqual(["values"]);
    const [ran, page, ...others] = await answers(path, "logits");
    expect(page).toEqual(ran);
    expect((ran as number[]).reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 9);
    expect(others).toEqual(["logits", "logits"]);
  });

  test("are refused of one real number, as of a regression", async () => {
    const path = await exported("regression", (x) => x, 1);
    for (const answer of await answers(path)) {
      expect(answer).toMatch(/expected one output with a number for each of 2 labels, or one sigmoid/);
    }
  });
});
