// The three commands of a user: train, export, evaluate. What training reported is what the file does.

import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { preprocessingFromJson } from "../../src/image/preprocessing.js";
import { parseLearned } from "../../src/quant/learned.js";
import { compareTrained } from "../../src/parity/trained.js";
import { evaluationBatches } from "../../src/train/data/batch.js";
import { openDataset } from "../../src/train/data/open-dataset.js";
import { IntegerNetwork } from "../../src/train/integer-network.js";
import { loadLayersModel } from "../../src/train/layers-model-file.js";
import { runCli } from "../support/run-cli.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "qdg-e2e-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The set that `qdg evaluate` draws. */
const COUNT = 100;

it("trains, exports without calibration, and evaluates the file to the accuracy that training reported", async () => {
  const out = join(folder, "run");
  const trained = await runCli(
    "train",
    "--data",
    "shapes-dg",
    "--test-domain",
    "flat",
    "--method",
    "gaqat",
    "--bits",
    "3",
    "--image-size",
    "16",
    "--steps",
    "40",
    "--float-steps",
    "20",
    "--window",
    "5",
    "--batch-size",
    "8",
    "--eval-every",
    "40",
    "--backend",
    "wasm",
    "--out",
    out,
    "--json",
  );
  expect(trained.code, trained.stderr).toBe(0);
  const { kept } = JSON.parse(trained.stdout) as {
    kept: { domains: { name: string; all: number | null; role: string }[] };
  };
  const exported = await runCli("export", join(out, "model.json"), "--bits", "3");
  expect(exported.code, exported.stderr).toBe(0);
  const onnx = join(out, "model.onnx");
  const evaluated = await runCli(
    "evaluate",
    onnx,
    "--data",
    "shapes-dg",
    "--domains",
    "flat",
    "--targets",
    "cpu,wasm",
    "--json",
  );
  expect(evaluated.code, evaluated.stderr).toBe(0);
  const held = kept.domains.find(({ role }) => role === "test");
  expect(accuraciesOf(JSON.parse(evaluated.stdout))).toEqual({ cpu: held?.all, wasm: held?.all });

  // The same, element by element, over the whole domain that was held out.
  const model = await loadLayersModel(join(out, "model.json"));
  const preprocessing = parseLearned(model.userDefinedMetadata)?.preprocessing;
  const network = await IntegerNetwork.create(model);
  const dataset = await openDataset("shapes-dg", { imageSize: 16, shapes: { perClass: COUNT } });
  const domain = dataset.domains.find(({ name }) => name === "flat");
  if (!domain) throw new Error("no domain flat");
  const all = Uint32Array.from({ length: domain.count }, (_, i) => i);
  const range = preprocessingFromJson(preprocessing, "test");
  for (const target of ["cpu", "wasm"] as const) {
    const batches = evaluationBatches(domain, all, 16, 100, range);
    const result = await compareTrained(network, await readFile(onnx), target, batches);
    expect(result).toMatchObject({
      images: 700,
      mismatches: {},
      predictionsDiffer: 0,
      unmatched: [],
      dead: [],
    });
  }
  network.dispose();
});

/** Models in the package: what they were trained on with one style held out, at how many bits, and the images of that style that the exported file knows. */
const SHIPPED = [
  { name: "shapes-dg", data: "shapes-dg", bits: 3, known: 574, images: 700 },
  { name: "shapes-dg-4bit", data: "shapes-dg", bits: 4, known: 536, images: 700 },
  { name: "digits", data: "digits-drawn", bits: 3, known: 988, images: 1000 },
] as const;

it.each(SHIPPED)(
  "has a model, $name, whose file knows the style it never saw as well as its card says",
  async ({ name, data, bits, known, images }) => {
    const onnx = join(folder, `${name}.onnx`);
    const exported = await runCli("export", `models/${name}/model.json`, "--bits", String(bits), "-o", onnx);
    expect(exported.code, exported.stderr).toBe(0);
    const args = ["--data", data, "--domains", "sketch", "--targets", "cpu,wasm", "--json"];
    const evaluated = await runCli("evaluate", onnx, ...args);
    // 3 where targets do not predict the same.
    expect(evaluated.code, evaluated.stderr).toBe(0);
    // The style is drawn the same on every machine, and the integers are the same.
    expect(accuraciesOf(JSON.parse(evaluated.stdout))).toEqual({ cpu: known / images, wasm: known / images });
    const card = await readFile(`models/${name}/README.md`, "utf8");
    const percent = `${((100 * known) / images).toFixed(2)} %`;
    for (const target of ["cpu", "wasm"])
      expect(card).toMatch(new RegExp(`\\| ${target} +\\| ${percent} +\\|`));
    const { size } = await stat(onnx);
    expect(card).toMatch(new RegExp(`\\| export +\\| ${(size / 1000).toFixed(1)} kB of ONNX`));
  },
);

/** Share of the images of the one domain whose class each target finds. */
function accuraciesOf(evaluation: unknown): Record<string, number> {
  const { models } = evaluation as {
    models: { targets: { target: string; accuracy: number }[] }[];
  };
  return Object.fromEntries((models[0]?.targets ?? []).map(({ target, accuracy }) => [target, accuracy]));
}
