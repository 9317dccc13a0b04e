// What a comparison found, as plain JSON, and as a table for a terminal. No numbers are made here.

import type { DType } from "../base/tensor.js";
import type { Difference } from "./locate.js";
import type { GroupAccuracy } from "./metrics/accuracy.js";
import type { Histogram } from "./metrics/difference-histogram.js";
import type { MismatchCount } from "./metrics/mismatches.js";
import type { Check, Tolerance } from "./verdict.js";

/** An output of a target against the reference's. */
export interface OutputComparison {
  readonly name: string;
  readonly dtype: DType;
  /** What relative differences are relative to at least, of an output that is bounded; null: no floor. */
  readonly floor: number | null;
  /** Elements that are not the very same; for real outputs it is `relativeDifference` that counts. */
  readonly mismatches: MismatchCount;
  /** null: not finite, see RelativeDifference. */
  readonly relativeDifference: number | null;
  /** null where the output is no classifier's. */
  readonly top1Agreement: number | null;
}

/** A quantized tensor of a target against the reference's. */
export interface TensorComparison {
  readonly name: string;
  readonly layer: string;
  readonly mismatches: MismatchCount;
  readonly histogram: Histogram;
}

export interface TargetReport {
  readonly runtime: string;
  readonly version: string;
  readonly outputs: readonly OutputComparison[];
  /** Per quantized tensor, with intermediates; otherwise null. */
  readonly tensors: readonly TensorComparison[] | null;
  /** The first quantized tensor that differs; null when none does or it was not looked for. */
  readonly firstDifference: Difference | null;
  readonly accuracy: readonly GroupAccuracy[];
}

/** The outputs of the reference interpreter against the float model's: what quantization changed. */
export interface FloatReport {
  readonly model: string;
  /** What ran the float model; "reference": the plain interpreter. */
  readonly runtime: string;
  readonly outputs: readonly {
    readonly name: string;
    /** null: no difference at all, or not finite. */
    readonly sqnrDb: number | null;
    /** null: not finite, see RelativeDifference. */
    readonly relativeDifference: number | null;
    readonly top1Agreement: number | null;
  }[];
  readonly accuracy: readonly GroupAccuracy[];
}

/** How a quantized tensor is used, over all inputs, in the reference. */
export interface TensorUse {
  readonly name: string;
  readonly layer: string;
  readonly bits: number;
  readonly scale: number | null;
  readonly zeroPoint: number | null;
  readonly levelsUsed: number;
}

export interface ParityReport {
  readonly passed: boolean;
  /** Why it did not pass; empty when it did. */
  readonly reasons: readonly string[];
  /** What one should know and what does not fail the check. */
  readonly notes: readonly string[];
  /** Every question that was asked; the reasons are theirs, and so is what was not judged. */
  readonly checks: readonly Check[];
  readonly model: string;
  readonly data: string;
  readonly inputs: number;
  readonly tolerance: Tolerance;
  readonly quantized: readonly TensorUse[];
  /** Different classes that the reference predicts, by classifier output. */
  readonly classesPredicted: Readonly<Record<string, number>>;
  /** Of the reference interpreter itself, where the data has labels. */
  readonly accuracy: readonly GroupAccuracy[];
  readonly targets: readonly TargetReport[];
  readonly float: FloatReport | null;
}

/** The report as text: one block per target, one line per output or tensor. */
export function formatReport(report: ParityReport): string {
  const lines = [`${report.model}: ${report.data}`];
  const levels = report.quantized.map((tensor) => tensor.levelsUsed);
  if (levels.length > 0) {
    lines.push(
      `${levels.length} quantized tensors, ${Math.min(...levels)} to ${Math.max(...levels)} levels used`,
    );
  }
  for (const [name, count] of Object.entries(report.classesPredicted)) {
    lines.push(`${name}: ${count} class(es) predicted`);
  }
  for (const target of report.targets) lines.push("", ...targetLines(target));
  // Of a quantized file a relative difference says no more than the SQNR.
  const withRelative = report.quantized.length === 0;
  if (report.float) lines.push("", ...floatLines(report.float, withRelative));
  lines.push(...accuracyLines(report));
  const remarks = report.checks.flatMap(({ notJudged }) =>
    notJudged === null ? [] : [`not judged: ${notJudged}`],
  );
  remarks.push(...report.notes.map((note) => `note: ${note}`));
  if (remarks.length > 0) lines.push("", ...remarks);
  lines.push("", report.passed ? "PASSED" : "FAILED", ...report.reasons.map((reason) => `  ${reason}`));
  return `${lines.join("\n")}\n`;
}

function targetLines(target: TargetReport): string[] {
  const rows = [["", "elements", "mismatches", "largest", "relative", "top-1"]];
  for (const { name, dtype, mismatches, relativeDifference, top1Agreement } of target.outputs) {
    const real = dtype === "float32" || dtype === "float64";
    rows.push([
      name,
      String(mismatches.total),
      // Real outputs are added up in different orders; how many last bits differ means nothing.
      real ? "-" : String(mismatches.count),
      mismatches.largestSteps === null ? "not finite" : shortNumber(mismatches.largestSteps),
      relativeDifference === null ? "not finite" : shortNumber(relativeDifference),
      percent(top1Agreement),
    ]);
  }
  const { tensors } = target;
  if (tensors) {
    const differing = tensors.filter(({ mismatches }) => mismatches.count > 0);
    const elements = tensors.reduce((sum, { mismatches }) => sum + mismatches.total, 0);
    const count = tensors.reduce((sum, { mismatches }) => sum + mismatches.count, 0);
    const largest = Math.max(0, ...tensors.map(({ mismatches }) => mismatches.largestSteps ?? Infinity));
    rows.push([
      `${tensors.length} quantized tensors`,
      String(elements),
      String(count),
      String(largest),
      "",
      "",
    ]);
    for (const { name, layer, mismatches } of differing) {
      const label = layer === name ? `  ${name}` : `  ${name} (${layer})`;
      const most = mismatches.largestSteps === null ? "not finite" : String(mismatches.largestSteps);
      rows.push([label, String(mismatches.total), String(mismatches.count), most, "", ""]);
    }
  }
  const lines = [`${target.runtime} (${target.version}) against the reference`, ...table(rows)];
  const first = target.firstDifference;
  if (first) {
    lines.push(
      `  first difference: layer ${first.layer}, tensor ${first.tensor}[${first.index.join(", ")}]: ` +
        `got ${first.got}, expected ${first.expected}; input ${first.input}`,
    );
  }
  return lines;
}

function floatLines({ model, runtime, outputs }: FloatReport, withRelative: boolean): string[] {
  const rows = [["", "SQNR", ...(withRelative ? ["relative"] : []), "top-1"]];
  for (const { name, sqnrDb, relativeDifference, top1Agreement } of outputs) {
    const equal = relativeDifference === 0 ? "equal" : "-";
    const relative = relativeDifference === null ? "not finite" : shortNumber(relativeDifference);
    rows.push([
      name,
      sqnrDb === null ? equal : `${sqnrDb.toFixed(1)} dB`,
      ...(withRelative ? [relative] : []),
      percent(top1Agreement),
    ]);
  }
  const by = runtime === "reference" ? "plain reference" : runtime;
  return [`reference against the float model ${model} (${by})`, ...table(rows)];
}

function accuracyLines(report: ParityReport): string[] {
  if (report.accuracy.length === 0) return [];
  const runs: (readonly [string, readonly GroupAccuracy[]])[] = [
    ["reference", report.accuracy],
    ...report.targets.map((target) => [target.runtime, target.accuracy] as const),
    ...(report.float ? [["float", report.float.accuracy] as const] : []),
  ];
  const rows = [["", "inputs", ...runs.map(([name]) => name)]];
  report.accuracy.forEach(({ group, inputs }, i) => {
    rows.push([
      group === "" ? "all" : group,
      String(inputs),
      ...runs.map(([, list]) => percent(list[i]?.accuracy ?? null)),
    ]);
  });
  return ["", "accuracy", ...table(rows)];
}

/** Columns as wide as their widest cell, the first to the left, the rest to the right. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((cells) => (cells[column] ?? "").length)),
  );
  return rows.map((cells) => {
    const padded = cells.map((cell, column) => {
      const width = widths[column] ?? 0;
      return column === 0 ? cell.padEnd(width) : cell.padStart(width);
    });
    return `  ${padded.join("  ")}`.trimEnd();
  });
}

function percent(share: number | null): string {
  return share === null ? "-" : `${(100 * share).toFixed(1)} %`;
}

function shortNumber(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toExponential(1);
}
