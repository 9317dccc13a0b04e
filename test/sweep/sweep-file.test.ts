// From a sweep file to its jobs, and what is said of files that are wrong.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { resolvedOptions } from "../../src/sweep/job.js";
import { jobAt, readSweep } from "../../src/sweep/sweep-file.js";
import { trainArguments, trainCommandLine } from "../../src/sweep/train-arguments.js";
import type { AskedTrainOptions } from "../../src/train/run/train-options.js";
import { newFolder, removeFolder } from "../support/small-models.js";
import { optionsOf, type SweepJson, TINY_OPTIONS, writeSweep } from "./sweep-files.js";

let folder = "";
beforeAll(async () => {
  folder = await newFolder();
});
afterAll(() => removeFolder(folder));

const BASE = { data: "shapes-dg", steps: 100 };

const namesOf = async (json: SweepJson): Promise<readonly string[]> =>
  (await readSweep(await writeSweep(folder, json))).jobs.map(({ name }) => name);

const identity = async (options: object): Promise<string | undefined> =>
  (await readSweep(await writeSweep(folder, { options, grid: { seed: [0] } }))).jobs[0]?.identity;

describe("a sweep", () => {
  test("is every combination of its grid, named by it, the first option changing slowest", async () => {
    const grid = {
      method: ["lsq", "gaqat"],
      testDomain: ["sketch", ["sketch", "flat"]],
      bits: [3],
      seed: [0, 1],
    };
    expect(await namesOf({ options: BASE, grid })).toEqual([
      "lsq-sketch-bits3-seed0",
      "lsq-sketch-bits3-seed1",
      "lsq-sketch+flat-bits3-seed0",
      "lsq-sketch+flat-bits3-seed1",
      "gaqat-sketch-bits3-seed0",
      "gaqat-sketch-bits3-seed1",
      "gaqat-sketch+flat-bits3-seed0",
      "gaqat-sketch+flat-bits3-seed1",
    ]);
  });

  test("gives jobs the same names when a list becomes longer", async () => {
    const before = await namesOf({ options: BASE, grid: { seed: [0], rho: [0.05] } });
    const after = await namesOf({ options: BASE, grid: { seed: [0, 1], rho: [0.05, 0.1] } });
    expect(after).toEqual(expect.arrayContaining([...before]));
  });

  test("may be of several grids, as where a method takes no bits", async () => {
    const grid = [
      { method: ["lsq"], bits: [3, 4], seed: [0] },
      { method: ["erm"], seed: [0] },
    ];
    expect(await namesOf({ options: BASE, grid })).toEqual([
      "lsq-bits3-seed0",
      "lsq-bits4-seed0",
      "erm-seed0",
    ]);
  });

  test("leaves out what is excluded, and options that are null", async () => {
    const grid = { method: ["lsq", "erm"], bits: [3, null], seed: [0] };
    const exclude = [{ method: "erm", bits: 3 }];
    expect(await namesOf({ options: BASE, grid, exclude })).toEqual([
      "lsq-bits3-seed0",
      "lsq-seed0",
      "erm-seed0",
    ]);
  });

  test("names what is no word by its end and a few digits of its hash", async () => {
    const grid = { model: ["../a/model.json", "../b/model.json"], preprocess: ["0,1"], schedule: ["cosine"] };
    const names = await namesOf({ options: BASE, grid });
    expect(new Set(names).size).toBe(2);
    for (const name of names)
      expect(name).toMatch(/^model_[ab]_model\.json_[0-9a-f]{6}-preprocess_[\w.]+-schedule_cosine$/);
  });

  test("has paths that are relative to its file", async () => {
    const json = {
      options: {
        ...BASE,
        data: "../images",
        model: "m/model.json",
        teacher: "self",
        cache: "none",
        floatSteps: 9,
      },
      grid: { seed: [0] },
    };
    const { jobs, base } = await readSweep(await writeSweep(join(folder, "deep"), json));
    expect(resolvedOptions(jobs[0]?.options ?? {}, base)).toMatchObject({
      data: join(folder, "images"),
      model: join(folder, "deep", "m/model.json"),
      teacher: "self",
      cache: "none",
    });
  });

  test("reads files of bits and preprocessing when it is read, so that they mean the same everywhere", async () => {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "bits.json"), '{"conv*": 5}');
    await writeFile(join(folder, "pixels.json"), '{"range": [0, 1]}');
    const json = {
      options: { ...BASE, layerBits: "bits.json", preprocess: "pixels.json" },
      grid: { seed: [0] },
    };
    const { jobs } = await readSweep(await writeSweep(folder, json));
    expect(jobs[0]?.options).toMatchObject({
      layerBits: { "conv*": { weightBits: 5, activationBits: 5 } },
      preprocess: { range: [0, 1], mean: [0], std: [1], resize: "stretch" },
    });
  });

  test("is the same job whatever the order of its options, and another one with other options", async () => {
    const one = await identity({ data: "shapes-dg", steps: 100 });
    expect(await identity({ steps: 100, data: "shapes-dg" })).toBe(one);
    expect(await identity({ steps: 100, data: "shapes-dg", cache: "none", checkpointEvery: 7 })).toBe(one);
    expect(await identity({ steps: 101, data: "shapes-dg" })).not.toBe(one);
  });

  test("refuses an index after it was changed", async () => {
    const sweep = await readSweep(await writeSweep(folder, { options: BASE, grid: { seed: [0, 1] } }));
    expect(jobAt(sweep, 1, "a.json").name).toBe("seed1");
    expect(() => jobAt(sweep, 2, "a.json")).toThrow("--only: got 2, but a.json has the jobs 0 to 1 [usage]");
    expect(() => jobAt(sweep, 1, "a.json", "0123")).toThrow(
      /--if-hash: got 0123, but the jobs of a\.json have [0-9a-f]{12}: it was changed/,
    );
  });
});

describe("a sweep file", () => {
  const grid = { seed: [0] };
  test.each<[string, SweepJson | string, string]>([
    ["that is no JSON", "{", "tiny.json: is not JSON: it goes wrong"],
    ["that is a list", "[]", "tiny.json: got [], expected an object"],
    [
      "with unknown keys, all of them named",
      {
        options: { stepz: 1, "test-domain": "a", colour: 1 },
        grid: { methods: ["lsq"], seed: [0] },
        exclude: [{ sed: 1 }],
        extra: 1,
      } as SweepJson,
      "unknown: extra, options.stepz (steps?), options.test-domain (testDomain?), options.colour, grid.methods (method?), exclude[0].sed (seed?); expected options, grid, exclude, and within them",
    ],
    ["without a grid", { options: BASE }, "grid: got nothing, expected an object of lists"],
    ["with an empty grid", { options: BASE, grid: {} }, "grid: is empty"],
    [
      "with an empty list",
      { options: BASE, grid: { seed: [] } },
      "grid.seed: got [], expected a list of one value or more",
    ],
    [
      "with a value that is no list",
      { options: BASE, grid: { seed: 1 } },
      "grid.seed: got 1, expected a list",
    ],
    [
      "with a value twice",
      { options: BASE, grid: { testDomain: ["a", ["a"]] } },
      "grid.testDomain[1]: is the same as testDomain[0]",
    ],
    [
      "with an option in both places",
      { options: { ...BASE, seed: 1 }, grid },
      "grid.seed: stands in options too; leave one out",
    ],
    [
      "with a value of another type",
      { options: BASE, grid: { bits: [3, "4"] } },
      'grid.bits[1]: got "4", expected a whole number from 2 to 8',
    ],
    [
      "with a value out of range",
      { options: { ...BASE, bits: 9 }, grid },
      "options.bits: got 9, expected a whole number from 2 to 8",
    ],
    [
      "with a method that there is not",
      { options: BASE, grid: { method: ["lqs"] } },
      'grid.method[0]: got "lqs", expected erm or',
    ],
    [
      "with wrong bits of layers",
      { options: { ...BASE, layerBits: { a: "b" } }, grid },
      'options.layerBits: a: got "b", expected',
    ],
    [
      "with wrong preprocessing",
      { options: { ...BASE, preprocess: "1" }, grid },
      'options.preprocess: got "1", expected',
    ],
    [
      "with a file that is not there",
      { options: { ...BASE, layerBits: "none.json" }, grid },
      "none.json: cannot be read: there is no such file",
    ],
    [
      "with options that do not go together",
      { options: BASE, grid: { method: ["erm"], bits: [3] } },
      "job erm-bits3: --bits: got 3, but erm quantizes nothing; leave it out",
    ],
    ["without data", { options: { steps: 3 }, grid }, "job seed0: --data: got nothing; it has no default"],
    [
      "with two jobs that are the same",
      { options: BASE, grid: [grid, grid] },
      "two jobs are seed0: the same options",
    ],
    [
      "with two jobs of which only capitals tell the names apart",
      { options: BASE, grid: { testDomain: ["Sketch", "sketch"] } },
      "two jobs would be called sketch (jobs 0 and 1), with different options",
    ],
    [
      "that excludes what is not there",
      { options: BASE, grid, exclude: [{ seed: 4 }] },
      "exclude[0]: matches no combination",
    ],
    [
      "that excludes everything",
      { options: BASE, grid, exclude: [{ seed: 0 }] },
      "every combination of the grid is excluded",
    ],
    [
      "with too many jobs",
      {
        options: BASE,
        grid: {
          seed: Array.from({ length: 200 }, (_, i) => i),
          evalBatch: Array.from({ length: 200 }, (_, i) => i + 50),
        },
      },
      "has more than 10000 jobs",
    ],
  ])("%s is refused, and the message says where", async (_, json, message) => {
    const path = await writeSweep(folder, json);
    await expect(readSweep(path)).rejects.toThrow(message);
  });
});

describe("the arguments of a job", () => {
  test("are read by qdg train as the options that they were made of", () => {
    const options: AskedTrainOptions = {
      ...TINY_OPTIONS,
      testDomain: ["sketch", "-odd name"],
      epsilon: 1e-8,
      weightDecay: 0,
      perturbScales: false,
      skipBroken: true,
      unlabeled: false,
      bits: null,
    };
    const { bits: _, unlabeled: __, ...rest } = options;
    expect(optionsOf(trainArguments(options))).toEqual(rest);
  });

  test("hold JSON where an option is no word", () => {
    const layerBits = { "conv*": { weightBits: 4 } };
    expect(trainArguments({ layerBits })).toEqual([`--layer-bits=${JSON.stringify(layerBits)}`]);
  });

  test("are one line for people, quoted for a shell", () => {
    const line = trainCommandLine({ data: "my images", testDomain: ["it's"] }, "runs/a b");
    expect(line).toBe(`qdg train '--data=my images' '--test-domain=it'\\''s' --out 'runs/a b'`);
  });

  test("cannot switch off what is on by itself", () => {
    expect(() => trainArguments({ keepHead: false })).toThrow("--keep-head: cannot be switched off");
  });
});
