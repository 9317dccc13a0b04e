// The table of a sweep in words: the same cells on a page and on a terminal. Percent and points, one digit.

import type { MeanAndSpread } from "./compare-runs.js";
import type { PairedDifference, SweepTable } from "./sweep-table.js";

export interface TextTable {
  readonly caption: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export function accuracyTexts({ domains, rows }: SweepTable): TextTable {
  return {
    caption:
      "Accuracy in % on all images of the held-out domain, of the model that validation of the sources selects: mean ± standard deviation (n − 1) over seeds",
    header: ["method", "runs", ...domains, "average", "validation"],
    rows: rows.map(({ name, runs, cells, average, validation }) => [
      name,
      String(runs),
      ...[...cells, average, validation].map(spreadText),
    ]),
  };
}

/** null where there is nothing to compare. */
export function differenceTexts({ baseline, differences }: SweepTable): TextTable | null {
  if (differences.length === 0) return null;
  return {
    caption: `Less ${baseline}, in points: mean over the pairs of a held-out domain and a seed, with its 95 % confidence interval (two-sided t)`,
    header: ["method", "less", "pairs", "difference", "95 % interval", "ahead"],
    rows: differences.map((each) => [
      each.row,
      each.baseline,
      String(each.pairs),
      points(each.mean),
      intervalText(each),
      `${each.ahead} of ${each.pairs}`,
    ]),
  };
}

function spreadText(found: MeanAndSpread | null): string {
  if (!found) return "–";
  const spread = found.spread === null ? "" : ` ± ${(100 * found.spread).toFixed(1)}`;
  return `${(100 * found.mean).toFixed(1)}${spread}`;
}

function intervalText({ interval }: PairedDifference): string {
  return interval === null ? "–" : `${points(interval[0])} to ${points(interval[1])}`;
}

function points(share: number): string {
  const text = (100 * share).toFixed(1);
  return share > 0 && text !== "0.0" ? `+${text}` : text;
}
