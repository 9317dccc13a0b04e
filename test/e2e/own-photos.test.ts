// From a folder of images by class to a page, by the commands that the tutorial shows; and what is said of folders
// that cannot be trained on. Images are of one color each.

import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runCli } from "../support/run-cli.js";
import { newFolder, removeFolder } from "../support/small-models.js";
import { type Color, writeColors } from "../train/evaluation/colored-data.js";

let folder = "";
const at = (...parts: readonly string[]): string => join(folder, ...parts);
const SMALL = ["--image-size", "8", "--batch-size", "4", "--backend", "wasm", "--threads", "0"];
const six = (color: Color): Color[] => Array.from({ length: 6 }, () => color);
const CLASSES = { leaf: six("green"), sea: six("blue") };

beforeAll(async () => {
  folder = await newFolder();
  await writeColors(folder, { photos: CLASSES });
  await writeColors(at("places"), { home: CLASSES, work: CLASSES });
});
afterAll(() => removeFolder(folder));

const train = (data: string, out: string, ...more: readonly string[]): ReturnType<typeof runCli> =>
  runCli("train", "--data", at(data), "--out", at(out), "--cache", "none", ...SMALL, ...more);

describe("a folder of classes", () => {
  test("becomes a model, a file and a page in three commands", async () => {
    // Colors tell these classes apart: jitter would hide them.
    const how = ["--bits", "3", "--steps", "20", "--learning-rate", "0.01", "--augmentation", "none"];
    const trained = await train("photos", "run", ...how);
    expect(trained).toMatchObject({ code: 0 });
    expect(trained.stderr).toContain("trains on photos (12); held out: no domain\n");
    expect(trained.stderr).not.toContain("note:");
    expect(trained.stderr).toMatch(
      /next: qdg-export .*model\.json --bits 3\n.*qdg evaluate .*\n.*qdg deploy /,
    );
    expect(trained.stderr).toMatch(/^photos +source +/m);

    expect(await runCli("export", at("run", "model.json"), "--bits", "3")).toMatchObject({ code: 0 });

    const judge = ["--data", at("photos"), "--targets", "cpu", "--no-cache", "--json"];
    const judged = await runCli("evaluate", at("run", "model.onnx"), ...judge);
    expect(judged.code).toBe(0);
    const { classes, models } = JSON.parse(judged.stdout) as {
      readonly classes: readonly string[];
      readonly models: readonly { readonly targets: readonly { readonly domains: unknown }[] }[];
    };
    expect(classes).toEqual(["leaf", "sea"]);
    expect(models[0]?.targets[0]?.domains).toMatchObject([{ name: "photos", count: 12 }]);

    const deployed = await runCli("deploy", at("run"), "--to", at("site"));
    expect(deployed).toMatchObject({ code: 0 });
    expect(deployed.stdout).toContain("index.html");
  });

  test("is trained by lsq, and by another method that says it sees one domain only", async () => {
    const json = await train("photos", "by-lsq", "--steps", "2", "--json");
    expect(JSON.parse(json.stdout)).toMatchObject({ options: { method: "lsq", testDomain: ["none"] } });
    const { code, stderr } = await train("photos", "by-gaqat", "--steps", "2", "--method", "gaqat");
    expect(code).toBe(0);
    expect(stderr).toContain(
      "note: gaqat looks for what holds in several domains, and sees one only (photos)",
    );
  });

  test("cannot be held out whole", async () => {
    const { code, stderr } = await train("photos", "none", "--test-domain", "photos");
    expect(code).toBe(2);
    expect(stderr).toContain("--test-domain: got every domain of the data, expected one or more to be left");
  });
});

describe("a folder of domains", () => {
  test("asks for the one to hold out, and takes none", async () => {
    const asked = await train("places", "none");
    expect(asked.code).toBe(2);
    expect(asked.stderr).toMatch(
      /--test-domain: got nothing, and .*places has 2 domains \(home, work\); expected those that are never trained on, or none/,
    );
    const both = await train("places", "both", "--test-domain", "none", "--steps", "2", "--json");
    expect(JSON.parse(both.stdout)).toMatchObject({
      options: { method: "gaqat" },
      kept: { domains: [{ role: "source" }, { role: "source" }] },
    });
  });

  test("is trained by lsq where one is left", async () => {
    const left = await train("places", "left", "--test-domain", "work", "--steps", "2", "--json");
    expect(JSON.parse(left.stdout)).toMatchObject({ options: { method: "lsq" } });
  });

  test("takes none alone", async () => {
    const { code, stderr } = await train("places", "none", "--test-domain", "none", "--test-domain", "home");
    expect(code).toBe(2);
    expect(stderr).toContain("--test-domain: got none, home, expected none alone, or names of domains");
  });

  test("one of which is called none is not guessed at", async () => {
    await writeColors(at("odd"), { none: CLASSES, some: CLASSES });
    const { code, stderr } = await train("odd", "none", "--test-domain", "none");
    expect(code).toBe(2);
    expect(stderr).toContain("the data has one of that name; rename its folder");
  });
});

describe("a class of one image", () => {
  test("is refused where it would have to train and validate, and taken where nothing validates", async () => {
    await writeColors(folder, { lonely: { ...CLASSES, sun: ["red"] } });
    const { code, stderr } = await train("lonely", "none", "--steps", "2");
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /class sun: got 1 image to train on, expected 2 or more, one of which validates; add/,
    );
    const all = ["--holdout-fraction", "0", "--select", "last"];
    expect(await train("lonely", "all", "--steps", "2", ...all)).toMatchObject({ code: 0 });
    await rm(at("lonely"), { recursive: true });
  });
});
