// What the report's page runs in a browser: draws the charts whose numbers the page holds. One function whose text
// is put into the page, so it uses nothing from outside of itself, and asks no network for anything.

// oxlint-disable unicorn/consistent-function-scoping -- all that the function uses is part of its text.

import type { Chart } from "./curves.js";

/** The little of a browser that is used here: the project is compiled for Node, without a browser's types. */
interface PageElement {
  readonly clientWidth: number;
  readonly dataset: Readonly<Record<string, string | undefined>>;
  textContent: string | null;
  tabIndex: number;
  setAttribute(name: string, value: string): void;
  addEventListener(type: string, listen: (event: PageEvent) => void): void;
  querySelectorAll(selector: string): Iterable<PageElement>;
  click(): void;
}

interface PageEvent {
  readonly key: string;
  preventDefault(): void;
}

interface Observer {
  observe(element: PageElement): void;
  unobserve(element: PageElement): void;
}

type ObserverClass = new (
  seen: (entries: readonly { readonly target: PageElement; readonly isIntersecting?: boolean }[]) => void,
  options?: { readonly rootMargin: string },
) => Observer;

export interface PageWindow {
  readonly document: {
    readonly documentElement: PageElement;
    getElementById(id: string): PageElement | null;
    querySelectorAll(selector: string): Iterable<PageElement>;
  };
  readonly IntersectionObserver: ObserverClass;
  readonly ResizeObserver: ObserverClass;
  getComputedStyle(element: PageElement): { getPropertyValue(name: string): string };
  matchMedia(query: string): { addEventListener(type: "change", listen: () => void): void };
}

/** A chart of uPlot. */
interface Plot {
  readonly cursor: { readonly idx?: number | null };
  readonly data: readonly (readonly (number | null)[])[];
  valToPos(value: number, scale: string): number;
  setCursor(at: { left: number; top: number }): void;
  setSize(size: { width: number; height: number }): void;
  setSeries(index: number, options: { show: boolean }): void;
  setScale(scale: "x", range: { min: number; max: number }): void;
  destroy(): void;
}

export type PlotClass = new (options: object, data: unknown, target: PageElement) => Plot;

/** Draws each element with `data-chart`, the index of its chart, once it comes into view. */
export function drawCharts(page: PageWindow, plotClass: PlotClass): void {
  const { document } = page;
  const charts = JSON.parse(document.getElementById("charts")?.textContent ?? "[]") as readonly Chart[];
  const plots = new Map<PageElement, Plot>();
  const PALETTE = 8;
  const DASHES = [[], [6, 4], [2, 3], [10, 3, 2, 3]];
  const ALPHA = { member: "66", band: "2b", solid: "" };

  const color = (name: string, alpha = ""): string =>
    page.getComputedStyle(document.documentElement).getPropertyValue(name).trim() + alpha;

  const numberText = (value: number | null | undefined, unit: string): string => {
    if (value === null || value === undefined) return "–";
    const size = Math.abs(value);
    const text =
      unit === "%"
        ? value.toFixed(1)
        : size !== 0 && (size < 1e-3 || size >= 1e6)
          ? value.toExponential(2).replace(/\.?0+e/, "e")
          : String(Number(value.toPrecision(4)));
    return unit === "" ? text : `${text} ${unit}`;
  };

  const seriesOf = (chart: Chart): object[] =>
    chart.series.map(({ label, color: index, kind, values }) => {
      const base = `--series-${index % PALETTE}`;
      const border = kind === "low" || kind === "high";
      const alone = values.filter((value) => value !== null).length === 1;
      return {
        label,
        stroke: border ? "transparent" : color(base, kind === "member" ? ALPHA.member : ALPHA.solid),
        width: kind === "member" ? 1 : 2,
        dash: DASHES[Math.floor(index / PALETTE) % DASHES.length],
        spanGaps: true,
        class: kind === "run" || kind === "mean" ? "line" : "silent",
        points: { show: !border && alone },
        value: (_: unknown, value: number | null) => numberText(value, chart.unit),
      };
    });

  const bandsOf = (chart: Chart): object[] =>
    chart.series.flatMap(({ kind, color: index }, i) =>
      // The low border follows the high one; series 0 is the steps.
      kind === "high"
        ? [{ series: [i + 1, i + 2], fill: color(`--series-${index % PALETTE}`, ALPHA.band) }]
        : [],
    );

  const heightOf = (chart: Chart): number => (chart.small ? 150 : 260);

  const draw = (element: PageElement): void => {
    const chart = charts[Number(element.dataset["chart"])];
    if (!chart) return;
    plots.get(element)?.destroy();
    const ink = color("--muted");
    const axis = {
      stroke: ink,
      grid: { stroke: color("--line"), width: 1 },
      ticks: { stroke: color("--line") },
    };
    const font = "11px system-ui, sans-serif";
    const y = {
      ...axis,
      font,
      size: 58,
      values: (_: unknown, ticks: readonly (number | null)[]) =>
        ticks.map((tick) => (tick === null ? null : numberText(tick, ""))),
    };
    const plot = new plotClass(
      {
        width: element.clientWidth,
        height: heightOf(chart),
        scales: { x: { time: false }, y: chart.log ? { distr: 3 } : {} },
        axes: [{ ...axis, font, size: 34, space: chart.small ? 40 : 60 }, y],
        series: [{ label: "step", value: (_: unknown, v: number | null) => v ?? "–" }, ...seriesOf(chart)],
        bands: bandsOf(chart),
        legend: { show: !chart.small },
        cursor: { sync: { key: "steps" }, drag: { x: true, y: false } },
        hooks: {
          setSeries: [
            (self: Plot, index: number | null, options: { show?: boolean }) => {
              // A mean takes its band and its runs along.
              const mean = index === null ? undefined : chart.series[index - 1];
              if (index === null || mean?.kind !== "mean" || options.show === undefined) return;
              const { show } = options;
              chart.series.forEach(({ color: other, kind }, i) => {
                if (other === mean.color && kind !== "mean") self.setSeries(i + 1, { show });
              });
            },
          ],
        },
      },
      [chart.steps, ...chart.series.map(({ values }) => values)],
      element,
    );
    plots.set(element, plot);
    for (const entry of element.querySelectorAll(".u-legend .line th")) {
      entry.tabIndex = 0;
      entry.setAttribute("title", "show or hide");
      entry.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        entry.click();
      });
    }
  };

  /** Arrow keys walk along the steps; Escape shows them all again. */
  const steer = (element: PageElement, event: PageEvent): void => {
    const plot = plots.get(element);
    const steps = plot?.data[0] as readonly number[] | undefined;
    if (!plot || !steps || steps.length === 0) return;
    const last = steps.length - 1;
    const at = plot.cursor.idx ?? null;
    const target: Readonly<Record<string, number>> = {
      ArrowLeft: at === null ? last : Math.max(0, at - 1),
      ArrowRight: at === null ? 0 : Math.min(last, at + 1),
      Home: 0,
      End: last,
    };
    const index = target[event.key];
    if (index !== undefined) {
      event.preventDefault();
      plot.setCursor({ left: plot.valToPos(steps[index] as number, "x"), top: 10 });
    } else if (event.key === "Escape") {
      plot.setScale("x", { min: steps[0] as number, max: steps[last] as number });
      plot.setCursor({ left: -10, top: -10 });
    }
  };

  const resized = new page.ResizeObserver((entries) => {
    for (const { target } of entries) {
      const chart = charts[Number(target.dataset["chart"])];
      if (chart) plots.get(target)?.setSize({ width: target.clientWidth, height: heightOf(chart) });
    }
  });
  const seen = new page.IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting !== true) continue;
        seen.unobserve(target);
        draw(target);
        resized.observe(target);
      }
    },
    { rootMargin: "300px" },
  );
  for (const element of document.querySelectorAll("[data-chart]")) {
    element.addEventListener("keydown", (event) => steer(element, event));
    seen.observe(element);
  }
  page.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const element of plots.keys()) draw(element);
  });
}
