import { mkdir, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readRun } from "../../../src/train/report/run-folder.js";
import { editJson, newFolder, removeFolder } from "../../support/small-models.js";
import { writeRun } from "./made-up-runs.js";

let folder = "";
beforeEach(async () => {
  folder = await newFolder();
  await writeRun(folder, { steps: 100, layers: 1, window: 50 });
});
afterEach(() => removeFolder(folder));

const write = (name: string, ...lines: readonly unknown[]): Promise<void> =>
  writeFile(join(folder, name), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));

/** Half of it on the domain that is held out. */
function at(share: number): object {
  return { env0_in_acc: null, env0_out_acc: share, test_acc: { mnist: share / 2 } };
}

describe("a run's files", () => {
  test("are read line by line", async () => {
    await write(
      "log.jsonl",
      { step: 0, loss: 2, learningRate: 0.1, scales: { a: 0.5 } },
      { step: 10, loss: null },
    );
    await write("results.jsonl", {
      step: 9,
      env0_in_acc: 0.5,
      env0_out_acc: 0.25,
      test_acc: { mnist: 0.75 },
      oscillating: { a: 0.1, b: 0.3 },
    });
    const { log, results } = await readRun(folder);
    expect(log.map(({ step, loss, smoothLoss }) => [step, loss, smoothLoss])).toEqual([
      [0, 2, null],
      [10, null, null],
    ]);
    expect([...(log[0]?.scales ?? [])]).toEqual([["a", 0.5]]);
    // env0 is the first of the sorted names.
    expect(results[0]?.accuracy.get("mnist")).toEqual({ training: 0.5, validation: 0.25, all: 0.75 });
    expect(results[0]?.accuracy.get("syn")).toEqual({ training: null, validation: null, all: null });
    expect(results[0]?.oscillating).toBeCloseTo(0.2);
  });

  test("of a network for several bits have the accuracies at each", async () => {
    await write(
      "results.jsonl",
      { step: 9, ...at(0.5), by_bits: { 2: at(0.25), 8: at(0.75) } },
      { step: 19 },
    );
    const { results } = await readRun(folder);
    const [line, other] = results;
    expect([...(line?.byBits.keys() ?? [])]).toEqual([2, 8]);
    expect(line?.byBits.get(8)?.get("mnist")).toEqual({ training: null, validation: 0.75, all: 0.375 });
    expect(other?.byBits.size).toBe(0);
    await write("results.jsonl", { step: 9, by_bits: { few: at(0.25) } });
    await expect(readRun(folder)).rejects.toThrow(/results\.jsonl:1: by_bits\.few: got NaN/);
  });

  test("that a resumed run has written twice count as they were written last", async () => {
    await write(
      "log.jsonl",
      { step: 0, loss: 9 },
      { step: 10, loss: 8 },
      { step: 20, loss: 7 },
      { step: 10, loss: 3 },
    );
    expect((await readRun(folder)).log.map(({ step, loss }) => [step, loss])).toEqual([
      [0, 9],
      [10, 3],
    ]);
  });

  test("keep of a window its means, and the quantiles of all scales", async () => {
    const disorder = { a: [0, null, 0.5, 1], b: [0.25, 0.75], c: [null] };
    await write("freezing.jsonl", {
      step: 50,
      steps: 50,
      disorder,
      frozen: { a: [1, 0, 0, 0], b: [0, 1], c: [0] },
    });
    const [window] = (await readRun(folder)).windows;
    expect(window?.entries.get("a")).toEqual({
      scales: 4,
      disorder: 0.5,
      frozen: 1 / 4,
      conflict: null,
    });
    // Nothing is known of a scale without a gradient.
    expect(window?.entries.has("c")).toBe(false);
    expect(window?.entries.get("b")).toMatchObject({ scales: 2, disorder: 0.5, frozen: 0.5 });
    expect(window?.quantiles).toEqual(
      [0.05, 0.25, 0.5, 0.75, 0.95].map((q) => expect.closeTo(q, 10) as number),
    );
  });

  test("may end in half a line, which is left out and told", async () => {
    await writeFile(join(folder, "log.jsonl"), '{"step":0,"loss":1}\n{"step":10,"lo');
    const { log, notes } = await readRun(folder);
    expect(log).toHaveLength(1);
    expect(notes).toEqual([expect.stringMatching(/log\.jsonl:2: the last line is half-written/) as string]);
  });

  test("that are not there yet are empty", async () => {
    for (const name of ["log", "results", "freezing"]) await rm(join(folder, `${name}.jsonl`));
    expect(await readRun(folder)).toMatchObject({ log: [], results: [], windows: [], notes: [] });
  });

  test.each([
    ["log.jsonl", '{"step":0,\n{"step":10}\n', /log\.jsonl:1: is not JSON.*\[invalid-json\]/],
    ["log.jsonl", '{"step":0,"loss":1e999}\n', /log\.jsonl:1: loss: got Infinity, expected a finite number/],
    ["log.jsonl", '{"step":-1}\n', /log\.jsonl:1: step: got -1, expected a whole number/],
    ["log.jsonl", "[1]\n", /log\.jsonl:1: got \[1\], expected an object/],
    ["log.jsonl", '{"step":1,"scales":{"a":"b"}}\n', /scales\.a: got "b", expected a finite number/],
    ["log.jsonl", '{"step":1,"frozen":2}\n', /frozen: got 2, expected a number from 0 to 1/],
    ["results.jsonl", '{"step":1,"env0_in_acc":90}\n', /env0_in_acc: got 90, expected a number from 0 to 1/],
    [
      "freezing.jsonl",
      '{"step":1,"steps":1,"disorder":{"a":[0.5,0.5]},"frozen":{"a":[0]}}\n',
      /a: got 2 disorders and 1 marks of freezing/,
    ],
    [
      "freezing.jsonl",
      '{"step":1,"steps":1,"disorder":{"a":[0.5]},"frozen":{"a":[0]},"smoothnessDisorder":{"a":[0.5]},"opposed":{"a":[0]},"cosine":{"a":[1.5]}}\n',
      /cosine.a: got 1.5, expected a cosine, -1 to 1/,
    ],
    ["freezing.jsonl", '{"step":1,"steps":1,"disorder":{"__proto__":[0]},"frozen":{}}\n', /expected a list/],
    ["run.json", "{", /run\.json: is not JSON/],
    ["run.json", '{"version":2}', /run\.json: version: got 2, expected 1; take a newer qdg/],
  ])("with something else in %s are refused: %s", async (name, text, message) => {
    await writeFile(join(folder, name), text);
    await expect(readRun(folder)).rejects.toThrow(message);
  });

  test.each([
    [
      { domains: [{ name: "a", role: "judge", training: 1, validation: 1 }] },
      /role: got "judge", expected source or test/,
    ],
    [{ domains: [{ name: "a", role: "test", training: -1, validation: 1 }] }, /training: got -1/],
    [{ quantizers: "all" }, /quantizers: got "all", expected a list/],
    [{ model: { name: "m", parameters: 1.5 } }, /parameters: got 1\.5/],
  ])("of a description such as %j are refused", async (change, message) => {
    await editJson(join(folder, "run.json"), (json) => ({ ...(json as object), ...change }));
    await expect(readRun(folder)).rejects.toThrow(message);
  });

  test("too large, or no files at all, are not read", async () => {
    await truncate(join(folder, "log.jsonl"), 2 ** 40);
    await expect(readRun(folder)).rejects.toThrow(/log\.jsonl: got 1099511627776 bytes, expected at most/);
    await rm(join(folder, "log.jsonl"));
    await mkdir(join(folder, "log.jsonl"));
    await expect(readRun(folder)).rejects.toThrow(/log\.jsonl: is no plain file/);
  });
});
