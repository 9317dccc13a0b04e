// How the pages that qdg writes look, in light and in dark, from a phone's width up. Colors that carry numbers are made
// here by rule, so that both schemes say the same.

type Color = readonly [red: number, green: number, blue: number];

/** Steps of a map's color scale: 0, 1, ... STEPS of a value from 0 to 1. */
export const MAP_STEPS = 10;

interface Scheme {
  readonly paper: Color;
  readonly card: Color;
  readonly ink: Color;
  readonly muted: Color;
  readonly line: Color;
  readonly accent: Color;
  readonly series: readonly Color[];
  /** Ends of the maps' scales: gradients that agree, that alternate, and scales that are frozen. */
  readonly steady: Color;
  readonly disordered: Color;
  readonly frozen: Color;
}

const LIGHT: Scheme = {
  paper: [247, 248, 250],
  card: [255, 255, 255],
  ink: [26, 32, 44],
  muted: [86, 96, 112],
  line: [222, 226, 232],
  accent: [24, 92, 200],
  series: [
    [24, 92, 200],
    [201, 82, 8],
    [12, 128, 82],
    [160, 38, 156],
    [0, 122, 148],
    [150, 104, 0],
    [196, 30, 70],
    [96, 104, 120],
  ],
  steady: [33, 102, 172],
  disordered: [196, 88, 20],
  frozen: [0, 116, 140],
};

const DARK: Scheme = {
  paper: [16, 19, 25],
  card: [25, 29, 37],
  ink: [230, 234, 240],
  muted: [158, 168, 184],
  line: [52, 59, 72],
  accent: [126, 176, 255],
  series: [
    [110, 168, 255],
    [255, 152, 84],
    [92, 208, 150],
    [226, 140, 236],
    [84, 206, 226],
    [226, 184, 92],
    [255, 128, 152],
    [178, 186, 200],
  ],
  steady: [90, 160, 235],
  disordered: [240, 140, 70],
  frozen: [60, 190, 215],
};

/** The whole style sheet. */
export function pageStyle(): string {
  return `:root{color-scheme:light dark;${variables(LIGHT)}}
@media (prefers-color-scheme:dark){:root{${variables(DARK)}}}
${mapClasses()}${LAYOUT}`;
}

function variables(scheme: Scheme): string {
  const { series, steady, disordered, frozen, ...named } = scheme;
  const colors = Object.entries(named).map(([name, color]) => `--${name}:${hex(color)}`);
  series.forEach((color, i) => colors.push(`--series-${i}:${hex(color)}`));
  for (let step = 0; step <= MAP_STEPS; step++) {
    const share = step / MAP_STEPS;
    // A coin's disorder, 0.5, has the color of the paper: what stands out is what is not chance.
    const disorder = mix(scheme.card, share < 0.5 ? steady : disordered, Math.abs(2 * share - 1));
    const freezing = mix(scheme.card, frozen, share);
    colors.push(`--d${step}:${hex(disorder)}`, `--dt${step}:${textOn(disorder)}`);
    colors.push(`--f${step}:${hex(freezing)}`, `--ft${step}:${textOn(freezing)}`);
  }
  return colors.join(";");
}

function mapClasses(): string {
  const classes: string[] = [];
  for (let step = 0; step <= MAP_STEPS; step++) {
    classes.push(`.d${step}{background:var(--d${step});color:var(--dt${step})}`);
    classes.push(`.f${step}{background:var(--f${step});color:var(--ft${step})}`);
  }
  for (let i = 0; i < LIGHT.series.length; i++) classes.push(`.chip${i}{background:var(--series-${i})}`);
  return classes.join("\n");
}

/** Chips of the palette. */
export const PALETTE_SIZE: number = LIGHT.series.length;

function mix(from: Color, to: Color, share: number): Color {
  const channel = (i: 0 | 1 | 2): number => Math.round(from[i] + (to[i] - from[i]) * share);
  return [channel(0), channel(1), channel(2)];
}

/** Black or white, whichever has the greater contrast (WCAG 2 relative luminance; equal at 0.179). */
function textOn(color: Color): string {
  const [r, g, b] = color.map((value) => {
    const c = value / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
}

function hex(color: Color): string {
  return `#${color.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}

const LAYOUT = `
*{box-sizing:border-box}
body{margin:0 auto;padding:24px;max-width:1280px;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
h1{font-size:26px;margin:0 0 4px}
h2{font-size:19px;margin:36px 0 10px}
h3{font-size:15px;margin:18px 0 8px}
p{margin:6px 0 12px;max-width:80ch}
.muted,.caption{color:var(--muted)}
.caption{font-size:13px;margin:0 0 4px}
nav{display:flex;flex-wrap:wrap;gap:4px 18px;margin:12px 0 0}
a{color:var(--accent)}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px;border-radius:3px}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:8px;margin:0 0 14px;max-width:100%;width:fit-content}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:5px 12px;text-align:left;border-top:1px solid var(--line);vertical-align:top}
thead tr:first-child>*{border-top:0}
thead th{font-size:13px;font-weight:600;color:var(--muted);vertical-align:bottom}
tbody th{font-weight:500;white-space:nowrap}
tr>:first-child{position:sticky;left:0;background:var(--card)}
.numbers :is(th,td):not(:first-child){text-align:right;white-space:nowrap}
.texts td{overflow-wrap:anywhere;min-width:8ch;max-width:44ch}
tr.main>*{font-weight:650}
small{color:var(--muted);font-weight:400}
.chip{display:inline-block;width:11px;height:11px;border-radius:3px;margin-right:7px}
.notes{border-left:4px solid var(--accent);padding:2px 0 2px 14px;margin:14px 0}
.notes li{overflow-wrap:anywhere}
.charts{display:grid;gap:14px;grid-template-columns:repeat(auto-fill,minmax(min(100%,480px),1fr))}
.charts.small{grid-template-columns:repeat(auto-fill,minmax(min(100%,270px),1fr))}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:8px;padding:10px 12px;min-width:0}
figcaption{font-weight:600;font-size:14px;overflow-wrap:anywhere}
.charts.small figcaption{font-size:13px;font-weight:500}
[data-chart]{min-height:260px}
.charts.small [data-chart]{min-height:150px}
.u-legend{color:var(--ink);font-size:13px;text-align:left}
.u-legend th,.u-legend td{border:0;padding:2px 4px}
.u-legend th{white-space:normal;overflow-wrap:anywhere}
.u-legend .silent{display:none}
.u-legend.u-inline .u-series{padding:0 6px 0 0}
.u-cursor-pt.silent{display:none}
.uplot .u-select{background:color-mix(in srgb,var(--ink) 12%,transparent)}
.uplot .u-cursor-x,.uplot .u-cursor-y{border-color:var(--muted)}
.key{display:flex;flex-wrap:wrap;gap:4px 18px;margin:0 0 12px;padding:0;list-style:none;font-size:14px}
details{margin:0 0 12px}
summary{cursor:pointer;font-weight:600;padding:4px 0}
.map th,.map td{padding:1px 5px;font-size:12px;border-top:0;line-height:1.45}
.map td{text-align:center;min-width:28px}
.map thead th{text-align:center;font-size:11px;font-weight:500}
.map thead th:first-child{text-align:left}
.scale{display:inline-flex;vertical-align:middle;margin:0 8px;border:1px solid var(--line)}
.scale span{width:16px;height:14px}
@media (max-width:600px){body{padding:14px}h1{font-size:22px}th,td{padding:4px 8px}figure{padding:8px 6px}tbody th{min-width:30vw;max-width:46vw;white-space:normal;overflow-wrap:break-word}}
@media print{figure,.scroll{break-inside:avoid}}
`;
