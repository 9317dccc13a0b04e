// `qdg certify` as a user runs it: files written, exit codes, one line for each wrong usage.

import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { float32, type Tensor } from "../../src/base/tensor.js";
import { exportModel } from "../../src/export/export-model.js";
import { SHAPE_LABELS } from "../../src/image/draw-shapes.js";
import { decodeModel, encodeModel } from "../../src/onnx/codec.js";
import { hasPassed } from "../../src/parity/certificate.js";
import { parseCertificate } from "../../src/parity/read-certificate.js";
import { npyOf } from "../parity/tiny-models.js";
import { exportShapes, SHAPES_MODEL, writeDomains } from "../support/certified-models.js";
import { runCli } from "../support/run-cli.js";
import { seeded } from "../support/layers-models.js";
import { newFolder, removeFolder, writeResnet } from "../support/small-models.js";

let folder = "";
let out = "";
let images = "";
let rings = "";

beforeAll(async () => {
  folder = await newFolder();
  out = await exportShapes(join(folder, "out"));
  images = await writeDomains(join(folder, "images"), 6);
  rings = await writeRings(join(folder, "rings"));
}, 120_000);
afterAll(() => removeFolder(folder));

/** Four drawings that the model takes for rings. */
async function writeRings(to: string): Promise<string> {
  await writeDomains(to, 28);
  for (const domain of await readdir(to)) {
    for (const label of await readdir(join(to, domain))) {
      if (label !== "ring") await rm(join(to, domain, label), { recursive: true });
    }
  }
  return to;
}

test("writes the JSON and the page, verifies them, and says 3 once the certificate is edited", async () => {
  const path = join(folder, "cert.json");
  const first = await runCli("certify", SHAPES_MODEL, out, "--data", images, "--targets", "cpu", "-o", path);
  expect(first.stderr).toContain("not certified: model.webgpu.onnx; no target ran what is in these files\n");
  expect(first.stderr).toMatch(/PASSED: cpu; 0 of 191232 quantized elements differ on 6 input\(s\)/);
  expect([first.code, first.stdout]).toEqual([0, ""]);
  const text = await readFile(path, "utf8");
  expect(parseCertificate(text, path).targets.map(({ target }) => target)).toEqual(["cpu"]);
  expect(await readFile(join(folder, "cert.html"), "utf8")).toContain("<!doctype html>");

  const again = await runCli("certify", SHAPES_MODEL, out, "--data", images, "--targets", "cpu", "-o", path);
  expect([again.code, again.stderr]).toEqual([
    1,
    expect.stringContaining("cert.json: the file exists already"),
  ]);

  const verified = await runCli("certify", "--verify", path, "--json");
  expect(verified.stderr).toMatch(/^.*cert\.json: VERIFIED; PASSED: cpu/);
  expect(verified.code).toBe(0);
  expect(parseCertificate(verified.stdout, "stdout")).toEqual(parseCertificate(text, path));

  await writeFile(path, text.replaceAll("191232", "191231"));
  const edited = await runCli("certify", "--verify", path, SHAPES_MODEL, out, "--data", images);
  expect(edited.stderr).toMatch(
    /NOT VERIFIED, 2 difference\(s\)[^]*\n {2}targets\.cpu\.elements: .*191231.*191232/,
  );
  expect(edited.code).toBe(3);

  await writeFile(path, text.replace('"elements": 191232', '"elements": 191233'));
  const torn = await runCli("certify", "--verify", path, SHAPES_MODEL, out, "--data", images);
  expect([torn.code, torn.stderr]).toEqual([
    1,
    expect.stringMatching(
      /cert\.json\.targets\[0\]\.elements: got 191233, but the histogram counts 191232; certify anew/,
    ),
  ]);
});

test("notes one class for all inputs where the float model gives one too, and passes", async () => {
  const path = join(folder, "one.json");
  const { code, stderr } = await runCli(
    "certify",
    SHAPES_MODEL,
    out,
    "--data",
    rings,
    "--targets",
    "cpu",
    "-o",
    path,
  );
  expect(stderr).toMatch(
    /note: output classes is class 3 for all inputs, and the float model gives class 3.*\nPASSED: cpu/,
  );
  expect(code).toBe(0);
  expect(parseCertificate(await readFile(path, "utf8"), path).notes.join()).toMatch(/is class 3 for all/);
});

test("says 3 where a network is dead that is alive in float, and still writes the certificate", async () => {
  const dead = await mkdtemp(join(folder, "dead-"));
  const model = await writeResnet(dead, { size: 16 });
  const size = 16;
  const random = seeded(1);
  const pixels = Float32Array.from({ length: 8 * size * size * 3 }, () => 2 * random() - 1);
  const arrays = [1, 1000].map((scale) =>
    float32(
      [8, size, size, 3],
      pixels.map((x) => scale * x),
    ),
  );
  const [data, wide] = ["data.npy", "wide.npy"].map((name) => join(dead, name)) as [string, string];
  for (const [i, path] of [data, wide].entries()) await writeFile(path, npyOf(arrays[i] as Tensor));
  await mkdir(join(dead, "out"));
  // Scales for numbers 1000 times larger than what it is fed.
  await exportModel({
    model,
    output: join(dead, "out", "model.onnx"),
    bits: 8,
    calibration: [wide],
    heldOutCount: 0,
  });
  const { code, stderr } = await runCli(
    "certify",
    model,
    join(dead, "out"),
    "--data",
    data,
    "--targets",
    "cpu",
  );
  expect(stderr).toMatch(
    /NOT PASSED: cpu.*\n {2}dead network: layer .* where the float model takes 3 or more values/,
  );
  expect(code).toBe(3);
  const path = join(dead, "out", "certificate.json");
  expect(hasPassed(parseCertificate(await readFile(path, "utf8"), path))).toBe(false);
});

describe("wrong usage", () => {
  test.each<[what: string, args: () => readonly string[], code: number, says: RegExp]>([
    ["no folder", () => [SHAPES_MODEL, "--data", images], 2, /expected the model and the folder/],
    ["no data", () => [SHAPES_MODEL, out], 2, /--data: got none/],
    [
      "a target that is none",
      () => [SHAPES_MODEL, out, "--data", images, "--targets", "cpu,tfjs"],
      2,
      /--targets: got "tfjs", expected cpu or wasm/,
    ],
    [
      "a target twice",
      () => [SHAPES_MODEL, out, "--data", images, "--targets", "cpu,cpu"],
      2,
      /each target once/,
    ],
    [
      "targets to verify with",
      () => ["--verify", "c.json", "--targets", "cpu"],
      2,
      /--verify: runs with the certificate's own options; leave --targets out/,
    ],
    [
      "a size to verify with",
      () => ["--verify", "c.json", "--input-size", "32"],
      2,
      /--verify: .*; leave --input-size out/,
    ],
    [
      "a certificate without an end",
      () => ["--verify", "/dev/zero"],
      1,
      /\/dev\/zero: got what is no file, expected a certificate of at most \d+ bytes/,
    ],
    [
      "a certificate that is not there",
      () => ["--verify", join(folder, "none.json")],
      1,
      /none\.json: cannot be read.*\[not-found\]/,
    ],
    [
      "no such model",
      () => [join(folder, "m.json"), out, "--data", images],
      1,
      /m\.json: cannot be read: there is no such file .*give the path of a model\.json/,
    ],
  ])("%s", async (_, args, code, says) => {
    const result = await runCli("certify", ...args());
    expect(result.stderr).toMatch(says);
    expect(result.stderr.trimEnd().split("\n")).toHaveLength(1);
    expect([result.code, result.stdout]).toEqual([code, ""]);
  });
});

test("states the labels and the preprocessing that are given, and verifies with them", async () => {
  const bare = join(folder, "bare");
  await mkdir(bare);
  const model = decodeModel(await readFile(join(out, "model.onnx")), "model");
  const metadataProps = (model.metadataProps ?? []).filter(
    ({ key }) => key !== "qdg.labels" && key !== "qdg.preprocessing",
  );
  await writeFile(join(bare, "model.onnx"), encodeModel({ ...model, metadataProps }));
  const path = join(folder, "given.json");
  const args = ["certify", SHAPES_MODEL, bare, "--data", images, "--targets", "cpu", "-o", path];
  const silent = await runCli(...args);
  expect([silent.code, silent.stderr]).toEqual([2, expect.stringContaining("--preprocess: got none")]);

  const labels = SHAPE_LABELS.join(", ");
  expect((await runCli(...args, "--preprocess", "0,1", "--labels", labels)).code).toBe(0);
  const { data, reference } = parseCertificate(await readFile(path, "utf8"), path);
  expect(data).toMatchObject({
    preprocessing: { range: [0, 1], mean: [0], std: [1], resize: "stretch" },
    inputSize: null,
    labels: SHAPE_LABELS,
  });
  expect(reference.accuracy.map(({ group, inputs }) => [group, inputs])).toEqual([
    ["", 6],
    ["other", 3],
    ["plain", 3],
  ]);
  expect(await readFile(join(folder, "given.html"), "utf8")).toContain(`classes ${labels}`);
  const verified = await runCli("certify", "--verify", path);
  expect([verified.code, verified.stderr]).toEqual([0, expect.stringContaining("VERIFIED")]);
});
