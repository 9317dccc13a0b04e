// The tables of a report: runs, accuracy, options, scales. All that a reader without
// JavaScript gets, so every number that counts stands here.

import { type Markup, markup, type MarkupValue } from "../../base/page/markup.js";
import { PALETTE_SIZE } from "../../base/page/page-style.js";
import { row, table } from "../../base/page/table.js";
import {
  differs,
  domainAccuracy,
  hasEffect,
  heldOut,
  meanAndSpread,
  optionRows,
  optionTexts,
  type SeedGroup,
  selected,
  sourceValidation,
} from "./compare-runs.js";
import type { ResultLine, Run, RunDomain } from "./run-folder.js";

/** The runs of a report and what they are called. */
export interface NamedRuns {
  readonly runs: readonly Run[];
  readonly names: readonly string[];
  readonly groups: readonly SeedGroup[];
}

/** The color that a group of runs has in all charts, and its name. */
export function chip(color: number, name: string): Markup {
  return markup`<span class="chip chip${color % PALETTE_SIZE}"></span>${name}`;
}

export function groupOf(groups: readonly SeedGroup[], run: number): number {
  return groups.findIndex(({ runs }) => runs.includes(run));
}

export function runsTable({ runs, names, groups }: NamedRuns): Markup {
  const header = [
    "run",
    "method",
    "bits",
    "test domain",
    "held out %",
    "validation %",
    "kept step",
    "step",
    "images/s",
    "model",
    "parameters",
    "backend",
  ];
  const rows = runs.map((run, i) => {
    const { description, log } = run;
    const options = optionTexts(description.options);
    const rates = log.map(({ imagesPerSecond }) => imagesPerSecond).filter((rate) => rate !== null);
    const middle = rates.sort((a, b) => a - b)[Math.floor(rates.length / 2)];
    const best = selected(run);
    const last = Math.max(log.at(-1)?.step ?? 0, run.results.at(-1)?.step ?? 0);
    const asked = options.get("steps");
    return row(chip(groupOf(groups, i), names[i] as string), [
      options.get("method") ?? "–",
      options.get("bits") ?? severalBits(run) ?? "–",
      description.domains
        .filter(({ role }) => role === "test")
        .map(({ name }) => name)
        .join(", ") || "–",
      best ? percent(heldOut(run, best)) : "–",
      best ? percent(sourceValidation(run, best)) : "–",
      best ? best.step : "–",
      asked === undefined ? String(last) : `${last} of ${asked}`,
      middle === undefined ? "–" : middle.toFixed(0),
      description.model,
      description.parameters.toLocaleString("en-US"),
      description.backend,
    ]);
  });
  return table("One line a run; accuracies at the step whose network it keeps", header, rows);
}

/** Of a network for several bits, "2, 3, 8"; null of one in full precision. */
function severalBits({ description: { options, quantizers } }: Run): string | null {
  const { bitSet } = options;
  return quantizers.length > 0 && Array.isArray(bitSet) ? bitSet.join(", ") : null;
}

/** Accuracies of every run, at the evaluation that `pick` gives. */
export function accuracyTable(
  { runs, names, groups }: NamedRuns,
  caption: string,
  pick: (run: Run) => ResultLine | null,
): Markup {
  const picked = runs.map(pick);
  const cells = (value: (run: Run, line: ResultLine) => MarkupValue): MarkupValue[] =>
    runs.map((run, i) => {
      const line = picked[i];
      return line ? value(run, line) : "–";
    });
  const rows = [
    row(
      "held out, all images",
      cells((run, line) => percent(heldOut(run, line))),
      true,
    ),
    row(
      "validation, mean of sources",
      cells((run, line) => percent(sourceValidation(run, line))),
      true,
    ),
    ...bitsOf(picked).flatMap((bits) => [
      row(
        markup`held out <small>at ${bits} bits</small>`,
        cells((run, line) => atBits(line, bits, (at) => heldOut(run, at))),
      ),
      row(
        markup`validation <small>at ${bits} bits</small>`,
        cells((run, line) => atBits(line, bits, (at) => sourceValidation(run, at))),
      ),
    ]),
    ...domainNames(runs).flatMap((name) => {
      const roles = new Set(runs.flatMap(({ description }) => roleOf(description.domains, name)));
      const detail =
        roles.size > 1 ? "validation" : roles.has("test") ? "held out, all images" : "validation";
      const whole = row(
        markup`${name} <small>${detail}</small>`,
        cells((run, line) => domainCell(run, line, name, roles.size > 1)),
      );
      if (!roles.has("source")) return [whole];
      const training = cells((run, line) => trainingCell(run, line, name));
      return [whole, row(markup`${name} <small>training split</small>`, training)];
    }),
    row(
      "step",
      picked.map((line) => line?.step ?? "–"),
    ),
  ];
  const header = ["accuracy in %", ...runs.map((_, i) => chip(groupOf(groups, i), names[i] as string))];
  return table(caption, header, rows);
}

/** Those at which any of the networks was evaluated that are for several, ascending. */
function bitsOf(lines: readonly (ResultLine | null)[]): number[] {
  return [...new Set(lines.flatMap((line) => [...(line?.byBits.keys() ?? [])]))].sort((a, b) => a - b);
}

function atBits(line: ResultLine, bits: number, value: (line: ResultLine) => number | null): MarkupValue {
  const accuracy = line.byBits.get(bits);
  return accuracy ? percent(value({ ...line, accuracy })) : "–";
}

function roleOf(domains: readonly RunDomain[], name: string): RunDomain["role"][] {
  return domains.filter((each) => each.name === name).map(({ role }) => role);
}

/** @param told the cell says where the domain is held out, for other runs train on it */
function domainCell(run: Run, line: ResultLine, name: string, told: boolean): MarkupValue {
  const text = percent(domainAccuracy(run, line, name));
  const heldOutHere = roleOf(run.description.domains, name).includes("test");
  return told && heldOutHere ? markup`<small>held out</small> ${text}` : text;
}

function trainingCell(run: Run, { accuracy }: ResultLine, name: string): MarkupValue {
  const domain = run.description.domains.find((each) => each.name === name);
  return domain?.role === "source" ? percent(accuracy.get(name)?.training ?? null) : "–";
}

/** null when no two runs differ by their seed alone. */
export function spreadTable({ runs, groups }: NamedRuns): Markup | null {
  if (groups.every((group) => group.runs.length < 2)) return null;
  const names = domainNames(runs);
  const header = ["", "runs", "held out", "validation, mean of sources", ...names];
  const rows = groups.map((group, color) => {
    const members = group.runs.map((i) => runs[i] as Run);
    const spread = (value: (run: Run, line: ResultLine) => number | null): string => {
      const values = members.map((run) => {
        const line = selected(run);
        return line && value(run, line);
      });
      return spreadText(values.filter((each) => each !== null));
    };
    return row(chip(color, group.name), [
      members.length,
      spread((run, line) => heldOut(run, line)),
      spread((run, line) => sourceValidation(run, line)),
      ...names.map((name) => spread((run, line) => domainAccuracy(run, line, name))),
    ]);
  });
  const caption =
    "Accuracy in % at the step that each run keeps: mean ± standard deviation (n − 1) of runs that differ by their seed only";
  return table(caption, header, rows);
}

function spreadText(values: readonly number[]): string {
  const found = meanAndSpread(values);
  if (!found) return "–";
  const spread = found.spread === null ? "" : ` ± ${(100 * found.spread).toFixed(1)}`;
  return `${(100 * found.mean).toFixed(1)}${spread}`;
}

/** @param only rows in which runs differ */
export function optionsTable({ runs, names, groups }: NamedRuns, only: boolean): Markup | null {
  const chosen = optionRows(runs).filter((each) => !only || (differs(each) && hasEffect(each)));
  if (chosen.length === 0) return null;
  const rows = chosen.map(({ option, values }) => {
    const cells = values.map((value) => markup`<td>${value ?? "–"}</td>`);
    return markup`<tr><th scope="row">${option}</th>${cells}</tr>
`;
  });
  const header = ["option", ...runs.map((_, i) => chip(groupOf(groups, i), names[i] as string))];
  return table(only ? "Options in which the runs differ" : "All options", header, rows, "texts");
}

/** First and last mean scale of every quantizer; null where no run has any. */
export function scalesTable({ runs, names, groups }: NamedRuns): Markup | null {
  const quantizers = new Map(
    runs.flatMap(({ description }) => description.quantizers.map((each) => [each.id, each] as const)),
  );
  if (quantizers.size === 0) return null;
  const rows = [...quantizers.values()].map(({ id, role, bits, signed }) => {
    const type = `${signed ? "int" : "uint"}${bits}`;
    const cells = runs.map(({ log }) => {
      const values = log.map(({ scales }) => scales.get(id)).filter((value) => value !== undefined);
      const [first, last] = [values[0], values.at(-1)];
      return first === undefined || last === undefined ? "–" : `${short(first)} → ${short(last)}`;
    });
    return row(markup`${id} <small>${role}, ${type}</small>`, cells);
  });
  const header = ["quantizer", ...runs.map((_, i) => chip(groupOf(groups, i), names[i] as string))];
  return table("Mean scale of each quantizer, first → last in the log", header, rows);
}

function domainNames(runs: readonly Run[]): string[] {
  return [...new Set(runs.flatMap((run) => run.description.domains.map(({ name }) => name)))].sort();
}

function percent(share: number | null): string {
  return share === null ? "–" : (100 * share).toFixed(1);
}

function short(value: number): string {
  const size = Math.abs(value);
  return size !== 0 && size < 1e-3 ? value.toExponential(2) : String(Number(value.toPrecision(3)));
}
