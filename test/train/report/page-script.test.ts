// The page's script as the page holds it: from its text alone, in a browser made of stubs.

import { describe, expect, test } from "vitest";
import type { Chart } from "../../../src/train/report/curves.js";
import { drawCharts, type PageWindow, type PlotClass } from "../../../src/train/report/page-script.js";

const CHARTS: readonly Chart[] = [
  {
    title: "Loss",
    unit: "",
    log: true,
    small: false,
    steps: [0, 10, 20],
    series: [
      { label: "gaqat", color: 1, kind: "mean", values: [3, 2, 1] },
      { label: "high", color: 1, kind: "high", values: [4, 3, 2] },
      { label: "low", color: 1, kind: "low", values: [2, 1, 0.5] },
      { label: "seed 0", color: 1, kind: "member", values: [3, 2, 1] },
      { label: "lsq", color: 9, kind: "run", values: [null, 2, null] },
    ],
  },
];

class Stub {
  readonly clientWidth = 400;
  readonly dataset: Record<string, string>;
  textContent: string | null;
  tabIndex = -1;
  readonly listeners = new Map<string, (event: never) => void>();
  clicks = 0;
  readonly legend: Stub[] = [];

  constructor(dataset: Record<string, string> = {}, textContent: string | null = null) {
    this.dataset = dataset;
    this.textContent = textContent;
  }
  setAttribute(): void {}
  addEventListener(type: string, listen: (event: never) => void): void {
    this.listeners.set(type, listen);
  }
  querySelectorAll(): Stub[] {
    return this.legend;
  }
  click(): void {
    this.clicks++;
  }
  press(key: string): boolean {
    let prevented = false;
    this.listeners.get("keydown")?.({ key, preventDefault: () => (prevented = true) } as never);
    return prevented;
  }
}

interface Options {
  readonly width: number;
  readonly series: readonly { readonly label: string; readonly class?: string; readonly dash?: number[] }[];
  readonly bands: readonly { readonly series: readonly number[] }[];
  readonly scales: { readonly y: { readonly distr?: number } };
  readonly hooks: { readonly setSeries: readonly ((...args: readonly unknown[]) => void)[] };
}

class FakePlot {
  static made: FakePlot[] = [];
  readonly options: Options;
  readonly data: number[][];
  readonly calls: unknown[] = [];
  cursor: { idx: number | null } = { idx: null };

  constructor(options: Options, data: number[][]) {
    this.options = options;
    this.data = data;
    FakePlot.made.push(this);
  }
  valToPos(value: number): number {
    return 2 * value;
  }
  setCursor(at: { left: number }): void {
    this.calls.push(["cursor", at.left]);
  }
  setScale(_: string, range: unknown): void {
    this.calls.push(["scale", range]);
  }
  setSeries(index: number, { show }: { show: boolean }): void {
    this.calls.push(["series", index, show]);
  }
  setSize(size: unknown): void {
    this.calls.push(["size", size]);
  }
  destroy(): void {
    this.calls.push(["destroy"]);
  }
}

/** Draws, as if every chart came into view at once. */
function draw(): { chart: Stub; legend: Stub; plot: FakePlot; darken: () => void } {
  FakePlot.made = [];
  const chart = new Stub({ chart: "0" });
  const legend = new Stub();
  chart.legend.push(legend);
  let darken: (() => void) | null = null;
  class AtOnce {
    readonly seen: (entries: readonly unknown[]) => void;
    constructor(seen: (entries: readonly unknown[]) => void) {
      this.seen = seen;
    }
    observe(target: unknown): void {
      this.seen([{ target, isIntersecting: true }]);
    }
    unobserve(): void {}
  }
  const page = {
    document: {
      documentElement: new Stub(),
      getElementById: () => new Stub({}, JSON.stringify(CHARTS)),
      querySelectorAll: () => [chart],
    },
    IntersectionObserver: AtOnce,
    ResizeObserver: AtOnce,
    getComputedStyle: () => ({ getPropertyValue: (name: string) => ` <${name}>` }),
    matchMedia: () => ({ addEventListener: (_: string, listen: () => void) => (darken = listen) }),
  };
  // oxlint-disable-next-line typescript/no-implied-eval -- the point of the test: it works as text.
  const fromText = new Function(`return (${drawCharts.toString()})`)() as typeof drawCharts;
  fromText(page as unknown as PageWindow, FakePlot as unknown as PlotClass);
  return { chart, legend, plot: FakePlot.made[0] as FakePlot, darken: () => darken?.() };
}

describe("the page's script", () => {
  test("draws a series a line, a band between high and low, on the asked axis", () => {
    const { plot } = draw();
    expect(plot.options.width).toBe(400);
    expect(plot.options.scales.y.distr).toBe(3);
    expect(plot.options.series.map(({ label }) => label)).toEqual([
      "step",
      ...(CHARTS[0]?.series.map(({ label }) => label) ?? []),
    ]);
    expect(plot.options.bands.map(({ series }) => series)).toEqual([[2, 3]]);
    expect(plot.data).toEqual([CHARTS[0]?.steps, ...(CHARTS[0]?.series.map(({ values }) => values) ?? [])]);
    // The tenth color is the second one, dashed.
    expect(plot.options.series[5]?.dash).toEqual([6, 4]);
    expect(plot.options.series.map((each) => each.class)).toEqual([
      undefined,
      "line",
      "silent",
      "silent",
      "silent",
      "line",
    ]);
  });

  test("walks along the steps by arrow keys", () => {
    const { chart, plot } = draw();
    expect(chart.press("ArrowRight")).toBe(true);
    plot.cursor = { idx: 0 };
    chart.press("ArrowRight");
    chart.press("ArrowLeft");
    chart.press("End");
    expect(chart.press("a")).toBe(false);
    chart.press("Escape");
    expect(plot.calls.slice(1)).toEqual([
      ...[0, 20, 0, 40].map((left) => ["cursor", left]),
      ["scale", { min: 0, max: 20 }],
      ["cursor", -10],
    ]);
  });

  test("hides a band and its runs with their mean, and lets the keyboard do so", () => {
    const { legend, plot } = draw();
    expect(legend.tabIndex).toBe(0);
    legend.press("Enter");
    legend.press("x");
    expect(legend.clicks).toBe(1);
    plot.options.hooks.setSeries[0]?.(plot, 1, { show: false });
    plot.options.hooks.setSeries[0]?.(plot, 5, { show: false });
    expect(plot.calls.slice(1)).toEqual([2, 3, 4].map((index) => ["series", index, false]));
  });

  test("draws again when the colors change", () => {
    const { plot, darken } = draw();
    darken();
    expect(plot.calls.at(-1)).toEqual(["destroy"]);
    expect(FakePlot.made).toHaveLength(2);
  });
});
