// Whole runs from models that have no layers: what is trained is written as ONNX, read again, and exported to the integers that
// training evaluated.

import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exportModel } from "../../../src/export/export-model.js";
import { floatFile } from "../../../src/export/float-file.js";
import { rangePreprocessing } from "../../../src/image/preprocessing.js";
import { openModel } from "../../../src/open/open-model.js";
import { compareTrained } from "../../../src/parity/trained.js";
import { evaluationBatches } from "../../../src/train/data/batch.js";
import { openDataset } from "../../../src/train/data/open-dataset.js";
import { evaluate } from "../../../src/train/evaluation/evaluate.js";
import { IntegerNetwork } from "../../../src/train/integer-network.js";
import { train, type TrainResult } from "../../../src/train/run/train.js";
import { loadModel } from "../../../src/train/trainable-model.js";
import { writeGraphModel } from "../../support/graph-models.js";
import { convertedGraph, exportedGraph, roundedGraph } from "../onnx-networks.js";
import { contentOf, stopAfter, TINY } from "./tiny-run.js";

const RANGE = rangePreprocessing(-1, 1);
const CLASSES = 7;

let folder = "";
const models: Record<string, string> = {};
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "qdg-other-"));
  models["an ONNX file"] = join(folder, "net.onnx");
  await writeFile(models["an ONNX file"], floatFile(exportedGraph(), 21));
  models["a file with quantizers in it"] = join(folder, "rounded.onnx");
  await writeFile(models["a file with quantizers in it"], floatFile(roundedGraph(), 21));
  await mkdir(join(folder, "converted"));
  models["a graph-model"] = await writeGraphModel(join(folder, "converted"), convertedGraph());
});
afterAll(() => rm(folder, { recursive: true }));

const runs = new Map<string, TrainResult>();
async function run(kind: string): Promise<TrainResult> {
  const known = runs.get(kind);
  if (known) return known;
  const out = join(folder, `run of ${kind}`);
  const options = { ...TINY, model: models[kind] as string, preprocess: RANGE, imageSize: null };
  const result = await train({ options, out });
  runs.set(kind, result);
  return result;
}

describe.each(["an ONNX file", "a file with quantizers in it", "a graph-model"])("a run from %s", (kind) => {
  test("leaves an ONNX file with the learned scales, its preprocessing and its classes", async () => {
    const { out, model, finished } = await run(kind);
    expect(finished).toBe(true);
    expect(model).toBe(join(out, "model.onnx"));
    expect(await readdir(out)).not.toContain("model.json");
    const opened = await openModel(model as string);
    expect(opened.facts).toMatchObject({
      layout: kind === "a graph-model" ? "nhwc" : "nchw",
      preprocessing: RANGE,
    });
    expect(opened.facts.labels).toHaveLength(CLASSES);
    expect(opened.graph.outputs.map(({ shape }) => shape)).toEqual([["N", CLASSES]]);
    expect(opened.learned?.quantizers.size).toBeGreaterThan(4);
  });

  test("is exported to the very integers that training evaluates, on cpu and wasm", async () => {
    const { out, model } = await run(kind);
    const output = join(out, "exported.onnx");
    const { scales, bits } = await exportModel({ model: model as string, output });
    expect(scales).toBe("learned");
    expect(Object.values(bits).every(([weight]) => weight === 3 || weight === 8)).toBe(true);
    const network = await IntegerNetwork.create(await loadModel(model as string));
    const dataset = await openDataset("shapes-dg", {
      imageSize: 8,
      shapes: { perClass: 4 },
      cacheFolder: null,
    });
    for (const target of ["cpu", "wasm"] as const) {
      for (const domain of dataset.domains.slice(0, 2)) {
        const all = Uint32Array.from({ length: domain.count }, (_, index) => index);
        const batches = evaluationBatches(domain, all, 8, 14, RANGE);
        const result = await compareTrained(network, await readFile(output), target, batches);
        expect(result).toMatchObject({ mismatches: {}, predictionsDiffer: 0, unmatched: [] });
        expect(result.elements).toBeGreaterThan(1000);
      }
    }
    network.dispose();
  });

  test("is evaluated as it would be exported, and in float", async () => {
    const { model } = await run(kind);
    const { models: evaluated, agrees } = await evaluate({
      models: [model as string],
      data: "shapes-dg",
      shapes: { perClass: 2 },
      cacheFolder: null,
      targets: ["float", "cpu", "wasm"],
    });
    expect(agrees).toBe(true);
    expect(evaluated[0]?.targets.map(({ target, network }) => [target, network])).toEqual([
      ["float", "float"],
      ["cpu", "quantized"],
      ["wasm", "quantized"],
    ]);
  });

  test("teaches another network", async () => {
    const out = join(folder, `taught by ${kind}`);
    const { bits: _, window: __, ...rest } = TINY;
    const float = { ...rest, method: "erm", steps: 2, evalEvery: 2 };
    const teacher = await train({
      options: { ...float, model: models[kind] as string, preprocess: RANGE, imageSize: null },
      out: join(folder, `teacher of ${kind}`),
    });
    const { finished } = await train({
      options: { ...TINY, steps: 4, window: 2, teacher: teacher.model, preprocess: RANGE },
      out,
    });
    expect(finished).toBe(true);
  });

  test("goes on after it was stopped as if it never had been", async () => {
    const whole = await run(kind);
    const out = join(folder, `second run of ${kind}`);
    const options = { ...TINY, model: models[kind] as string, preprocess: RANGE, imageSize: null };
    await train({ options, out, ...stopAfter(7) });
    await train({ options: {}, out, resume: true });
    const [first, second] = [await contentOf(whole.out), await contentOf(out)];
    expect(second.model).toEqual(first.model);
    expect(second.results).toEqual(first.results);
  });

  test("can be the start of another run, at another size", async () => {
    const { model } = await run(kind);
    const out = join(folder, `third run of ${kind}`);
    const options = { ...TINY, model: model as string, imageSize: 12, steps: 4, window: 2, evalEvery: 4 };
    const result = await train({ options, out });
    const [input] = (await openModel(result.model as string)).graph.inputs;
    expect(input?.shape).toEqual(kind === "a graph-model" ? ["N", 12, 12, 3] : ["N", 3, 12, 12]);
  });
});
