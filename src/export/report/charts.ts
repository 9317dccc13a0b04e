// Drawings of the report as SVG without scripts: histograms on a quantizer's grid, and curves. Shapes are stretched to the
// width that there is; what is written stands beside them in HTML, so that it stays legible on a phone.

import { type Markup, markup } from "../../base/page/markup.js";
import { GRID_BINS, type GridHistogram } from "./grid-histogram.js";

export const CHART_STYLE: string = `
.plot{display:grid;grid-template-columns:auto 1fr;gap:2px 8px;font-size:12px;color:var(--muted)}
.plot .ticks{display:flex;flex-direction:column;justify-content:space-between;text-align:right;height:220px;line-height:1}
.plot .below{grid-column:2;display:flex;justify-content:space-between}
.plot svg{height:220px}
svg{display:block;width:100%;overflow:visible}
.grid svg{height:84px}
.grid .below{display:flex;flex-wrap:wrap;justify-content:space-between;gap:0 12px;font-size:12px;color:var(--muted)}
.integers{fill:var(--series-0);opacity:.55}
.real{fill:none;stroke:var(--ink);stroke-width:1;vector-effect:non-scaling-stroke}
.curve{fill:none;stroke-width:2;vector-effect:non-scaling-stroke}
.rule{stroke:var(--line);stroke-width:1;vector-effect:non-scaling-stroke}
.dot{fill:none;stroke-width:9;stroke-linecap:round;vector-effect:non-scaling-stroke}
.dot.chosen{stroke-width:15}
${Array.from({ length: 4 }, (_, i) => `.stroke${i}{stroke:var(--series-${i})}`).join("")}
`;

/** Coordinates of a drawing: whole numbers are fine enough. */
const WIDE = 1000;
const HIGH = 400;

/**
 * Bars are what the integers get, the line is where the real values lie. Heights go by the square root of the share, each
 * kind by its own largest: beside the many zeros of a ReLU nothing else would show.
 */
export function gridChart({ layer, what, real, integers, bits, below, above, scale }: GridHistogram): Markup {
  const barHeight = heights(integers);
  const lineHeight = heights(real);
  const wide = WIDE / integers.length;
  const bars = barHeight.flatMap((height, i) =>
    height === 0
      ? []
      : [
          markup`<rect x="${Math.round(i * wide + wide * 0.1)}" y="${HIGH - height}" width="${Math.max(1, Math.round(wide * 0.8))}" height="${height}"/>`,
        ],
  );
  const bin = WIDE / GRID_BINS;
  const steps = lineHeight.map((height, i) => `V${HIGH - height}H${Math.round((i + 1) * bin)}`);
  const cut = below + above;
  const used = integers.filter((share) => share > 0).length;
  const levels =
    integers.length === 2 ** bits ? `${used} of ${2 ** bits} integers used` : `${2 ** bits} integers`;
  const label = `${layer}, ${what} at ${bits} bits: ${levels}, ${percent(cut)} cut off`;
  return markup`<figure class="grid"><figcaption>${layer}</figcaption>
<svg viewBox="0 0 ${WIDE} ${HIGH}" preserveAspectRatio="none" role="img" aria-label="${label}"><g class="integers">${bars}</g><path class="real" d="M0 ${HIGH}${steps.join("")}V${HIGH}"/></svg>
<div class="below"><span>${levels}, ${percent(cut)} cut off</span><span>step ${scaleText(scale)}</span></div></figure>
`;
}

function heights(shares: readonly number[]): number[] {
  const most = Math.max(...shares);
  return shares.map((share) => (most === 0 ? 0 : Math.round(HIGH * Math.sqrt(share / most))));
}

function scaleText([least, greatest]: readonly [number, number]): string {
  const [low, high] = [least.toPrecision(2), greatest.toPrecision(2)];
  return low === high ? low : `${low} to ${high}`;
}

/** 0.0123 -> "1.2 %"; what is there but tiny is not said to be 0. */
export function percent(share: number): string {
  if (share > 0 && share < 0.0005) return "< 0.1 %";
  return `${(100 * share).toFixed(1)} %`;
}

export interface Series {
  readonly name: string;
  /** One of the page's colours, 0 to 3. */
  readonly color: number;
  readonly points: readonly (readonly [x: number, y: number])[];
  readonly kind: "line" | "dots" | "chosen";
}

/** @param xText what stands under the least and the greatest x, and between */
export function curveChart(
  label: string,
  series: readonly Series[],
  yUnit: string,
  xText: readonly [string, string, string],
): Markup {
  const all = series.flatMap(({ points }) => points);
  const [left, right] = range(all.map(([x]) => x));
  const [low, high] = roundRange(range(all.map(([, y]) => y)));
  const at = ([x, y]: readonly [number, number]): string =>
    `${Math.round(((x - left) / (right - left)) * WIDE)} ${Math.round(((high - y) / (high - low)) * HIGH)}`;
  const shapes = series.map(({ points, color, kind, name }) => {
    const path =
      kind === "line" ? `M${points.map(at).join("L")}` : points.map((point) => `M${at(point)}h0`).join("");
    const style = kind === "line" ? "curve" : kind === "dots" ? "dot" : "dot chosen";
    return points.length === 0
      ? markup``
      : markup`<path class="${style} stroke${color}" d="${path}"><title>${name}</title></path>`;
  });
  const rules = [0, 1, 2, 3, 4].map((i) => markup`<path class="rule" d="M0 ${(i * HIGH) / 4}H${WIDE}"/>`);
  const ticks = [0, 1, 2, 3, 4].map(
    (i) => markup`<span>${Number((high - ((high - low) * i) / 4).toPrecision(4))} ${yUnit}</span>`,
  );
  return markup`<figure><ul class="key">${series.map(
    ({ name, color }) => markup`<li><span class="chip chip${color}"></span>${name}</li>`,
  )}</ul>
<div class="plot"><div class="ticks" aria-hidden="true">${ticks}</div>
<svg viewBox="0 0 ${WIDE} ${HIGH}" preserveAspectRatio="none" role="img" aria-label="${label}">${rules}${shapes}</svg>
<div class="below">${xText.map((text) => markup`<span>${text}</span>`)}</div></div></figure>
`;
}

function range(values: readonly number[]): [number, number] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return low < high ? [low, high] : [low - 1, high + 1];
}

/** Outwards to multiples of 4 (or 40, ...), which makes the four ticks whole numbers. */
function roundRange([low, high]: readonly [number, number]): [number, number] {
  const step = 4 * 10 ** Math.max(0, Math.floor(Math.log10((high - low) / 40)));
  return [Math.floor(low / step) * step, Math.ceil(high / step) * step];
}
