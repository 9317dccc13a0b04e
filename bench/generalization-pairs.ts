// What one method of generalization.ts gives over another: differences of runs that share all but the method, and what
// was measured of the conflict that some of them are about. Tables in Markdown; pure.

import { twoSidedT } from "qdg/train";
import type { RoleConflict } from "./generalization-conflict.js";
import type { SetName } from "./generalization-sets.js";
import { mean, type Result, sameSetting, spread } from "./generalization-table.js";

/** What is compared with what, in this order. */
const COMPARED: readonly (readonly [method: string, baseline: string])[] = [
  ["gaqat", "lsq-sagm"],
  ["fqat", "lsq-sagm"],
  ["gaqat", "lsq"],
  ["lsq-sagm", "lsq"],
];

const LEVEL = 0.95;

/** Of one set: a row for each pair of methods and number of bits; with and without options of its own. */
export function pairsTable(data: SetName, all: readonly Result[]): string {
  const results = all.filter((result) => result.data === data && result.bits !== null);
  const bits = [...new Set(results.map((result) => result.bits as string))];
  const rows = bits.flatMap((each) => {
    const ofBits = results.filter((result) => result.bits === each);
    const extras = [...new Set(ofBits.filter(({ extra }) => extra !== "").map(labelOf))];
    const compared = [...COMPARED, ...extras.map((label) => [label, "lsq-sagm"] as const)];
    return compared.flatMap(([method, baseline]) => {
      const row = pairsRow(method, baseline, ofBits);
      return row ? [[each, ...row]] : [];
    });
  });
  return markdown(
    [
      "bits",
      "less",
      "pairs",
      "source validation, points [95 %]",
      "ahead",
      "held-out domain, points [95 %]",
      "ahead",
    ],
    rows,
  );
}

function labelOf({ method, extra }: Result): string {
  return extra === "" ? method : `${method} \`${extra}\``;
}

function pairsRow(method: string, baseline: string, results: readonly Result[]): string[] | null {
  const pairs = results
    .filter((result) => labelOf(result) === method)
    .flatMap((result) => {
      const base = results.find(
        (other) =>
          other.method === baseline &&
          other.seed === result.seed &&
          sameSetting(other, { ...result, method: baseline, extra: "" }),
      );
      return base ? [{ result, base }] : [];
    });
  if (pairs.length < 2) return null;
  const points = (of: "validation" | "heldOut"): number[] =>
    pairs.map(({ result, base }) => 100 * (result[of] - base[of]));
  const cells = (of: "validation" | "heldOut"): string[] => {
    const found = points(of);
    return [interval(found), `${found.filter((each) => each > 0).length} of ${found.length}`];
  };
  const domains = [...new Set(pairs.map(({ result }) => result.testDomain))].sort();
  return [
    `${method} less ${baseline}`,
    `${pairs.length} (${domains.join(", ")})`,
    ...cells("validation"),
    ...cells("heldOut"),
  ];
}

/** "+1.8 [0.4, 3.2]": `mean ± t s / sqrt(n)`, t two-sided. */
function interval(differences: readonly number[]): string {
  const m = mean(differences);
  const variance = differences.reduce((sum, x) => sum + (x - m) ** 2, 0) / (differences.length - 1);
  const half = twoSidedT(LEVEL, differences.length - 1) * Math.sqrt(variance / differences.length);
  return `${signed(m)} [${signed(m - half)}, ${signed(m + half)}]`;
}

function signed(points: number): string {
  const text = points.toFixed(1);
  return text === "-0.0" ? "0.0" : `${points < 0 ? "" : "+"}${text}`;
}

/** Of one set: what was measured of the two gradients of scales, mean and spread over the runs of a setting. */
export function conflictTable(data: SetName, all: readonly Result[]): string {
  const results = all.filter((result) => result.data === data && result.conflict);
  const settings = results.filter((each, i) => results.findIndex((other) => sameSetting(other, each)) === i);
  const rows = settings.map((setting) => {
    const conflicts = results.flatMap((result) =>
      sameSetting(result, setting) && result.conflict ? [result.conflict] : [],
    );
    const of = (value: (role: RoleConflict) => number): string =>
      (["weights", "activations"] as const)
        .map((role) => spread(conflicts.map((conflict) => value(conflict[role]))))
        .join(" / ");
    return [
      setting.testDomain,
      labelOf(setting),
      setting.bits ?? "float",
      conflicts.length,
      of(({ taskDisorder }) => taskDisorder),
      of(({ smoothnessDisorder }) => smoothnessDisorder),
      of(({ opposed }) => opposed),
      of(({ cosine }) => cosine),
      spread(conflicts.map(({ layersOpposed }) => layersOpposed)),
      spread(conflicts.map(({ opposingLayers }) => opposingLayers)),
      spread(conflicts.map(({ frozen }) => frozen)),
    ];
  });
  return markdown(
    [
      "held out",
      "method",
      "bits",
      "seeds",
      "task disorder, %",
      "smoothness disorder, %",
      "steps of opposite sign, %",
      "cosine over a window, %",
      "steps at which a layer opposes, %",
      "layers that oppose over a window, %",
      "scales frozen, %",
    ],
    rows,
  );
}

function markdown(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const lines = [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`);
  return `${lines.join("\n")}\n`;
}
