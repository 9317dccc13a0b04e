// A sweep from its file: a grid of options becomes jobs, each checked as train itself checks it, before any of them
// runs. Reads no data; knows nothing of how jobs are run.

import { isDeepStrictEqual } from "node:util";
import { basename, dirname, resolve } from "node:path";
import { errorText, QdgError } from "../base/error.js";
import { readBytes } from "../base/read-bytes.js";
import { completeOptions } from "../train/run/complete-options.js";
import { TRAIN_OPTIONS } from "../train/run/option-table.js";
import { type AskedTrainOptions, NO_TEST_DOMAIN, type TrainOptionName } from "../train/run/train-options.js";
import { jobName } from "./job-name.js";
import { hashOf, identityOf, JOB_NAME, resolvedOptions, type Sweep, type SweepJob } from "./job.js";
import { nearestName } from "./nearest-name.js";
import { asData, optionValue } from "./option-value.js";

const MOST_BYTES = 4 * 2 ** 20;
const MOST_JOBS = 10_000;

const KEYS: readonly string[] = ["options", "grid", "exclude"];
const OPTION_NAMES: readonly string[] = Object.keys(TRAIN_OPTIONS);

type Json = Readonly<Record<string, unknown>>;
type Values = Readonly<Record<string, unknown>>;

/** A list of values for each option of a grid, in the order of the file. */
type Grid = readonly (readonly [name: string, values: readonly unknown[]])[];

/**
 * @throws QdgError `not-found`, `io`; `invalid-json`; `invalid-data` that says where: unknown keys, all of them, values
 * that are not of their kind, empty and repeated ones, options in two places, jobs that are the same, options that do
 * not go together
 */
export async function readSweep(path: string): Promise<Sweep> {
  const bytes = await readBytes(path, MOST_BYTES);
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString("utf8").replace(/^\uFEFF/, ""));
  } catch (thrown) {
    throw new QdgError("invalid-json", path, `is not JSON: ${errorText(thrown)}`, { cause: thrown });
  }
  const top = objectAt(json, path);
  const options = objectAt(top["options"] ?? {}, `${path}: options`);
  const grids = listOfObjects(top["grid"], `${path}: grid`, "an object of lists, or a list of such objects");
  const excluded =
    top["exclude"] === undefined
      ? []
      : listOfObjects(top["exclude"], `${path}: exclude`, "a list of objects");
  checkKeys(path, top, options, grids, excluded);

  const base = dirname(resolve(path));
  const shared = await checkedValues(options, base, `${path}: options`);
  const jobs: SweepJob[] = [];
  const rules = await Promise.all(
    excluded.map((rule, i) => checkedValues(rule, base, `${path}: exclude[${i}]`)),
  );
  const used = new Set<number>();
  for (const [i, entries] of grids.entries()) {
    const where = Array.isArray(top["grid"]) ? `${path}: grid[${i}]` : `${path}: grid`;
    const grid = await checkedGrid(entries, options, base, where);
    for (const values of combinations(grid, path)) {
      const asked: Values = { ...shared, ...Object.fromEntries(values) };
      const rule = rules.findIndex((each) => matches(each, asked));
      if (rule >= 0) used.add(rule);
      else jobs.push(jobOf(jobs.length, values, asked, base, path));
      if (jobs.length > MOST_JOBS) throw tooMany(path);
    }
  }
  const unused = rules.findIndex((_, i) => !used.has(i));
  if (unused >= 0)
    throw new QdgError(
      "invalid-data",
      `${path}: exclude[${unused}]`,
      "matches no combination of the grid; take it out",
    );
  if (jobs.length === 0)
    throw new QdgError("invalid-data", path, "every combination of the grid is excluded");
  checkDifferent(jobs, path);
  return { name: sweepName(path), base, jobs };
}

/** The same job by its index, of a sweep that has not changed since `hash` was taken. */
export function jobAt(sweep: Sweep, index: number, path: string, hash?: string): SweepJob {
  const now = hashOf(sweep);
  if (hash !== undefined && !now.startsWith(hash)) {
    throw new QdgError(
      "usage",
      "--if-hash",
      `got ${hash}, but the jobs of ${path} have ${now.slice(0, 12)}: it was changed, and index ${index} may be another job; write the files anew`,
    );
  }
  const job = sweep.jobs[index];
  if (job) return job;
  throw new QdgError(
    "usage",
    "--only",
    `got ${index}, but ${path} has the jobs 0 to ${sweep.jobs.length - 1}`,
  );
}

function sweepName(path: string): string {
  const name = basename(path)
    .replace(/\.json$/i, "")
    .replaceAll(/[^\w.+-]+/g, "_")
    .slice(0, 60);
  return /^[A-Za-z0-9]/.test(name) ? name : `sweep${name}`;
}

function objectAt(value: unknown, where: string): Json {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Json;
  throw new QdgError("invalid-data", where, `got ${told(value)}, expected an object`);
}

function listOfObjects(value: unknown, where: string, expected: string): readonly Json[] {
  if (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    expected.startsWith("an object")
  )
    return [value as Json];
  if (!Array.isArray(value) || value.length === 0)
    throw new QdgError("invalid-data", where, `got ${told(value)}, expected ${expected}`);
  return value.map((each, i) => objectAt(each, `${where}[${i}]`));
}

/** One error names every unknown key of the file. */
function checkKeys(
  path: string,
  top: Json,
  options: Json,
  grids: readonly Json[],
  excluded: readonly Json[],
): void {
  const unknown: string[] = [];
  const look = (object: Json, place: string, known: readonly string[]): void => {
    for (const key of Object.keys(object)) {
      if (known.includes(key)) continue;
      const near = nearestName(key, known);
      unknown.push(`${place}${key}${near === null ? "" : ` (${near}?)`}`);
    }
  };
  look(top, "", KEYS);
  look(options, "options.", OPTION_NAMES);
  for (const [i, grid] of grids.entries())
    look(grid, Array.isArray(top["grid"]) ? `grid[${i}].` : "grid.", OPTION_NAMES);
  for (const [i, rule] of excluded.entries()) look(rule, `exclude[${i}].`, OPTION_NAMES);
  if (unknown.length === 0) return;
  throw new QdgError(
    "invalid-data",
    path,
    `unknown: ${unknown.join(", ")}; expected ${KEYS.join(", ")}, and within them options of qdg train as run.json has them (testDomain)`,
  );
}

async function checkedValues(given: Json, base: string, where: string): Promise<Values> {
  const values: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    values[name] = await optionValue(name as TrainOptionName, value, base, `${where}.${name}`);
  }
  return values;
}

async function checkedGrid(given: Json, options: Json, base: string, where: string): Promise<Grid> {
  const twice = Object.keys(given).find((name) => Object.hasOwn(options, name));
  if (twice !== undefined)
    throw new QdgError("invalid-data", `${where}.${twice}`, "stands in options too; leave one out");
  const grid: (readonly [string, readonly unknown[]])[] = [];
  for (const [name, list] of Object.entries(given)) {
    const at = `${where}.${name}`;
    if (!Array.isArray(list) || list.length === 0)
      throw new QdgError("invalid-data", at, `got ${told(list)}, expected a list of one value or more`);
    const values: unknown[] = [];
    for (const [i, value] of list.entries()) {
      const checked = await optionValue(name as TrainOptionName, value, base, `${at}[${i}]`);
      const before = values.findIndex((each) => isDeepStrictEqual(each, checked));
      if (before >= 0)
        throw new QdgError("invalid-data", `${at}[${i}]`, `is the same as ${name}[${before}]; take one out`);
      values.push(checked);
    }
    grid.push([name, values]);
  }
  if (grid.length === 0) throw new QdgError("invalid-data", where, "is empty, expected one option or more");
  return grid;
}

/** The first option changes slowest. */
function combinations(grid: Grid, path: string): (readonly [string, unknown])[][] {
  const count = grid.reduce((product, [, values]) => product * values.length, 1);
  if (count > MOST_JOBS) throw tooMany(path);
  return grid.reduce<(readonly [string, unknown])[][]>(
    (before, [name, values]) =>
      before.flatMap((chosen) => values.map((value) => [...chosen, [name, value] as const])),
    [[]],
  );
}

function tooMany(path: string): QdgError {
  return new QdgError("invalid-data", path, `has more than ${MOST_JOBS} jobs; make several sweeps of it`);
}

function matches(rule: Values, asked: Values): boolean {
  return Object.entries(rule).every(([name, value]) => isDeepStrictEqual(asked[name], value));
}

function jobOf(
  index: number,
  values: readonly (readonly [string, unknown])[],
  all: Values,
  base: string,
  path: string,
): SweepJob {
  // What is left out by null has no part in the name.
  const name = jobName(values.filter(([, value]) => value !== undefined)) || "default";
  const where = `${path}: job ${name}`;
  if (!JOB_NAME.test(name)) throw new QdgError("invalid-data", where, "has a name that no folder can have");
  const options = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  checkOptions(resolvedOptions(options, base), where);
  return { index, name, options, identity: identityOf(options) };
}

/** As train does when it begins; which domains the data has is seen then. */
export function checkOptions(options: AskedTrainOptions, where: string): void {
  try {
    completeOptions({ testDomain: [NO_TEST_DOMAIN], ...options });
  } catch (thrown) {
    if (!(thrown instanceof QdgError)) throw thrown;
    throw asData(thrown, where);
  }
}

function checkDifferent(jobs: readonly SweepJob[], path: string): void {
  const names = new Map<string, SweepJob>();
  const runs = new Map<string, SweepJob>();
  for (const job of jobs) {
    // Some file systems do not tell capitals apart.
    const key = job.name.toLowerCase();
    const same = runs.get(job.identity);
    if (same) {
      const which = same.name === job.name ? `two jobs are ${job.name}` : `${same.name} and ${job.name}`;
      throw new QdgError("invalid-data", path, `${which}: the same options; take one out, or exclude it`);
    }
    const namesake = names.get(key);
    if (namesake)
      throw new QdgError(
        "invalid-data",
        path,
        `two jobs would be called ${job.name} (jobs ${namesake.index} and ${job.index}), with different options; put what differs into both grids`,
      );
    names.set(key, job);
    runs.set(job.identity, job);
  }
}

function told(value: unknown): string {
  return value === undefined ? "nothing" : JSON.stringify(value);
}
