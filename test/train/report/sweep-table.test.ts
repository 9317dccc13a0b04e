// The table of a sweep: what stands in a cell, what is paired with what, and the quantiles behind the intervals.

import { describe, expect, test } from "vitest";
import type { Run } from "../../../src/train/report/run-folder.js";
import { twoSidedT } from "../../../src/train/report/student-t.js";
import { sweepTable } from "../../../src/train/report/sweep-table.js";
import { accuracyTexts, differenceTexts } from "../../../src/train/report/sweep-texts.js";

interface Made {
  readonly method: string;
  readonly domain: string;
  readonly seed: number;
  readonly accuracy: number;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly last?: number;
  readonly qdg?: string;
}

/** A run that was best on its sources at step 10 with `accuracy` on the held-out domain, and is worse since. */
function made({ method, domain, seed, accuracy, options = {}, last = 20, qdg = "0.1.0" }: Made): Run {
  const line = (step: number, validation: number, held: number) => ({
    step,
    quantized: true,
    oscillating: null,
    byBits: new Map(),
    accuracy: new Map([
      ["source", { training: null, validation, all: null }],
      [domain, { training: null, validation: null, all: held }],
    ]),
  });
  return {
    folder: "",
    description: {
      qdg,
      created: "",
      options: { method, seed, steps: 20, select: "validation", testDomain: [domain], ...options },
      backend: "wasm 1",
      model: "resnet8",
      parameters: 1,
      classes: ["a"],
      domains: [
        { name: "source", role: "source", training: 8, validation: 2 },
        { name: domain, role: "test", training: 8, validation: 2 },
      ],
      quantizers: [],
    },
    log: [],
    results: [line(10, 0.9, accuracy), line(last, 0.5, 0.01)],
    windows: [],
    notes: [],
  };
}

const tableOf = (runs: readonly Made[], baseline?: string) =>
  sweepTable(
    runs.map(made),
    runs.map(({ method, domain, seed }) => `${method}-${domain}-${seed}`),
    baseline,
  );

const grid = (
  method: string,
  accuracies: Readonly<Record<string, readonly number[]>>,
  options = {},
): Made[] =>
  Object.entries(accuracies).flatMap(([domain, values]) =>
    values.map((accuracy, seed) => ({ method, domain, seed, accuracy, options })),
  );

const LSQ = grid("lsq", { cartoon: [0.5, 0.6], sketch: [0.3, 0.3] });
const GAQAT = grid("gaqat", { cartoon: [0.52, 0.64], sketch: [0.36, 0.38] });

describe("the table of a sweep", () => {
  test("has the model that validation of the sources selects, by held-out domain, with mean and spread over seeds", () => {
    const table = tableOf(LSQ);
    expect(table?.domains).toEqual(["cartoon", "sketch"]);
    expect(table?.rows).toHaveLength(1);
    const [row] = table?.rows ?? [];
    expect(row).toMatchObject({ name: "lsq", runs: 4 });
    expect(row?.cells[0]).toMatchObject({ count: 2 });
    expect(row?.cells[0]?.mean).toBeCloseTo(0.55, 12);
    expect(row?.cells[0]?.spread).toBeCloseTo(Math.SQRT1_2 * 0.1, 12);
    expect(row?.cells[1]).toMatchObject({ mean: 0.3, spread: 0 });
    // Over seeds, of the mean over domains: 0.4 and 0.45.
    expect(row?.average?.mean).toBeCloseTo(0.425, 12);
    expect(row?.average?.spread).toBeCloseTo(Math.SQRT1_2 * 0.05, 12);
    expect(table).toMatchObject({ baseline: null, differences: [], notes: [] });
  });

  test("averages over the seeds that have every domain, and over no other", () => {
    const table = tableOf(LSQ.slice(0, 3));
    expect(table?.rows[0]?.average).toMatchObject({ count: 1, spread: null });
    expect(tableOf([LSQ[0] as Made, LSQ[3] as Made])?.rows[0]?.average).toBeNull();
  });

  test("has a row for each setting, named by what tells it from the others", () => {
    const runs = [
      ...grid("lsq", { sketch: [0.3] }, { bits: 3, weightBits: 3 }),
      ...grid("lsq", { sketch: [0.4] }, { bits: 4, weightBits: 4 }),
      ...grid("erm", { sketch: [0.5] }),
    ];
    expect(tableOf(runs)?.rows.map(({ name }) => name)).toEqual(["lsq, bits 3", "lsq, bits 4", "erm"]);
  });

  test("does not take what follows from the data for a setting", () => {
    const runs = [
      ...grid("lsq", { sketch: [0.3] }, { evalEvery: 10 }),
      ...grid("lsq", { cartoon: [0.3] }, { evalEvery: 20 }),
    ];
    expect(tableOf(runs)?.rows).toHaveLength(1);
  });

  test("leaves out runs that have not ended, and second runs of one experiment, and says which", () => {
    const [first, second] = LSQ as [Made, Made];
    const table = tableOf([first, second, { ...second, accuracy: 0.9 }, { ...first, seed: 7, last: 15 }]);
    expect(table?.rows[0]).toMatchObject({ runs: 2 });
    expect(table?.notes).toEqual([
      "lsq-cartoon-7: has come to step 15 of 20, and is left out of the table",
      "lsq-cartoon-1: is the same experiment as lsq-cartoon-1, and is left out of the table",
    ]);
  });

  test("says where versions are mixed", () => {
    expect(tableOf([LSQ[0] as Made, { ...(LSQ[1] as Made), qdg: "0.2.0" }])?.notes).toEqual([
      "these runs are of 2 versions of qdg: 0.1.0, 0.2.0",
    ]);
  });

  test("is none without a run that holds out a domain", () => {
    expect(tableOf([])).toBeNull();
  });
});

describe("differences from a baseline", () => {
  test("are over the pairs of one domain and one seed, with a two-sided interval of t", () => {
    const table = tableOf([...LSQ, ...GAQAT]);
    expect(table?.baseline).toBe("lsq");
    const [difference] = table?.differences ?? [];
    expect(difference).toMatchObject({ row: "gaqat", baseline: "lsq", pairs: 4, ahead: 4 });
    // 0.02, 0.04, 0.06, 0.08: mean 0.05, s = sqrt(0.002 / 3), t of 3 degrees of freedom 3.18245.
    const half = (3.182446 * Math.sqrt(0.002 / 3)) / 2;
    expect(difference?.mean).toBeCloseTo(0.05, 12);
    expect(difference?.interval?.[0]).toBeCloseTo(0.05 - half, 7);
    expect(difference?.interval?.[1]).toBeCloseTo(0.05 + half, 7);
  });

  test("are the same whatever the order of the runs", () => {
    const runs = [...LSQ, ...GAQAT];
    const turned = tableOf(runs.toReversed(), "lsq");
    expect(turned?.differences[0]?.mean).toBeCloseTo(tableOf(runs)?.differences[0]?.mean ?? 0, 12);
  });

  test("are with a baseline of the same setting, or with the only one", () => {
    const at = (method: string, bits: number, accuracy: number): Made => ({
      ...(grid(method, { sketch: [accuracy] }, { bits })[0] as Made),
    });
    const runs = [at("lsq", 3, 0.3), at("lsq", 4, 0.4), at("gaqat", 3, 0.35), at("gaqat", 4, 0.5)];
    const erm = grid("erm", { sketch: [0.6] });
    expect(tableOf(runs)?.differences.map(({ row, baseline }) => [row, baseline])).toEqual([
      ["gaqat, bits 3", "lsq, bits 3"],
      ["gaqat, bits 4", "lsq, bits 4"],
    ]);
    const fromErm = tableOf([...runs, ...erm], "erm")?.differences ?? [];
    expect(fromErm.map(({ mean }) => mean.toFixed(2))).toEqual(["-0.30", "-0.20", "-0.25", "-0.10"]);
    expect(fromErm.map(({ interval }) => interval)).toEqual([null, null, null, null]);
  });

  test("from a method that no run is of are an error that names those that there are", () => {
    expect(() => tableOf([...LSQ, ...GAQAT], "erm")).toThrow(
      "--baseline: got erm, but the runs are of lsq, gaqat [usage]",
    );
  });

  test("stand in words with their signs", () => {
    const table = tableOf([...LSQ, ...GAQAT]);
    if (!table) throw new Error("no table");
    expect(accuracyTexts(table).rows).toEqual([
      ["lsq", "4", "55.0 ± 7.1", "30.0 ± 0.0", "42.5 ± 3.5", "90.0 ± 0.0"],
      ["gaqat", "4", "58.0 ± 8.5", "37.0 ± 1.4", "47.5 ± 4.9", "90.0 ± 0.0"],
    ]);
    expect(differenceTexts(table)?.rows).toEqual([["gaqat", "lsq", "4", "+5.0", "+0.9 to +9.1", "4 of 4"]]);
  });
});

test.each([
  [1, 12.706205],
  [2, 4.302653],
  [3, 3.182446],
  [5, 2.570582],
  [8, 2.306004],
  [11, 2.200985],
  [30, 2.042272],
  [120, 1.97993],
])("t of %i degrees of freedom is that of the printed tables", (freedom, t) => {
  expect(twoSidedT(0.95, freedom)).toBeCloseTo(t, 5);
});
