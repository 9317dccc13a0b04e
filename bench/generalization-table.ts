// What runs of generalization.ts gave, as a table of means and spreads over seeds.

import type { RunConflict } from "./generalization-conflict.js";
import type { WholeDomain } from "./trained-parity.js";
import { type SetName, SETS } from "./generalization-sets.js";

/** What a run was asked, as the table groups runs: all but the seed. */
export interface Setting {
  readonly data: SetName;
  readonly method: string;
  /** "W3A8"; null: full precision. */
  readonly bits: string | null;
  readonly testDomain: string;
  readonly steps: number;
  readonly imageSize: number;
  /** Options beyond those of the set, as given. */
  readonly extra: string;
}

export interface Result extends Setting {
  readonly seed: number;
  /** Shares of images: validation images of the sources, and all of the domain that is held out. */
  readonly validation: number;
  readonly heldOut: number;
  readonly keptStep: number;
  /** Of the exported file, over the domain that is held out; null where it was not compared. */
  readonly parity: WholeDomain | null;
  /** null for a method without windows; absent where it was not measured yet. */
  readonly conflict?: RunConflict | null;
  readonly backend: string;
  readonly code: string;
  readonly time: string;
}

export function sameSetting(a: Setting, b: Setting): boolean {
  const key = ({ data, method, bits, testDomain, steps, imageSize, extra }: Setting): string =>
    JSON.stringify([data, method, bits, testDomain, steps, imageSize, extra]);
  return key(a) === key(b);
}

const HEAD = [
  "held out",
  "method",
  "bits",
  "px",
  "steps",
  "seeds",
  "source validation, %",
  "held-out domain, %",
  "below erm (bar)",
  "elements that differ in the file",
];

/** Of one set. */
export function generalizationTable(data: SetName, all: readonly Result[]): string {
  const results = all.filter((result) => result.data === data);
  const settings = results.filter((each, i) => results.findIndex((other) => sameSetting(other, each)) === i);
  const rows = settings.map((setting) => {
    const runs = results.filter((result) => sameSetting(result, setting));
    const { testDomain, method, bits, steps, imageSize, extra } = setting;
    return [
      testDomain,
      method + (extra && ` \`${extra}\``),
      bits ?? "float",
      imageSize,
      steps,
      runs.length,
      spread(runs.map(({ validation }) => validation)),
      spread(runs.map(({ heldOut }) => heldOut)),
      belowErm(runs, results),
      differences(runs),
    ];
  });
  const lines = [HEAD, HEAD.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`);
  return `${lines.join("\n")}\n`;
}

/** "2.1 (3), held out 1.0 (5)": points below erm, of the seeds that both have; for erm the bar that it has itself. */
function belowErm(runs: readonly Result[], all: readonly Result[]): string {
  const [{ data, bits, method, extra, ...setting }] = runs as [Result];
  const { bars, floatBar } = SETS[data];
  if (method === "erm") return floatBar === undefined ? "" : `(>= ${floatBar} %)`;
  const float = all.filter((each) =>
    sameSetting(each, { ...setting, data, bits: null, method: "erm", extra }),
  );
  const pairs = runs.flatMap((run) => {
    const same = float.find(({ seed }) => seed === run.seed);
    return same ? [{ run, same }] : [];
  });
  if (pairs.length === 0) return "";
  const points = (of: "validation" | "heldOut"): string =>
    (100 * mean(pairs.map(({ run, same }) => same[of] - run[of]))).toFixed(1);
  const bar = bits === null ? undefined : bars[bits];
  const told = (of: "validation" | "heldOut"): string =>
    points(of) + (bar?.[of] === undefined ? "" : ` (${bar[of]})`);
  return `${told("validation")}, held out ${told("heldOut")}`;
}

/** On cpu and wasm together, over all seeds that were compared. */
function differences(runs: readonly Result[]): string {
  const found = runs.flatMap(({ parity }) => (parity ? [parity] : []));
  if (found.length === 0) return "";
  const differ = found.flatMap((parity) => Object.values(parity.differ)).reduce((sum, n) => sum + n, 0);
  const elements = found.reduce(
    (sum, { elements: n, differ: targets }) => sum + n * Object.keys(targets).length,
    0,
  );
  return `${differ} of ${elements.toLocaleString("en")}`;
}

/** "81.2 ± 1.3": mean and standard deviation over seeds (n - 1), in percent. */
export function spread(shares: readonly number[]): string {
  const m = mean(shares);
  const variance = shares.reduce((sum, x) => sum + (x - m) ** 2, 0) / (shares.length - 1);
  return shares.length < 2
    ? (100 * m).toFixed(1)
    : `${(100 * m).toFixed(1)} ± ${(100 * Math.sqrt(variance)).toFixed(1)}`;
}

export function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
}
