// The table of a sweep, as DomainBed makes its own: of every run the model that validation of the sources selects, mean
// and spread over seeds by held-out domain, and differences from a baseline over the same domains and seeds. Pure.

import { QdgError } from "../../base/error.js";
import {
  differs,
  hasEffect,
  heldOut,
  meanAndSpread,
  type MeanAndSpread,
  optionRows,
  optionTexts,
  selected,
  sourceValidation,
  tellingRows,
} from "./compare-runs.js";
import type { Run } from "./run-folder.js";
import { twoSidedT } from "./student-t.js";

export interface SweepRow {
  /** The method, and the options that tell it from other rows. */
  readonly name: string;
  readonly method: string;
  readonly runs: number;
  /** Accuracy by held-out domain, 0 to 1, over seeds; null where no run has held it out. */
  readonly cells: readonly (MeanAndSpread | null)[];
  /** Over the seeds that have every domain: of the mean over domains. null where there is no such seed. */
  readonly average: MeanAndSpread | null;
  /** Validation of the sources, over all runs. */
  readonly validation: MeanAndSpread | null;
}

/** A row less the baseline, over the pairs of one domain and one seed that both have. */
export interface PairedDifference {
  readonly row: string;
  readonly baseline: string;
  readonly pairs: number;
  readonly mean: number;
  /** `mean ± t s / sqrt(pairs)`, t two-sided at 95 % with pairs - 1 degrees of freedom; null of one pair. */
  readonly interval: readonly [low: number, high: number] | null;
  /** Pairs in which the row is ahead. */
  readonly ahead: number;
}

export interface SweepTable {
  /** Held-out domains, by name; several that are held out together are joined by +. */
  readonly domains: readonly string[];
  readonly rows: readonly SweepRow[];
  /** The method that others are compared with; null where there is none. */
  readonly baseline: string | null;
  readonly differences: readonly PairedDifference[];
  /** What is not in the table, and what does not go together in it. */
  readonly notes: readonly string[];
}

/** Of one run. */
interface Cell {
  readonly run: Run;
  readonly name: string;
  readonly domain: string;
  readonly seed: string;
  readonly accuracy: number;
  readonly validation: number | null;
}

interface Group {
  readonly name: string;
  readonly method: string;
  /** What tells it from groups of the same method. */
  readonly settings: string;
  readonly cells: readonly Cell[];
}

export const LEVEL = 0.95;

/** Domains and seeds are columns and spreads; when it is evaluated follows from the data where nobody asked. */
const NO_ROW: ReadonlySet<string> = new Set(["seed", "testDomain", "evalEvery", "data", "method"]);

/**
 * @param names of the runs, for notes
 * @param baseline a method; the first one where it is not said
 * @returns null where no run has held out a domain and ended
 * @throws QdgError `usage` for a baseline that no run is of
 */
export function sweepTable(
  runs: readonly Run[],
  names: readonly string[],
  baseline?: string,
): SweepTable | null {
  const notes: string[] = [];
  const cells = runs.flatMap((run, i) => {
    const found = cellOf(run, names[i] as string);
    if (typeof found !== "string") return [found];
    notes.push(`${names[i]}: ${found}`);
    return [];
  });
  if (cells.length === 0) return null;
  notes.push(...mixed(cells));
  const domains = [...new Set(cells.map(({ domain }) => domain))].sort();
  const groups = groupsOf(cells, notes);
  const methods = [...new Set(groups.map(({ method }) => method))];
  if (baseline !== undefined && !methods.includes(baseline)) {
    throw new QdgError("usage", "--baseline", `got ${baseline}, but the runs are of ${methods.join(", ")}`);
  }
  const chosen = baseline ?? (methods.length > 1 ? methods[0] : undefined) ?? null;
  return {
    domains,
    rows: groups.map((group) => rowOf(group, domains)),
    baseline: chosen,
    differences: chosen === null ? [] : differencesFrom(chosen, groups),
    notes,
  };
}

/** @returns why it is left out, or the cell */
function cellOf(run: Run, name: string): Cell | string {
  const options = optionTexts(run.description.options);
  const held = run.description.domains.filter(({ role }) => role === "test").map((domain) => domain.name);
  if (held.length === 0) return "holds out no domain, and is left out of the table";
  const steps = Number(options.get("steps"));
  const last = run.results.at(-1)?.step ?? 0;
  if (last < steps) return `has come to step ${last} of ${steps}, and is left out of the table`;
  const kept = selected(run);
  const accuracy = kept && heldOut(run, kept);
  if (kept === null || accuracy === null) return "has no evaluation, and is left out of the table";
  return {
    run,
    name,
    domain: held.sort().join("+"),
    seed: options.get("seed") ?? "0",
    accuracy,
    validation: sourceValidation(run, kept),
  };
}

function mixed(cells: readonly Cell[]): string[] {
  const kinds = (what: string, value: (cell: Cell) => string): string[] => {
    const found = [...new Set(cells.map(value))];
    return found.length < 2 ? [] : [`these runs are of ${found.length} ${what}: ${found.join(", ")}`];
  };
  return [
    ...kinds("versions of qdg", ({ run }) => run.description.qdg),
    ...kinds("backends, which differ in last bits", ({ run }) => run.description.backend),
  ];
}

function groupsOf(cells: readonly Cell[], notes: string[]): Group[] {
  const rows = optionRows(cells.map(({ run }) => run)).filter((row) => hasEffect(row) && differs(row));
  const others = rows.filter(({ option }) => !NO_ROW.has(option));
  const methods = cells.map(({ run }) => optionTexts(run.description.options).get("method") ?? "");
  const found = new Map<string, number[]>();
  cells.forEach((_, i) => {
    const key = JSON.stringify([methods[i], others.map(({ values }) => values[i])]);
    found.set(key, [...(found.get(key) ?? []), i]);
  });
  const members = [...found.values()];
  const telling = tellingRows(
    [{ option: "method", values: methods }, ...others],
    members.map(([first]) => first as number),
  );
  return members.map((indices) => {
    const first = indices[0] as number;
    const settings = telling
      .filter(({ option }) => option !== "method")
      .flatMap(({ option, values: { [first]: value } }) =>
        value === null || value === undefined ? [] : [`${option} ${value}`],
      )
      .join(", ");
    const method = methods[first] as string;
    const name = settings === "" ? method : `${method}, ${settings}`;
    return { name, method, settings, cells: withoutTwins(indices, cells, notes) };
  });
}

/** Two runs of one domain and seed would count twice. */
function withoutTwins(indices: readonly number[], cells: readonly Cell[], notes: string[]): Cell[] {
  const seen = new Map<string, Cell>();
  for (const i of indices) {
    const cell = cells[i] as Cell;
    const key = JSON.stringify([cell.domain, cell.seed]);
    const twin = seen.get(key);
    if (twin)
      notes.push(`${cell.name}: is the same experiment as ${twin.name}, and is left out of the table`);
    else seen.set(key, cell);
  }
  return [...seen.values()];
}

function rowOf({ name, method, cells }: Group, domains: readonly string[]): SweepRow {
  const seeds = new Map<string, Map<string, number>>();
  for (const { seed, domain, accuracy } of cells) {
    const ofSeed = seeds.get(seed) ?? new Map<string, number>();
    seeds.set(seed, ofSeed.set(domain, accuracy));
  }
  const whole = [...seeds.values()].filter((ofSeed) => ofSeed.size === domains.length);
  return {
    name,
    method,
    runs: cells.length,
    cells: domains.map((domain) =>
      meanAndSpread(cells.filter((cell) => cell.domain === domain).map(({ accuracy }) => accuracy)),
    ),
    average: meanAndSpread(
      whole.map((ofSeed) => [...ofSeed.values()].reduce((sum, each) => sum + each, 0) / ofSeed.size),
    ),
    validation: meanAndSpread(
      cells.map(({ validation }) => validation).filter((value): value is number => value !== null),
    ),
  };
}

/** With a baseline of the same settings where there is one; of the only one otherwise, as a float method has no bits. */
function differencesFrom(baseline: string, groups: readonly Group[]): PairedDifference[] {
  const bases = groups.filter(({ method }) => method === baseline);
  return groups
    .filter(({ method }) => method !== baseline)
    .flatMap((group) => {
      const base =
        bases.find(({ settings }) => settings === group.settings) ??
        (bases.length === 1 ? bases[0] : undefined);
      const found = base && differenceOf(group, base);
      return found ? [found] : [];
    });
}

function differenceOf(group: Group, base: Group): PairedDifference | null {
  const differences = group.cells.flatMap(({ domain, seed, accuracy }) => {
    const other = base.cells.find((cell) => cell.domain === domain && cell.seed === seed);
    return other ? [accuracy - other.accuracy] : [];
  });
  const found = meanAndSpread(differences);
  if (!found) return null;
  const { count, mean, spread } = found;
  const half = spread === null ? null : (twoSidedT(LEVEL, count - 1) * spread) / Math.sqrt(count);
  return {
    row: group.name,
    baseline: base.name,
    pairs: count,
    mean,
    interval: half === null ? null : [mean - half, mean + half],
    ahead: differences.filter((each) => each > 0).length,
  };
}
