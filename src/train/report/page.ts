// The report as one page of HTML. It loads nothing: styles, script and numbers are in it, and its own policy forbids
// the browser every request, so that a name out of a run could not make one either.

import { createHash } from "node:crypto";
import type { ChartLibrary } from "./chart-library.js";
import { freezingMaps, mapKey } from "./conflict-maps.js";
import { selected } from "./compare-runs.js";
import { type Chart, type Curves, curvesOf } from "./curves.js";
import { jsonMarkup, Markup, markup } from "../../base/page/markup.js";
import { drawCharts } from "./page-script.js";
import { pageStyle } from "../../base/page/page-style.js";
import { row, table } from "../../base/page/table.js";
import type { SweepTable } from "./sweep-table.js";
import { accuracyTexts, differenceTexts } from "./sweep-texts.js";
import {
  accuracyTable,
  chip,
  type NamedRuns,
  optionsTable,
  runsTable,
  scalesTable,
  spreadTable,
} from "./tables.js";

/** @returns the whole page */
export function reportPage(named: NamedRuns, library: ChartLibrary, sweep: SweepTable | null = null): string {
  const script = `${library.script}\n(${drawCharts.toString()})(window,uPlot);`.replaceAll(
    "</script",
    "<\\/script",
  );
  const hash = createHash("sha256").update(script).digest("base64");
  const policy = `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${hash}'`;
  const curves = curvesOf(named.runs, named.names, named.groups);
  const charts = new ChartList();
  const sections = [...sweepSection(sweep), ...sectionsOf(named, curves, charts)];
  const title =
    named.names.length === 1 ? `Training run ${named.names[0] ?? ""}` : `${named.names.length} training runs`;
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>${title}</title>
<style>${new Markup(library.style)}
${new Markup(pageStyle())}</style>
</head>
<body>
<header>
<h1>${title}</h1>
<nav aria-label="Sections">${sections.map(({ id, heading }) => markup`<a href="#${id}">${heading}</a> `)}</nav>
</header>
<main>
${notes(named)}
${sections.map(
  ({ id, heading, body }) => markup`<section id="${id}"><h2>${heading}</h2>
${body}</section>
`,
)}</main>
<script type="application/json" id="charts">${jsonMarkup(charts.all)}</script>
<script>${new Markup(script)}</script>
</body>
</html>
`.text;
}

interface Section {
  readonly id: string;
  readonly heading: string;
  readonly body: Markup;
}

/** What a sweep was for stands before what its runs were. */
function sweepSection(sweep: SweepTable | null): Section[] {
  if (!sweep) return [];
  const parts = [accuracyTexts(sweep), differenceTexts(sweep)].map(
    (texts) =>
      texts &&
      table(
        texts.caption,
        texts.header,
        texts.rows.map(([head = "", ...cells]) => row(head, cells)),
      ),
  );
  const said = markup`<ul class="notes">${sweep.notes.map((note) => markup`<li>${note}</li>`)}</ul>
`;
  if (sweep.notes.length > 0) parts.push(said);
  return [{ id: "sweep", heading: "Sweep", body: markup`${parts.filter((part) => part !== null)}` }];
}

/** The charts of a page in the order of their figures. */
class ChartList {
  readonly all: Chart[] = [];

  figures(charts: readonly Chart[]): Markup {
    const figures = charts.map((chart) => {
      const label = `${chart.title}: line chart over steps. Arrow keys move along the steps, Escape shows all of them.`;
      const index = this.all.push(chart) - 1;
      const unit = chart.unit === "" ? "" : `, ${chart.unit}`;
      return markup`<figure><figcaption>${chart.title}${unit}${chart.log && !chart.small ? ", log axis" : ""}</figcaption>
<div data-chart="${index}" tabindex="0" role="group" aria-label="${label}"></div></figure>
`;
    });
    return markup`<div class="charts ${charts[0]?.small === true ? "small" : ""}">${figures}</div>
`;
  }
}

function sectionsOf(named: NamedRuns, curves: Curves, charts: ChartList): Section[] {
  const { runs, names, groups } = named;
  const key = markup`<ul class="key">${groups.map(({ name }, color) => markup`<li>${chip(color, name)}</li>`)}</ul>
<noscript><p>The curves need JavaScript; the tables have their numbers.</p></noscript>
`;
  const sections: Section[] = [];
  const add = (id: string, heading: string, ...parts: readonly (Markup | null)[]): void => {
    const body = parts.filter((part) => part !== null);
    if (body.length > 0) sections.push({ id, heading, body: markup`${body}` });
  };
  add(
    "runs",
    runs.length === 1 ? "Run" : "Runs",
    runsTable(named),
    runs.length > 1 ? optionsTable(named, true) : null,
  );
  add(
    "accuracy",
    "Accuracy by domain",
    spreadTable(named),
    accuracyTable(
      named,
      "At the step whose network the run keeps: the best mean accuracy on the validation splits of the sources, the held-out domain having no say in it, or the last with select: last",
      selected,
    ),
    markup`<details><summary>At the last evaluation</summary>
${accuracyTable(named, "At the last evaluation", (run) => run.results.at(-1) ?? null)}</details>
`,
  );
  if (curves.accuracy.length + curves.training.length > 0) {
    add(
      "curves",
      "Curves",
      key,
      charts.figures([...curves.accuracy, ...curves.training]),
      curves.domains.length === 0
        ? null
        : markup`<h3>Accuracy of each domain in %: validation split of a source, all images of a held-out domain</h3>
${charts.figures(curves.domains)}`,
    );
  }
  const { weightScales, activationScales } = curves;
  if (weightScales.length + activationScales.length > 0) {
    const group = (heading: string, list: readonly Chart[], open: boolean): Markup | null =>
      list.length === 0
        ? null
        : markup`<details ${open ? new Markup("open") : null}><summary>${heading} (${list.length})</summary>
${charts.figures(list)}</details>
`;
    add(
      "scales",
      "Scales over time",
      markup`<p>The mean scale of each quantizer, on a logarithmic axis.</p>`,
      key,
      group("Activations", activationScales, true),
      group("Weights", weightScales, weightScales.length <= 24),
      markup`<details><summary>As a table</summary>
${scalesTable(named)}</details>
`,
    );
  }
  const maps = runs.flatMap((run, i) => {
    const map = freezingMaps(run);
    if (!map) return [];
    const summary = chip(
      groups.findIndex((group) => group.runs.includes(i)),
      names[i] as string,
    );
    return [
      markup`<details ${runs.length <= 2 ? new Markup("open") : null}><summary>${summary}</summary>
${map}</details>
`,
    ];
  });
  if (maps.length > 0) {
    add(
      "freezing",
      "Disorder, conflict and freezing",
      markup`<p>Disorder ${mapKey("d")} from 0 (the gradients agree) over 50 (a coin) to 100 % (the sign changes at every step). Opposition, angle and frozen ${mapKey("f")} from 0 to 100 %.</p>
`,
      markup`${maps}`,
    );
  }
  const options = optionsTable(named, false);
  add(
    "options",
    "Options",
    options &&
      markup`<details ${runs.length === 1 ? new Markup("open") : null}><summary>All options</summary>
${options}</details>
`,
    versions(named),
  );
  return sections;
}

function notes({ runs }: NamedRuns): Markup | null {
  const all = runs.flatMap((run) => run.notes);
  if (all.length === 0) return null;
  return markup`<ul class="notes">${all.map((note) => markup`<li>${note}</li>`)}</ul>
`;
}

function versions({ runs, names }: NamedRuns): Markup {
  const lines = runs.map(({ description }, i) => {
    const { qdg, created, classes } = description;
    return markup`<li>${names[i] ?? ""}: qdg ${qdg}, begun ${created}; ${classes.length} classes: ${classes.join(", ")}</li>`;
  });
  return markup`<ul class="muted">${lines}</ul>
`;
}
