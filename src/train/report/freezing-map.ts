// Disorder, conflict and freezing of a run as a map: a row a quantizer in the order of the network, a column a window.
// Long runs have more windows than a page has room for: neighbours are averaged then.

import { mean } from "./mean.js";
import type { Run, ScaleConflict, WindowEntry, WindowLine } from "./run-folder.js";

const MOST_COLUMNS = 30;

export interface MapCell {
  /** Means over the scales, 0..1. */
  readonly disorder: number;
  readonly frozen: number;
  /** null where no window of the column says. */
  readonly conflict: ScaleConflict | null;
}

export interface MapRow {
  readonly layer: string;
  /** "weight", "activation", or the trainable's own name where no quantizer is known by it. */
  readonly role: string;
  readonly bits: number | null;
  /** One a column; null where the trainable was not among those of the window. */
  readonly cells: readonly (MapCell | null)[];
}

export interface FreezingMap {
  readonly windowsPerColumn: number;
  /** Step that ended the last window of each column. */
  readonly columns: readonly number[];
  readonly rows: readonly MapRow[];
}

/** null for a run without windows. */
export function freezingMap(run: Run): FreezingMap | null {
  const { windows } = run;
  if (windows.length === 0) return null;
  const windowsPerColumn = Math.ceil(windows.length / MOST_COLUMNS);
  const columns: (readonly WindowLine[])[] = [];
  for (let i = 0; i < windows.length; i += windowsPerColumn) {
    columns.push(windows.slice(i, i + windowsPerColumn));
  }
  const seen = new Set<string>();
  for (const { entries } of windows) for (const name of entries.keys()) seen.add(name);
  const quantizers = run.description.quantizers;
  const order = new Map(quantizers.map(({ id }, i) => [id, i]));
  const rank = (name: string): number => order.get(quantizerOf(name)) ?? quantizers.length;
  const rows = [...seen]
    .sort((a, b) => rank(a) - rank(b))
    .map((name): MapRow => {
      const quantizer = quantizers[rank(name)];
      const zeroPoint = name.endsWith("/zero-point") ? " zero point" : "";
      return {
        layer: quantizer?.layer ?? name,
        role: quantizer ? quantizer.role + zeroPoint : "",
        bits: quantizer?.bits ?? null,
        cells: columns.map((column) => cellOf(column.map(({ entries }) => entries.get(name)))),
      };
    });
  return {
    windowsPerColumn,
    columns: columns.map((column) => column.at(-1)?.step ?? 0),
    rows,
  };
}

/** `relu1/scale` -> `relu1`: a trainable is named by its quantizer. */
function quantizerOf(trainable: string): string {
  return trainable.replace(/\/(scale|zero-point)$/, "");
}

function cellOf(entries: readonly (WindowEntry | undefined)[]): MapCell | null {
  const found = entries.filter((entry) => entry !== undefined);
  if (found.length === 0) return null;
  const conflicts = found.flatMap(({ conflict }) => (conflict ? [conflict] : []));
  const conflict =
    conflicts.length === 0
      ? null
      : {
          smoothnessDisorder: mean(conflicts.map(({ smoothnessDisorder }) => smoothnessDisorder)),
          opposed: mean(conflicts.map(({ opposed }) => opposed)),
          cosine: mean(conflicts.map(({ cosine }) => cosine)),
        };
  return {
    disorder: mean(found.map(({ disorder }) => disorder)),
    frozen: mean(found.map(({ frozen }) => frozen)),
    conflict,
  };
}
