// Wrong usage of `qdg train`: one line that names the option, exit code 2, and nothing written.

import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describe as describeRun } from "../../src/cli/commands/train.js";
import { completeOptions } from "../../src/train/run/complete-options.js";
import type { Evaluation } from "../../src/train/run/evaluate-domains.js";
import { flagOf, TRAIN_OPTIONS } from "../../src/train/run/option-table.js";
import type { AskedTrainOptions, TrainOptionName } from "../../src/train/run/train-options.js";
import { runCli } from "../support/run-cli.js";
import { newFolder, removeFolder } from "../support/small-models.js";

let folder = "";
beforeAll(async () => {
  folder = await newFolder();
});
afterAll(() => removeFolder(folder));

test("qdg train --help lists every option, those that matter first", async () => {
  const { code, stdout } = await runCli("train", "--help");
  expect(code).toBe(0);
  for (const name of Object.keys(TRAIN_OPTIONS))
    expect(stdout).toContain(`${flagOf(name as TrainOptionName)} `);
  const first = stdout.slice(stdout.indexOf("The run:"), stdout.indexOf("Images:"));
  expect(first.match(/--[\w-]+ /g)?.length).toBeLessThanOrEqual(11);
  expect(first).toMatch(
    /--data .*--test-domain .*--method .*--bits .*--model .*--steps .*--out .*--resume .*--backend /s,
  );
});

test.each<[string, AskedTrainOptions, boolean, string]>([
  ["weights and activations of 3 bits", { bits: 3 }, true, " --bits 3"],
  ["weights of 3 bits and activations of 8", { bits: 3, activationBits: 8 }, true, " --bits 3"],
  ["weights alone", { method: "qt-dog" }, true, " --bits 7"],
  ["layers with weights of their own bits", { layerBits: { conv1: { weightBits: 5 } } }, true, ""],
  [
    "layers with activations of their own bits",
    { layerBits: { relu1: { activationBits: 5 } } },
    true,
    " --bits 4",
  ],
  ["a model in full precision", { method: "erm" }, false, " --float"],
])("the next command after a run with %s exports what was learned", (_, asked, quantized, flags) => {
  const options = completeOptions({ data: "shapes-dg", testDomain: ["sketch"], ...asked });
  const text = describeRun({
    finished: true,
    step: 1000,
    steps: 1000,
    out: "run",
    checkpoint: "run/checkpoint.bin",
    backend: "wasm",
    model: "run/model.json",
    kept: { step: 1000, quantized, domains: [] },
    options,
    oscillating: null,
  });
  expect(text).toContain(`next: qdg-export run/model.json${flags}\n`);
});

function domains(share: number): Evaluation["domains"] {
  return [
    { name: "flat", role: "source", training: 1, validation: share, all: 1 },
    { name: "sketch", role: "test", training: 1, validation: 0, all: share / 2 },
  ];
}

test("what is said after a run for several bits has the accuracies at each, and exports one", () => {
  const options = completeOptions({ data: "shapes-dg", testDomain: ["sketch"], method: "eq-net" });
  const text = describeRun({
    oscillating: null,
    finished: true,
    step: 1000,
    steps: 1000,
    out: "run",
    checkpoint: "run/checkpoint.bin",
    backend: "wasm",
    model: "run/model.json",
    kept: {
      step: 1000,
      quantized: true,
      domains: domains(0.5),
      byBits: [
        { bits: 3, domains: domains(0.4) },
        { bits: 8, domains: domains(0.6) },
      ],
    },
    options,
  });
  expect(text).toContain("next: qdg-export run/model.json --bits 3\n");
  expect(text).toMatch(/accuracy in % +flat +sketch \(held out\)\n-* *\n?/);
  expect(text).toMatch(/at 3 bits +40\.0 +20\.0/);
  expect(text).toMatch(/at 8 bits +60\.0 +30\.0/);
});

describe("wrong usage", () => {
  const GOOD = ["--data", "shapes-dg", "--test-domain", "sketch"];
  test.each<[what: string, args: readonly string[], says: RegExp]>([
    ["no data", ["--test-domain", "sketch"], /--data: got nothing/],
    [
      "no test domain",
      ["--data", "shapes-dg"],
      /--test-domain: got nothing, and shapes-dg has 4 domains \(flat, .*\); expected those that are never trained on, or none/,
    ],
    [
      "bits that are no number",
      [...GOOD, "--bits", "three"],
      /--bits: got "three", expected a whole number from 2 to 8/,
    ],
    ["hexadecimal steps", [...GOOD, "--steps", "0x10"], /--steps: got "0x10", expected a whole number >= 1/],
    [
      "an empty learning rate",
      [...GOOD, "--learning-rate", ""],
      /--learning-rate: got "", expected a number > 0/,
    ],
    ["a negative one", [...GOOD, "--learning-rate", "-1"], /--learning-rate: got -1, expected a number > 0/],
    ["an unknown method", [...GOOD, "--method", "magic"], /--method: got "magic", expected erm or .*gaqat/],
    ["an unknown option", [...GOOD, "--stepz", "3"], /unknown option '--stepz' \(Did you mean --steps\?\)/],
    ["an argument too many", [...GOOD, "--bits", "3", "more"], /too many arguments/],
    [
      "bits of a float method",
      [...GOOD, "--method", "erm", "--bits", "3"],
      /--bits: got 3, but erm quantizes nothing/,
    ],
    ["both --resume and --force", ["--resume", "--force"], /--force: replaces the run/],
  ])("%s", async (_, args, says) => {
    const out = join(folder, "none");
    const { code, stdout, stderr } = await runCli("train", ...args, "--out", out);
    expect(stderr).toMatch(says);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect([code, stdout]).toEqual([2, ""]);
    expect(await readdir(folder)).not.toContain("none");
  });

  test("no --out", async () => {
    expect(await runCli("train", ...GOOD)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--out <folder>") as string,
    });
  });
});

describe("input that cannot be used", () => {
  test("a run to resume that is not there", async () => {
    const { code, stderr } = await runCli("train", "--out", join(folder, "none"), "--resume");
    expect(code).toBe(1);
    expect(stderr).toMatch(/checkpoint\.bin: there is no checkpoint to go on from; .*\[not-found\]\n$/);
  });

  test("a file of bits that is no JSON", async () => {
    const path = join(folder, "bits.json");
    await writeFile(path, "conv1: 3");
    const args = ["--data", "shapes-dg", "--test-domain", "sketch", "--layer-bits", path];
    expect(await runCli("train", ...args, "--out", join(folder, "none"))).toMatchObject({ code: 1 });
  });
});
