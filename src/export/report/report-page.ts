// The page of `qdg export --report`: what the export did to each layer. Every name out of a model is escaped, and no number
// is made here but sums and shares of the report's own.

import { basename } from "node:path";
import { type Markup, markup } from "../../base/page/markup.js";
import { staticPage } from "../../base/page/static-page.js";
import { row, table } from "../../base/page/table.js";
import type { ExportResult } from "../export-model.js";
import { CHART_STYLE, curveChart, gridChart, percent, type Series } from "./charts.js";
import type { BitsFrontier, SizeAndError } from "../budget/frontier.js";
import type { ExportReport, LayerReport } from "./export-report.js";
import type { GridHistogram } from "./grid-histogram.js";

const STYLE = `
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,210px),1fr));gap:14px;margin:18px 0}
.facts div{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:10px 14px}
.facts strong{display:block;font-size:26px;line-height:1.25}
.bits{display:inline-block;min-width:26px;padding:0 7px;border-radius:5px;text-align:center;font-weight:650;border:1px solid var(--line)}
.bar{display:block;height:7px;border-radius:3px;background:var(--series-0);min-width:1px;margin-top:8px}
.notes{list-style:none}
.bar.before{background:var(--series-1);margin-top:2px}
.bars{min-width:130px}
.parts td:last-child{width:40vw;min-width:120px}
figure+.caption{margin-top:14px}
#kernels td:last-child{min-width:24ch}
h1,li,p{overflow-wrap:anywhere}
${CHART_STYLE}`;

/** Layers of which one can still see the names under each other. */
const MOST_PARTS = 12;
/** Operators that a line names before it counts. */
const MOST_OPERATORS = 8;

/** @param result of which `report` is what the page shows */
export function exportPage(result: ExportResult, report: ExportReport, model: string): string {
  const { warnings } = result;
  const header = markup`<p class="muted">${model} as ${result.files.map(({ path }) => basename(path)).join(", ")}; ${result.scales} scales</p>
${facts(result, report)}
${
  warnings.length === 0
    ? null
    : markup`<ul class="notes">${warnings.map((warning) => markup`<li>${warning}</li>`)}</ul>
`
}`;
  const main = markup`${frontierSection(report.frontier)}${errorSection(report)}${layersSection(report)}${histogramSection(report)}${partsSection(result, report)}${kernelSection(report)}`;
  return staticPage(`Export of ${basename(result.path)}`, STYLE, header, main);
}

/** The three numbers: size, error, predictions. One line of text for a terminal. */
export function reportLine({ sizeBytes, cost }: ExportResult, report: ExportReport): string {
  const size = `${percent(sizeBytes / report.floatBytes)} of the float file's size`;
  if (!cost) return size;
  const before = report.nearest ? ` (rounded to nearest ${db(report.nearest.sqnrDb)})` : "";
  const kept = cost.agreement === null ? "" : `, ${percent(cost.agreement)} of predictions kept`;
  return `${size}, output ${db(cost.sqnrDb)}${before}${kept}`;
}

function facts({ sizeBytes, cost, verification }: ExportResult, report: ExportReport): Markup {
  const { floatBytes, nearest } = report;
  const before = nearest ? `; ${db(nearest.sqnrDb)} with weights rounded to nearest` : "";
  const kept = nearest?.agreement ?? null;
  const samples = cost && `${cost.samples} ${cost.drawn ? "drawn images" : "held-out samples"}`;
  const verified =
    "skipped" in verification
      ? `not verified: ${verification.skipped}`
      : `integers compared with the reference's, of which ${grouped(verification.ties)} differ by a step`;
  return markup`<div class="facts">
${tile(grouped(sizeBytes), `bytes, ${percent(sizeBytes / floatBytes)} of ${grouped(floatBytes)} in float32`)}${
    cost
      ? tile(db(cost.sqnrDb), `signal to error of the output, on ${samples ?? ""}${before}`)
      : tile("-", "error not measured: no held-out samples")
  }${
    cost?.agreement == null
      ? null
      : tile(
          percent(cost.agreement),
          `of ${samples ?? ""} get the float network's class${kept === null ? "" : `; ${percent(kept)} with weights rounded to nearest`}`,
        )
  }${tile("skipped" in verification ? "-" : grouped(verification.integers), verified)}</div>`;
}

function tile(number: string, what: string): Markup {
  return markup`<div><strong>${number}</strong>${what}</div>
`;
}

function section(id: string, heading: string, body: Markup): Markup {
  return markup`<section id="${id}"><h2>${heading}</h2>
${body}</section>
`;
}

function frontierSection(frontier: BitsFrontier | null): Markup | null {
  if (!frontier) return null;
  const series: Series[] = [
    { name: "bits by layer", color: 0, kind: "line", points: frontier.points.map(pointOf) },
    {
      name: "the same bits in all inner layers",
      color: 1,
      kind: "dots",
      points: frontier.uniform.map(pointOf),
    },
    { name: "chosen", color: 2, kind: "chosen", points: [pointOf(frontier.chosen)] },
  ];
  const sizes = series.flatMap((each) => each.points.map(([size]) => size));
  const [least, most] = [Math.min(...sizes), Math.max(...sizes)];
  const chart = curveChart("signal to error of the output over size", series, "dB", [
    `${grouped(least)} bytes`,
    "size of the file",
    `${grouped(most)} bytes`,
  ]);
  const uniform = frontier.uniform.map(({ bits, sizeBytes, sqnrDb }) =>
    row(`${bits} bits in all inner layers`, [grouped(sizeBytes), db(sqnrDb)]),
  );
  const chosen = row("chosen", [grouped(frontier.chosen.sizeBytes), db(frontier.chosen.sqnrDb)], true);
  return section(
    "frontier",
    "Size against error",
    markup`<p>Sizes and errors are estimated, for all in the same way: the errors that the weights of each layer make alone on the calibration samples, added up. What the file does as a whole is measured above.</p>
${chart}${table("Estimated bytes of the file, and signal to error of the output", ["", "bytes", "dB"], [...uniform, chosen])}`,
  );
}

function pointOf({ sizeBytes, sqnrDb }: SizeAndError): readonly [number, number] {
  return [sizeBytes, sqnrDb];
}

function errorSection({ layers, samples, nearest }: ExportReport): Markup | null {
  const measured = layers.filter(({ sqnrDb }) => sqnrDb !== null);
  if (measured.length === 0) return null;
  const points = (pick: (layer: LayerReport) => number | null): (readonly [number, number])[] =>
    measured.flatMap((layer, i) => {
      const value = pick(layer);
      return value === null ? [] : [[i, value] as const];
    });
  const series: Series[] = [
    {
      name: nearest ? "as exported: weights fitted layer by layer" : "as exported",
      color: 0,
      kind: "line",
      points: points(({ sqnrDb }) => sqnrDb),
    },
  ];
  if (nearest) {
    const before = points(({ nearestSqnrDb }) => nearestSqnrDb);
    series.push({ name: "weights rounded to nearest", color: 1, kind: "line", points: before });
  }
  const chart = curveChart("signal to error by layer, in the order of the network", series, "dB", [
    "first layer",
    "",
    "last layer",
  ]);
  return section(
    "error",
    "Error by layer",
    markup`<p>Signal to error of what each layer gives, against the float network on ${samples} samples: of all that was rounded up to there. Higher is better.</p>
${chart}`,
  );
}

function layersSection({ layers, nearest }: ExportReport): Markup {
  const values = layers.flatMap(({ sqnrDb, nearestSqnrDb }) => [sqnrDb ?? 0, nearestSqnrDb ?? 0]);
  const most = Math.max(1, ...values);
  const bar = (value: number | null, kind: string): Markup | null =>
    value === null
      ? null
      : markup`<span class="bar ${kind}" style="width:${Math.round((100 * Math.max(value, 0)) / most)}%"></span>`;
  const header = [
    "layer",
    "W",
    "A",
    "dB",
    ...(nearest ? ["nearest"] : []),
    markup`<span class="bars">signal to error</span>`,
    "bytes",
    "kernel",
  ];
  const rows = layers.map((layer) =>
    row(markup`${layer.layer}<br><small>${operatorsOf(layer)}</small>`, [
      bitsChip(layer.weightBits),
      bitsChip(layer.activationBits),
      layer.sqnrDb === null ? "" : layer.sqnrDb.toFixed(1),
      ...(nearest ? [layer.nearestSqnrDb === null ? "" : layer.nearestSqnrDb.toFixed(1)] : []),
      markup`${bar(layer.sqnrDb, "")}${nearest ? bar(layer.nearestSqnrDb, "before") : null}`,
      layer.weightBytes === null ? "" : grouped(layer.weightBytes),
      layer.kernel ?? "",
    ]),
  );
  const scale = [2, 3, 4, 5, 6, 7, 8].map((bits) => markup`${bitsChip(bits)} `);
  return section(
    "layers",
    "Layers and their bits",
    markup`<p>${scale}</p>
${table("W: bits of the weights, A: bits of what the layer gives; nothing where it stays real", header, rows)}`,
  );
}

/** `Conv`; `Sigmoid, Mul`; of many the first. */
function operatorsOf({ operators }: LayerReport): string {
  const distinct = [...new Set(operators)];
  const more = distinct.length > 3 ? ` and ${distinct.length - 3} more` : "";
  return distinct.slice(0, 3).join(", ") + more;
}

/** The fewer bits, the warmer; the colors and those of the text on them are the page's, of both schemes. */
function bitsChip(bits: number | null): Markup {
  if (bits === null) return markup``;
  return markup`<span class="bits d${Math.round(10 - ((bits - 2) * 10) / 6)}">${bits}</span>`;
}

function histogramSection({ histograms }: ExportReport): Markup | null {
  if (histograms.length === 0) return null;
  const group = (what: GridHistogram["what"], heading: string): Markup | null => {
    const charts = histograms.filter((each) => each.what === what).map(gridChart);
    if (charts.length === 0) return null;
    return markup`<details><summary>${heading} (${charts.length})</summary>
<div class="charts small">${charts}</div></details>
`;
  };
  return section(
    "grids",
    "Values on their grids",
    markup`<p>From the least integer at the left to the greatest at the right. Bars: what each integer gets (each four of 8 bits). Line: where the real values lie. Heights go by the square root of the share. What is cut off becomes the first or the last integer.</p>
${group("weights", "Weights")}${group("activations", "Activations")}`,
  );
}

function partsSection({ sizeBytes, files }: ExportResult, { parts }: ExportReport): Markup {
  const sorted = [...parts].sort((a, b) => b.bytes - a.bytes);
  const rest = sorted.slice(MOST_PARTS).reduce((sum, { bytes }) => sum + bytes, 0);
  const shown = [
    ...sorted.slice(0, MOST_PARTS),
    ...(rest > 0 ? [{ part: `${parts.length - MOST_PARTS} others`, bytes: rest }] : []),
  ];
  const most = Math.max(1, ...shown.map(({ bytes }) => bytes));
  const rows = shown.map(({ part, bytes }) =>
    row(part, [
      grouped(bytes),
      percent(bytes / sizeBytes),
      markup`<span class="bar" style="width:${Math.round((100 * bytes) / most)}%"></span>`,
    ]),
  );
  const name = basename(files[0]?.path ?? "");
  return section(
    "parts",
    "What the bytes are",
    markup`<div class="parts">${table(`${name}: ${grouped(sizeBytes)} bytes`, ["part", "bytes", "", ""], rows)}</div>`,
  );
}

function kernelSection({ files }: ExportReport): Markup {
  const rows = files.flatMap(({ targets, path, form, operators, nodesWritten, nodesOptimized }) =>
    targets.map((target) => {
      const sorted = Object.entries(operators).sort((a, b) => b[1] - a[1]);
      const more = sorted.length > MOST_OPERATORS ? `, and ${sorted.length - MOST_OPERATORS} others` : "";
      const named = sorted
        .slice(0, MOST_OPERATORS)
        .map(([operator, count]) => `${count} ${operator.replace(/^com\.microsoft\./, "")}`)
        .join(", ");
      const nodes =
        nodesOptimized === null || target === "webgpu"
          ? `${nodesWritten} as written`
          : `${nodesWritten} as written, ${nodesOptimized} as run`;
      return row(target, [basename(path), form, nodes, named + more]);
    }),
  );
  return section(
    "kernels",
    "What each target fuses",
    markup`<p>As ONNX Runtime optimizes the file for the CPU: its WebAssembly build is the same code, and was not looked at. A file for webgpu is shown as it is written.</p>
${table("Nodes of each file, and what they are", ["target", "file", "form", "nodes", "operators"], rows, "texts")}`,
  );
}

function db(value: number): string {
  return value === Number.POSITIVE_INFINITY ? "no error" : `${value.toFixed(1)} dB`;
}

function grouped(count: number): string {
  return count.toLocaleString("en-US");
}
