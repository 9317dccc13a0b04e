// What the two gradients of every scale did over a run, as maps of a report with their words. The numbers are
// freezing-map.ts's.

import { type Markup, markup } from "../../base/page/markup.js";
import { MAP_STEPS } from "../../base/page/page-style.js";
import { table } from "../../base/page/table.js";
import { freezingMap, type FreezingMap, type MapCell } from "./freezing-map.js";
import { mean } from "./mean.js";
import type { Run, ScaleConflict } from "./run-folder.js";

/** The maps of a run; null where it has no windows. */
export function freezingMaps(run: Run): Markup | null {
  const map = freezingMap(run);
  if (!map) return null;
  const last = run.windows.at(-1);
  const coin = last && last.steps > 1 ? 0.5 / Math.sqrt(last.steps - 1) : null;
  const quantiles = last?.quantiles.map((value) => (100 * value).toFixed(0)).join(", ") ?? "";
  const merged =
    map.windowsPerColumn > 1 ? ` Each column is the mean of ${map.windowsPerColumn} windows.` : "";
  return markup`<p>Windows of ${last?.steps ?? 0} steps.${merged} Disorder of all scales in the last one at 5, 25, 50, 75 and 95 %
of them: ${quantiles} %.${coin === null ? null : ` A coin over as many steps gives 50 ± ${(100 * coin).toFixed(1)} %.`}</p>
${conflictSentence(run)}
${heatMap(map, "Disorder: share of steps at which the sign of the task gradient changed, mean over the scales, in %", "d", ({ disorder }) => disorder)}
${conflictMaps(map)}
${heatMap(map, "Frozen in the window after: share of the scales, in %", "f", ({ frozen }) => frozen)}
`;
}

/** Whether the two gradients of scales are in conflict at all, in words; null where the run has not measured it. */
function conflictSentence({ windows }: Run): Markup | null {
  const measured = windows.filter(({ opposingLayers }) => opposingLayers !== null);
  if (measured.length === 0) return null;
  const opposing = mean(measured.map(({ opposingLayers }) => opposingLayers ?? 0));
  const conflicts = measured.flatMap(({ entries }) =>
    [...entries.values()].flatMap(({ conflict, scales }) => (conflict ? [{ ...conflict, scales }] : [])),
  );
  const scales = conflicts.reduce((sum, each) => sum + each.scales, 0);
  const weighted = (key: "opposed" | "cosine"): number =>
    conflicts.reduce((sum, each) => sum + each.scales * each[key], 0) / scales;
  const found =
    opposing === 0
      ? "No layer's gradients opposed each other over any window: there is no conflict to mend here."
      : `In ${(100 * opposing).toFixed(1)} % of the layers, mean over the windows, the two gradients opposed each other.`;
  return markup`<p>Task and smoothness gradient of a scale had opposite signs at ${(100 * weighted("opposed")).toFixed(1)} % of the steps,
mean over all scales; their cosine over a window was ${weighted("cosine").toFixed(3)}. ${found}</p>`;
}

function conflictMaps(map: FreezingMap): Markup | null {
  if (!map.rows.some(({ cells }) => cells.some((cell) => cell?.conflict))) return null;
  return markup`${heatMap(
    map,
    "Disorder of the smoothness gradient, the same way, in %",
    "d",
    ofConflict(({ smoothnessDisorder }) => smoothnessDisorder),
  )}
${heatMap(
  map,
  "Opposition: share of steps at which the two gradients of a scale had opposite signs, mean over the scales, in %",
  "f",
  ofConflict(({ opposed }) => opposed),
)}
${heatMap(
  map,
  "Angle between the two over the window, (1 − cosine) / 2, mean over the scales, in %: 0 is the same direction, 50 a right angle, 100 the opposite direction",
  "f",
  ofConflict(({ cosine }) => (1 - cosine) / 2),
)}`;
}

function heatMap(
  map: FreezingMap,
  caption: string,
  letter: "d" | "f",
  value: (cell: MapCell) => number | null,
): Markup {
  const rows = map.rows.map(({ layer, role, bits, cells }) => {
    const data = cells.map((cell) => {
      const share = cell && value(cell);
      if (share === null) return markup`<td></td>`;
      return markup`<td class="${letter}${Math.round(share * MAP_STEPS)}">${(100 * share).toFixed(0)}</td>`;
    });
    const detail = [role, bits === null ? "" : `${bits} bits`].filter(Boolean).join(", ");
    return markup`<tr><th scope="row">${layer} <small>${detail}</small></th>${data}</tr>
`;
  });
  return table(caption, ["up to step", ...map.columns], rows, "map");
}

/** The colors of a map from 0 to 100 %. */
export function mapKey(letter: "d" | "f"): Markup {
  const steps = Array.from(
    { length: MAP_STEPS + 1 },
    (_, step) => markup`<span class="${letter}${step}"></span>`,
  );
  return markup`<span class="scale" aria-hidden="true">${steps}</span>`;
}

function ofConflict(value: (conflict: ScaleConflict) => number): (cell: MapCell) => number | null {
  return ({ conflict }) => conflict && value(conflict);
}
