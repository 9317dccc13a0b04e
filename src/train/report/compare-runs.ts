// Several runs beside each other: what to call them, the options in which they differ, the accuracies at the
// step that training-domain validation selects, and mean and spread where only the seed differs. Pure.

import { basename, resolve, sep } from "node:path";
import type { JsonObject } from "./fields.js";
import type { ResultLine, Run } from "./run-folder.js";
import { mean } from "./mean.js";

/** Options that change nothing in what a run computes. */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set([
  "out",
  "cache",
  "threads",
  "checkpointEvery",
  "logEvery",
]);

/** The shortest ends of the runs' paths that tell them apart. */
export function runNames(folders: readonly string[]): string[] {
  const parts = folders.map((folder) => resolve(folder).split(sep));
  for (let length = 1; ; length++) {
    const names = parts.map((path) => path.slice(-length).join("/"));
    const done = parts.every((path) => path.length <= length);
    if (done || new Set(names).size === names.length) return names.map((name) => name || basename(name));
  }
}

/** Options as `key` or `key.inner` -> text, in the order of the file. */
export function optionTexts(options: JsonObject): Map<string, string> {
  const texts = new Map<string, string>();
  const add = (prefix: string, value: unknown): void => {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      for (const [key, inner] of Object.entries(value)) add(prefix ? `${prefix}.${key}` : key, inner);
    } else if (value !== undefined && value !== null) {
      texts.set(prefix, typeof value === "string" ? value : JSON.stringify(value));
    }
  };
  add("", options);
  return texts;
}

export interface OptionRow {
  readonly option: string;
  /** One a run; null where a run does not have it. */
  readonly values: readonly (string | null)[];
}

/** Every option of any run. */
export function optionRows(runs: readonly Run[]): OptionRow[] {
  const texts = runs.map((run) => optionTexts(run.description.options));
  const keys = new Set(texts.flatMap((each) => [...each.keys()]));
  return [...keys].map((option) => ({ option, values: texts.map((each) => each.get(option) ?? null) }));
}

export function differs({ values }: OptionRow): boolean {
  return new Set(values).size > 1;
}

export function hasEffect({ option }: OptionRow): boolean {
  return !WITHOUT_EFFECT.has(option);
}

/** Runs that differ by their seed at most. */
export interface SeedGroup {
  /** The options that tell the group from the others; a single run's own name. */
  readonly name: string;
  /** Indices of the runs. */
  readonly runs: readonly number[];
}

/** Groups in the order of their first runs. */
export function seedGroups(runs: readonly Run[], names: readonly string[]): SeedGroup[] {
  const rows = optionRows(runs).filter((row) => row.option !== "seed" && hasEffect(row) && differs(row));
  const groups = new Map<string, number[]>();
  runs.forEach((run, i) => {
    // Runs of other versions, networks or data are not the same experiment, whatever their options say.
    const { qdg, backend, model, parameters, classes } = run.description;
    const domains = run.description.domains.map(({ name, role }) => [name, role]);
    const facts = [qdg, backend, model, parameters, classes, domains];
    const key = JSON.stringify([rows.map(({ values }) => values[i]), facts]);
    groups.set(key, [...(groups.get(key) ?? []), i]);
  });
  const members = [...groups.values()];
  const telling = tellingRows(
    rows,
    members.map(([first]) => first as number),
  );
  return members.map((indices) => {
    const first = indices[0] as number;
    if (indices.length === 1) return { name: names[first] as string, runs: indices };
    const told = telling.flatMap(({ option, values: { [first]: value } }) =>
      value === null || value === undefined ? [] : [`${option} ${value}`],
    );
    return { name: `${told.join(", ") || "all"} (${indices.length} runs)`, runs: indices };
  });
}

/** The first rows that tell the groups apart, as far as options do; others only follow from them. */
export function tellingRows(rows: readonly OptionRow[], firsts: readonly number[]): OptionRow[] {
  const telling: OptionRow[] = [];
  const kinds = (chosen: readonly OptionRow[]): number =>
    new Set(firsts.map((i) => JSON.stringify(chosen.map(({ values }) => values[i])))).size;
  for (const row of rows) if (kinds([...telling, row]) > kinds(telling)) telling.push(row);
  return telling;
}

/** Mean accuracy on the validation splits of the source domains; null where none was measured. */
export function sourceValidation(run: Run, { accuracy }: ResultLine): number | null {
  const values = run.description.domains
    .filter(({ role }) => role === "source")
    .map(({ name }) => accuracy.get(name)?.validation ?? null)
    .filter((value) => value !== null);
  return values.length === 0 ? null : mean(values);
}

/**
 * Of a source the accuracy on its validation split; of a held-out domain that over all its images: as the line says
 * it, or both splits by their counts.
 */
export function domainAccuracy(run: Run, { accuracy }: ResultLine, name: string): number | null {
  const domain = run.description.domains.find((each) => each.name === name);
  const found = accuracy.get(name);
  if (!domain || !found) return null;
  if (domain.role === "source") return found.validation;
  if (found.all !== null) return found.all;
  let [right, images] = [0, 0];
  for (const split of ["training", "validation"] as const) {
    const share = found[split];
    if (share === null) continue;
    right += share * domain[split];
    images += domain[split];
  }
  return images === 0 ? null : right / images;
}

/** The held-out domains together, each image once. */
export function heldOut(run: Run, line: ResultLine): number | null {
  let [right, images] = [0, 0];
  for (const { name, role, training, validation } of run.description.domains) {
    if (role !== "test") continue;
    const share = domainAccuracy(run, line, name);
    if (share === null) return null;
    right += share * (training + validation);
    images += training + validation;
  }
  return images === 0 ? null : right / images;
}

/**
 * The evaluation whose network the run keeps as its model: by training-domain validation, that is the greatest mean
 * accuracy on the validation splits of the sources, the later of equal ones; the held-out domain has no say. Before the
 * first step, and before a quantized method has begun to quantize, nothing is kept; with `select: last` it is the last one. null when there is
 * none yet.
 */
export function selected(run: Run): ResultLine | null {
  const { select } = run.description.options;
  // Lines that do not say count as quantized.
  const quantizes = run.description.quantizers.length > 0;
  let best: { readonly line: ResultLine; readonly validation: number } | null = null;
  for (const line of run.results) {
    if (line.step === 0 || (quantizes && !line.quantized)) continue;
    const validation = sourceValidation(run, line) ?? 0;
    if (!best || select === "last" || validation >= best.validation) best = { line, validation };
  }
  return best?.line ?? null;
}

export interface MeanAndSpread {
  readonly count: number;
  readonly mean: number;
  /** Standard deviation of a sample, over n - 1; null of one value. */
  readonly spread: number | null;
}

/** null of no values. */
export function meanAndSpread(values: readonly number[]): MeanAndSpread | null {
  const count = values.length;
  if (count === 0) return null;
  const middle = mean(values);
  const squares = values.reduce((sum, value) => sum + (value - middle) ** 2, 0);
  return { count, mean: middle, spread: count === 1 ? null : Math.sqrt(squares / (count - 1)) };
}
