// What passes, fails, or is only noted, on facts put in by hand; the facts of real runs are in float-verdict.test.ts.

import { describe, expect, test } from "vitest";
import type { FloatReport, TensorUse } from "../../src/parity/report.js";
import {
  type FloatLife,
  judgeFloat,
  judgeLife,
  judgeTarget,
  type Judged,
  type Life,
  looksDead,
} from "../../src/parity/verdict.js";
import type { TfjsDeviation } from "../../src/runtime/tfjs-deviations.js";

const reasons = ({ checks }: Judged): string[] => checks.flatMap((check) => check.reasons);
const counts = (...pairs: (readonly [number, number])[]): ReadonlyMap<number, number> => new Map(pairs);

const tensor = (name: string, levelsUsed: number): TensorUse => ({
  name,
  layer: name,
  bits: 8,
  scale: 1,
  zeroPoint: 0,
  levelsUsed,
});

const life = (change: Partial<Life> = {}): Life => ({
  dead: [],
  classes: new Map([["y", counts([2, 20])]]),
  inputsDiffer: true,
  ...change,
});

const float = (classes: ReadonlyMap<number, number>, values: FloatLife["values"] = new Map()): FloatLife => ({
  classes: new Map([["y", classes]]),
  values,
});

describe("one class for all inputs", () => {
  const labelled = { quantized: true, random: false };

  test.each<[string, FloatLife | null, Parameters<typeof judgeLife>[2], RegExp]>([
    [
      "the float model predicts that class alone too",
      float(counts([2, 20])),
      labelled,
      /float model gives class 2 for all/,
    ],
    [
      "the float model predicts another class alone",
      float(counts([1, 20])),
      labelled,
      /float model gives class 1 for all/,
    ],
    [
      "the float model predicts it for nearly all",
      float(counts([2, 19], [0, 1])),
      labelled,
      /gives it for 95\.0 %/,
    ],
    [
      "the data are random and no float model is known",
      null,
      { quantized: true, random: true },
      /which are random/,
    ],
    ["nothing is quantized", null, { quantized: false, random: false }, /nothing in the file is quantized/],
    [
      "nothing is quantized and the float model has other classes",
      float(counts([2, 1], [0, 19])),
      { quantized: false, random: false },
      /gives it for 5\.0 %/,
    ],
  ])("is a note where %s", (_, known, options, note) => {
    const judged = judgeLife(life(), known, options);
    expect(reasons(judged)).toEqual([]);
    expect(judged.notes).toEqual([expect.stringMatching(note)]);
  });

  test.each<[string, FloatLife | null, boolean, RegExp]>([
    [
      "the float model is alive",
      float(counts([2, 5], [0, 8], [1, 7])),
      false,
      /gives 3 classes, and this one for 25\.0 %/,
    ],
    [
      "the float model is alive on random data",
      float(counts([0, 10], [1, 10])),
      true,
      /gives 2 classes, and this one for 0\.0 %/,
    ],
    ["no float model is known", null, false, /not known: give it as --reference/],
    ["the float model is no classifier", float(counts()), false, /not known: give it as --reference/],
  ])("is a dead network where %s", (_, known, random, reason) => {
    const judged = judgeLife(life(), known, { quantized: true, random });
    expect(reasons(judged)).toEqual([expect.stringMatching(reason)]);
    expect(reasons(judged)[0]).toMatch(/^dead network: output y is class 2 for all inputs/);
    expect(judged.notes).toEqual([]);
  });

  test("says nothing where no two inputs differ, or where there are two classes", () => {
    for (const alive of [
      life({ inputsDiffer: false }),
      life({ classes: new Map([["y", counts([0, 1], [1, 1])]]) }),
    ]) {
      expect(looksDead(alive)).toBe(false);
      const judged = judgeLife(alive, null, { quantized: true, random: false });
      expect([reasons(judged), judged.notes]).toEqual([[], []]);
    }
    expect(looksDead(life())).toBe(true);
  });
});

describe("a quantized tensor of fewer than three levels", () => {
  const two = life({ dead: [tensor("a", 1), tensor("b", 2)], classes: new Map() });
  const options = { quantized: true, random: true };

  test("fails, on random data too, and says what is not known without a float model", () => {
    const judged = judgeLife(two, null, options);
    expect(reasons(judged)).toEqual([
      expect.stringMatching(/^dead network: layer a uses 1 level\(s\) of tensor a .* give it as --reference/),
      expect.stringMatching(/^dead network: layer b uses 2 level\(s\)/),
    ]);
  });

  test("passes with a note where the float tensor takes no more values", () => {
    const judged = judgeLife(
      two,
      float(
        counts(),
        new Map([
          ["a", 1],
          ["b", 2],
        ]),
      ),
      options,
    );
    expect(reasons(judged)).toEqual([]);
    expect(judged.notes).toEqual([
      expect.stringMatching(/fewer than 3 levels are used of a, b: the float model/),
    ]);
  });

  test("fails where the float tensor is alive, or takes more values, or is not there", () => {
    const known = float(counts(), new Map([["a", 2]]));
    expect(reasons(judgeLife(two, known, options))).toEqual([
      expect.stringMatching(/layer a .* where the float model takes 2 values/),
      expect.stringMatching(/layer b .* has no tensor of that name/),
    ]);
    const alive = float(
      counts(),
      new Map([
        ["a", 3],
        ["b", 3],
      ]),
    );
    expect(reasons(judgeLife(two, alive, options))).toEqual([
      expect.stringMatching(/layer a .* takes 3 or more values/),
      expect.stringMatching(/layer b .* takes 3 or more values/),
    ]);
  });
});

type Numbers = Pick<FloatReport["outputs"][number], "sqnrDb" | "relativeDifference">;

const report = (runtime: string, numbers: Numbers): FloatReport => ({
  model: "model.json",
  runtime,
  outputs: [{ name: "y", top1Agreement: null, ...numbers }],
  accuracy: [],
});

const SLOPE: TfjsDeviation = {
  layer: "relu",
  className: "ReLU",
  backends: "all",
  what: "leaves out negative_slope",
};

const judgePlainly = (relativeDifference: number | null): Judged =>
  judgeFloat(report("reference", { sqnrDb: 100, relativeDifference }), {
    deviations: [SLOPE],
    quantized: false,
  });

describe("a file in which nothing is quantized", () => {
  const judge = (numbers: Numbers): Judged =>
    judgeFloat(report("tfjs", numbers), { deviations: [], quantized: false });

  test.each<Numbers>([
    { sqnrDb: null, relativeDifference: 0 },
    { sqnrDb: 120, relativeDifference: 1e-6 },
    { sqnrDb: 60, relativeDifference: 1e-3 },
    // Outputs of 1e-7 that are bounded by 1: equal, whatever the ratio.
    { sqnrDb: 20, relativeDifference: 3e-8 },
  ])("passes with %o", (numbers) => {
    expect(reasons(judge(numbers))).toEqual([]);
  });

  test.each<[Numbers, RegExp]>([
    [{ sqnrDb: 59.9, relativeDifference: 9e-4 }, /SQNR 59\.9 dB, expected at least 60 dB/],
    [
      { sqnrDb: 80, relativeDifference: 1.1e-3 },
      /largest difference 0\.0011 relative, expected at most 0\.001/,
    ],
    [{ sqnrDb: 19.8, relativeDifference: 0.3 }, /far from model\.json \(tfjs\)/],
    [{ sqnrDb: null, relativeDifference: null }, /SQNR not finite.*not finite relative/],
  ])("fails with %o", (numbers, reason) => {
    expect(reasons(judge(numbers))).toEqual([expect.stringMatching(reason)]);
  });

  test("is judged by the plain reference alone where tfjs deviates, to 1e-5", () => {
    const passed = judgePlainly(1e-5);
    expect(reasons(passed)).toEqual([]);
    expect(passed.checks.map(({ notJudged }) => notJudged)).toEqual([
      "tfjs deviates at relu (ReLU), where it leaves out negative_slope; the plain reference judges instead",
      null,
    ]);
    expect(reasons(judgePlainly(1.1e-5))).toEqual([
      expect.stringMatching(/by the plain reference by 0\.000011/),
    ]);
    expect(reasons(judgePlainly(null))).toHaveLength(1);
  });

  test("is judged by tfjs where only WebAssembly deviates, which is noted", () => {
    const far = report("tfjs", { sqnrDb: 19.8, relativeDifference: 0.3 });
    const judged = judgeFloat(far, {
      deviations: [{ ...SLOPE, backends: "wasm" }],
      quantized: false,
    });
    expect(reasons(judged)).toHaveLength(1);
    expect(judged.notes).toEqual([
      expect.stringMatching(/plain JavaScript backend: at relu \(ReLU\) it leaves out/),
    ]);
  });
});

const judgeQuantized = (sqnrDb: number, deviations: readonly TfjsDeviation[] = []): Judged =>
  judgeFloat(report("tfjs", { sqnrDb, relativeDifference: 0.5 }), { deviations, quantized: true });

describe("a quantized file", () => {
  test("never fails for its distance from the float model; below 10 dB that is noted", () => {
    expect([reasons(judgeQuantized(10)), judgeQuantized(10).notes]).toEqual([[], []]);
    expect(reasons(judgeQuantized(9.9))).toEqual([]);
    expect(judgeQuantized(9.9).notes).toEqual([expect.stringMatching(/is 9\.9 dB, below 10 dB/)]);
  });

  test("names three layers of a kind at most", () => {
    const names = ["a", "b", "c", "d", "e"];
    const judged = judgeQuantized(
      30,
      names.map((layer) => ({ ...SLOPE, layer, backends: "wasm" })),
    );
    expect(judged.notes).toEqual([
      expect.stringMatching(/ at a \(ReLU\), b \(ReLU\), c \(ReLU\) and 2 more it leaves/),
    ]);
  });

  test("says that tfjs is not what it is measured against where tfjs deviates", () => {
    const judged = judgeQuantized(30, [SLOPE]);
    expect(judged.notes).toEqual([]);
    expect(judged.checks.map(({ notJudged }) => notJudged)).toEqual([
      expect.stringMatching(/tfjs deviates at relu/),
    ]);
  });
});

test("a bounded output is told as such when it differs", () => {
  const output = {
    name: "y",
    dtype: "float32",
    mismatches: { count: 1, total: 1, largestSteps: 0.5 },
    top1Agreement: null,
    relativeDifference: 0.5,
  } as const;
  const target = { runtime: "cpu", version: "", tensors: null, firstDifference: null, accuracy: [] };
  const told = (floor: number | null): string[] =>
    reasons(judgeTarget({ ...target, outputs: [{ ...output, floor }] }));
  expect(told(null)).toEqual([expect.stringMatching(/differs by 0\.5 relative, expected/)]);
  expect(told(1)).toEqual([expect.stringMatching(/differs by 0\.5 relative to at least 1, expected/)]);
});
