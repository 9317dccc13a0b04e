import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  heldOut,
  meanAndSpread,
  runNames,
  seedGroups,
  selected,
  sourceValidation,
} from "../../../src/train/report/compare-runs.js";
import { curvesOf, thin } from "../../../src/train/report/curves.js";
import { freezingMap } from "../../../src/train/report/freezing-map.js";
import type { LogLine, ResultLine, Run, WindowLine } from "../../../src/train/report/run-folder.js";

/** An evaluation: training, validation and, where it is said, all of domains a, b and c. */
function result(
  step: number,
  shares: readonly (readonly [number | null, number | null, all?: number])[],
  quantized = true,
): ResultLine {
  const accuracy = new Map(
    shares.map(([training, validation, all = null], i) => [
      "abc"[i] as string,
      { training, validation, all },
    ]),
  );
  return { step, quantized, accuracy, byBits: new Map(), oscillating: null };
}

function run(change: Partial<Run> = {}, options: Record<string, unknown> = {}): Run {
  return {
    folder: "run",
    description: {
      qdg: "1",
      created: "",
      options,
      backend: "wasm 1",
      model: "m",
      parameters: 1,
      classes: ["x", "y"],
      domains: [
        { name: "a", role: "source", training: 80, validation: 20 },
        { name: "b", role: "source", training: 8, validation: 2 },
        { name: "c", role: "test", training: 30, validation: 10 },
      ],
      quantizers: [
        { id: "k", layer: "conv", role: "weight", bits: 3, signed: true },
        { id: "r", layer: "relu", role: "activation", bits: 3, signed: false },
      ],
    },
    log: [],
    results: [],
    windows: [],
    notes: [],
    ...change,
  };
}

function logLine(step: number, loss: number | null): LogLine {
  const none = { smoothLoss: null, learningRate: null, imagesPerSecond: null, frozen: null };
  return { step, loss, ...none, scales: new Map() };
}

describe("accuracies", () => {
  test("of the sources weigh every domain alike, whatever its size", () => {
    expect(
      sourceValidation(
        run(),
        result(0, [
          [1, 0.8],
          [1, 0.4],
          [1, 1],
        ]),
      ),
    ).toBeCloseTo(0.6);
    expect(
      sourceValidation(
        run(),
        result(0, [
          [1, null],
          [1, null],
          [1, 1],
        ]),
      ),
    ).toBeNull();
  });

  test("of the held-out domain count each of its images once, or are what the line says", () => {
    const counted = (30 * 0.5 + 10 * 0.1) / 40;
    expect(
      heldOut(
        run(),
        result(0, [
          [1, 1],
          [1, 1],
          [0.5, 0.1],
        ]),
      ),
    ).toBeCloseTo(counted);
    expect(
      heldOut(
        run(),
        result(0, [
          [1, 1],
          [1, 1],
          [0.5, 0.1, 0.3],
        ]),
      ),
    ).toBe(0.3);
    expect(
      heldOut(
        run(),
        result(0, [
          [1, 1],
          [1, 1],
        ]),
      ),
    ).toBeNull();
  });

  test("select the step by the sources alone, the later of equal ones", () => {
    const results = [
      result(9, [
        [1, 0.5],
        [1, 0.5],
        [0.9, 0.9],
      ]),
      result(19, [
        [1, 0.75],
        [1, 0.75],
        [0.5, 0.5],
      ]),
      result(29, [
        [1, 0.5],
        [1, 1],
        [0.8, 0.8],
      ]),
      result(39, [
        [1, 0.5],
        [1, 0.5],
        [1, 1],
      ]),
    ];
    expect(selected(run({ results }))?.step).toBe(29);
    expect(selected(run({ results }, { select: "last" }))?.step).toBe(39);
    expect(selected(run())).toBeNull();
  });

  test("from before the first step are not selected, whatever the method", () => {
    const results = [
      result(0, [
        [1, 1],
        [1, 1],
      ]),
      result(9, [
        [1, 0.5],
        [1, 0.5],
      ]),
    ];
    const float = run({ results });
    expect(selected(float)?.step).toBe(9);
    expect(selected({ ...float, description: { ...float.description, quantizers: [] } })?.step).toBe(9);
    expect(selected(run({ results: results.slice(0, 1) }))).toBeNull();
  });

  test("of a network that is not quantized yet are not selected, but for a method that never quantizes", () => {
    const results = [
      result(
        9,
        [
          [1, 1],
          [1, 1],
        ],
        false,
      ),
      result(19, [
        [1, 0.5],
        [1, 0.5],
      ]),
    ];
    expect(selected(run({ results }))?.step).toBe(19);
    expect(selected(run({ results: results.slice(0, 1) }))).toBeNull();
    const float = run({ results });
    expect(selected({ ...float, description: { ...float.description, quantizers: [] } })?.step).toBe(9);
  });

  test.each([
    [[], null],
    [[3], { count: 1, mean: 3, spread: null }],
    [[1, 2, 3], { count: 3, mean: 2, spread: 1 }],
    [[2, 4, 4, 4, 5, 5, 7, 9], { count: 8, mean: 5, spread: Math.sqrt(32 / 7) }],
  ])("of %j have mean and sample deviation", (values, expected) => {
    expect(meanAndSpread(values)).toEqual(expected);
  });
});

describe("runs", () => {
  test.each([
    [
      ["runs/a", "runs/b"],
      ["a", "b"],
    ],
    [
      ["one/a", "two/a", "two/b"],
      ["one/a", "two/a", "two/b"],
    ],
    [
      ["x/one/a/", "y/one/a"],
      ["x/one/a", "y/one/a"],
    ],
  ])("%j are called %j", (folders, names) => {
    expect(runNames(folders.map((folder) => join("/top", folder)))).toEqual(names);
  });

  test("given twice keep their names", () => {
    expect(runNames(["/a", "/a"])).toEqual(["/a", "/a"]);
  });

  test("that differ by seed and place alone are one group, named by the first options that tell it apart", () => {
    const runs = [
      run({}, { method: "gaqat", K: 5, seed: 0, out: "runs/0" }),
      run({}, { method: "lsq", seed: 0, out: "x" }),
      run({}, { method: "gaqat", K: 5, seed: 1, out: "runs/1" }),
      run({}, { method: "lsq", seed: 1, out: "x" }),
    ];
    const groups = seedGroups(runs, ["a", "b", "c", "d"]);
    expect(groups).toEqual([
      { name: "method gaqat (2 runs)", runs: [0, 2] },
      { name: "method lsq (2 runs)", runs: [1, 3] },
    ]);
  });

  test("of another backend or held-out domain are no group", () => {
    const other = run({}, { seed: 1 });
    const description = { ...other.description, backend: "tensorflow 1" };
    expect(seedGroups([run({}, { seed: 0 }), { ...other, description }], ["a", "b"])).toHaveLength(2);
  });
});

describe("curves", () => {
  test("are thinned to means, each at its last step, null where nothing was measured", () => {
    const points = [
      [0, 1],
      [1, 3],
      [2, null],
      [3, null],
      [4, 7],
    ] as const;
    expect(thin(points, 2)).toEqual([
      [1, 2],
      [3, null],
      [4, 7],
    ]);
    expect(thin(points, 1)).toBe(points);
  });

  test("of seeds have a mean and a band where all of them have values", () => {
    const runs = [
      run({ log: [logLine(0, 1), logLine(10, 2), logLine(20, 5)] }, { seed: 0 }),
      run({ log: [logLine(0, 3), logLine(10, 4)] }, { seed: 1 }),
    ];
    const names = ["a", "b"];
    const [chart] = curvesOf(runs, names, seedGroups(runs, names)).training;
    expect(chart).toMatchObject({ title: "Loss", log: true, steps: [0, 10, 20] });
    // Deviation sqrt(2), at five digits.
    expect(chart?.series.map(({ kind, values }) => [kind, values])).toEqual([
      ["mean", [2, 3, null]],
      ["high", [3.4142, 4.4142, null]],
      ["low", [0.58579, 1.5858, null]],
      ["member", [1, 2, 5]],
      ["member", [3, 4, null]],
    ]);
  });

  test("without a value are left out", () => {
    const curves = curvesOf([run()], ["a"], [{ name: "a", runs: [0] }]);
    expect(Object.values(curves).flat()).toEqual([]);
  });
});

function window(step: number, disorder: Readonly<Record<string, number>>): WindowLine {
  return {
    step,
    steps: 10,
    entries: new Map(
      Object.entries(disorder).map(([name, each]) => [
        name,
        {
          scales: 1,
          disorder: each,
          frozen: each < 0.3 ? 1 : 0,
          // Windows of older runs have none.
          conflict: step === 9 ? null : { smoothnessDisorder: each, opposed: each / 2, cosine: 1 - each },
        },
      ]),
    ),
    opposingLayers: null,
    quantiles: [],
  };
}

describe("the map of freezing", () => {
  test("has the rows of the network's order, unknown names last", () => {
    const windows = [window(10, { "x/scale": 0.9, "r/scale": 0.2, "k/scale": 0.5, "r/zero-point": 0.4 })];
    const map = freezingMap(run({ windows }));
    expect(map?.rows.map(({ layer, role }) => `${layer} ${role}`.trim())).toEqual([
      "conv weight",
      "relu activation",
      "relu activation zero point",
      "x/scale",
    ]);
    expect(map?.rows[1]?.cells).toEqual([
      { disorder: 0.2, frozen: 1, conflict: { smoothnessDisorder: 0.2, opposed: 0.1, cosine: 0.8 } },
    ]);
  });

  test("takes the means of conflict over the windows that say it", () => {
    const windows = Array.from({ length: 60 }, (_, i) => window(i, { "k/scale": i === 8 ? 0.8 : 0.4 }));
    const cells = freezingMap(run({ windows }))?.rows[0]?.cells;
    // Windows 8 and 9 share a column, and 9 says nothing.
    expect(cells?.[4]?.conflict).toEqual({ smoothnessDisorder: 0.8, opposed: 0.4, cosine: 1 - 0.8 });
    expect(cells?.[4]?.disorder).toBeCloseTo(0.6);
  });

  test("averages neighbouring windows when there are many", () => {
    const windows = Array.from({ length: 60 }, (_, i) =>
      window(10 * (i + 1), { "k/scale": i % 2 ? 0.2 : 0.6 }),
    );
    const map = freezingMap(run({ windows }));
    expect(map).toMatchObject({ windowsPerColumn: 2 });
    expect(map?.columns.slice(0, 2)).toEqual([20, 40]);
    expect(map?.columns).toHaveLength(30);
    expect(map?.rows[0]?.cells[0]?.disorder).toBeCloseTo(0.4);
    expect(map?.rows[0]?.cells[0]?.frozen).toBeCloseTo(0.5);
  });

  test("is none without windows", () => {
    expect(freezingMap(run())).toBeNull();
  });
});
