// The curves of a report as plain numbers: which charts there are, one series a run, aligned by step and thinned
// to what a screen can show. Draws nothing.

import { domainAccuracy, heldOut, type SeedGroup, sourceValidation } from "./compare-runs.js";
import type { ResultLine, Run } from "./run-folder.js";

/** Points a curve; more than a chart has pixels for show nothing. */
const MOST_POINTS = 600;
const MOST_SMALL_POINTS = 200;

type Points = readonly (readonly [step: number, value: number | null])[];

export interface Series {
  readonly label: string;
  /** Index of the palette. */
  readonly color: number;
  /** `member`: one of several seeds; `low` and `high`: borders of the band around their mean. */
  readonly kind: "run" | "member" | "mean" | "low" | "high";
  readonly values: readonly (number | null)[];
}

export interface Chart {
  readonly title: string;
  readonly unit: "" | "%";
  readonly log: boolean;
  readonly small: boolean;
  readonly steps: readonly number[];
  readonly series: readonly Series[];
}

export interface Curves {
  readonly accuracy: readonly Chart[];
  readonly domains: readonly Chart[];
  readonly training: readonly Chart[];
  readonly weightScales: readonly Chart[];
  readonly activationScales: readonly Chart[];
}

/** All charts; one without a single value is left out. */
export function curvesOf(
  runs: readonly Run[],
  names: readonly string[],
  groups: readonly SeedGroup[],
): Curves {
  const make = new ChartMaker(runs, names, groups);
  const log = (title: string, key: "loss" | "smoothLoss" | "learningRate", kind: { log?: boolean }): Chart =>
    make.chart(title, kind, (run) => run.log.map((line) => [line.step, line[key]]));
  const results = (
    title: string,
    value: (run: Run, line: ResultLine) => number | null,
    small = false,
  ): Chart =>
    make.chart(title, { unit: "%", small }, (run) =>
      run.results.map((line) => [line.step, percent(value(run, line))]),
    );
  const domains = [...new Set(runs.flatMap((run) => run.description.domains.map(({ name }) => name)))].sort();
  const scales = (role: "weight" | "activation"): Chart[] => {
    const ids = runs.flatMap((run) =>
      run.description.quantizers.filter((each) => each.role === role).map(({ id }) => id),
    );
    return [...new Set(ids)].map((id) =>
      make.chart(id, { log: true, small: true }, (run) =>
        run.log.map((line) => [line.step, positive(line.scales.get(id))]),
      ),
    );
  };
  return {
    accuracy: [
      results("Held-out accuracy", (run, line) => heldOut(run, line)),
      results("Validation accuracy, mean of the source domains", (run, line) => sourceValidation(run, line)),
    ].filter(hasValues),
    domains: domains
      .map((name) => results(name, (run, line) => domainAccuracy(run, line, name), true))
      .filter(hasValues),
    training: [
      log("Loss", "loss", { log: true }),
      log("Smoothness loss", "smoothLoss", { log: true }),
      log("Learning rate", "learningRate", {}),
      make.chart("Frozen scales", { unit: "%" }, (run) =>
        run.log.map((line) => [line.step, percent(line.frozen)]),
      ),
      results("Oscillating weights", (_, line) => line.oscillating),
    ].filter(hasValues),
    weightScales: scales("weight").filter(hasValues),
    activationScales: scales("activation").filter(hasValues),
  };
}

function percent(share: number | null): number | null {
  return share === null ? null : 100 * share;
}

/** Zero has no place on a logarithmic axis. */
function positive(value: number | undefined): number | null {
  return value !== undefined && value > 0 ? value : null;
}

function hasValues(chart: Chart): boolean {
  return chart.series.some(({ values }) => values.some((value) => value !== null));
}

class ChartMaker {
  readonly #runs: readonly Run[];
  readonly #names: readonly string[];
  readonly #groups: readonly SeedGroup[];

  constructor(runs: readonly Run[], names: readonly string[], groups: readonly SeedGroup[]) {
    this.#runs = runs;
    this.#names = names;
    this.#groups = groups;
  }

  chart(
    title: string,
    kind: { readonly unit?: "%"; readonly log?: boolean; readonly small?: boolean },
    points: (run: Run) => Points,
  ): Chart {
    const { unit = "", log = false, small = false } = kind;
    const all = this.#runs.map(points);
    // The same for all runs, so that the points of seeds stay at the same steps.
    const longest = Math.max(...all.map((each) => each.length));
    const together = Math.ceil(longest / (small ? MOST_SMALL_POINTS : MOST_POINTS));
    const thinned = all.map((each) => new Map(thin(each, together)));
    const steps = [...new Set(thinned.flatMap((each) => [...each.keys()]))].sort((a, b) => a - b);
    const series = this.#groups.flatMap((group, color): Series[] => {
      const members = group.runs.map((i) => steps.map((step) => rounded(thinned[i]?.get(step) ?? null)));
      if (members.length === 1) {
        return [{ label: group.name, color, kind: "run", values: members[0] ?? [] }];
      }
      return [
        ...spreadOf(members, group.name, color, log),
        ...members.map((values, k): Series => {
          const label = this.#names[group.runs[k] as number] as string;
          return { label, color, kind: "member", values };
        }),
      ];
    });
    return {
      title,
      unit,
      log,
      small,
      steps,
      series: series.filter(({ values }) => values.some((v) => v !== null)),
    };
  }
}

/** Mean and mean -+ standard deviation, where every member has a value. */
function spreadOf(
  members: readonly (readonly (number | null)[])[],
  label: string,
  color: number,
  log: boolean,
): Series[] {
  const [mean, low, high]: [(number | null)[], (number | null)[], (number | null)[]] = [[], [], []];
  (members[0] ?? []).forEach((_, k) => {
    const values = members.map((each) => each[k] ?? null).filter((value) => value !== null);
    const found = values.length === members.length ? values : null;
    const middle = found && found.reduce((sum, value) => sum + value, 0) / found.length;
    const squares = found?.reduce((sum, value) => sum + (value - (middle as number)) ** 2, 0) ?? 0;
    const spread = Math.sqrt(squares / (members.length - 1));
    mean.push(rounded(middle));
    // On a logarithmic axis a band cannot go down to zero or below: it stops at the least of the runs.
    const bottom = found && (middle as number) - spread;
    low.push(rounded(found && bottom !== null && log && bottom <= 0 ? Math.min(...found) : bottom));
    high.push(rounded(found && (middle as number) + spread));
  });
  return [
    { label, color, kind: "mean", values: mean },
    { label: `${label}, high`, color, kind: "high", values: high },
    { label: `${label}, low`, color, kind: "low", values: low },
  ];
}

/** Means of `together` points in a row, each at the step of the last. */
export function thin(points: Points, together: number): Points {
  if (together <= 1) return points;
  const result: (readonly [number, number | null])[] = [];
  for (let start = 0; start < points.length; start += together) {
    const bucket = points.slice(start, start + together);
    const values = bucket.map(([, value]) => value).filter((value) => value !== null);
    const mean = values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
    result.push([bucket.at(-1)?.[0] ?? 0, mean]);
  }
  return result;
}

/** Five digits: a page of a hundred charts stays small. */
function rounded(value: number | null): number | null {
  return value === null ? null : Number(value.toPrecision(5));
}
