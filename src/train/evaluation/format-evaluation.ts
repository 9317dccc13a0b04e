// An evaluation as text for people: a line a domain, a column a target. No numbers are made here.

import type { ClassifierKind } from "../../model/classifier-output.js";
import type { Evaluation } from "./evaluate.js";
import type { ClassScore, Score } from "./score.js";

interface Column {
  readonly title: string;
  readonly score: Score;
}

/** Where the probabilities that are averaged come from. */
const PROBABILITIES: Readonly<Record<ClassifierKind, string>> = {
  softmax: "its outputs, which come of a softmax",
  sigmoid: "its outputs, which come of sigmoids",
  logits: "softmax of its outputs, which are logits",
};

/** Tables by domain and by class for each file, then the ensemble, then who disagrees. */
export function formatEvaluation(evaluation: Evaluation): string {
  const { models, ensemble, classes, data, images, notes } = evaluation;
  const lines = [`${data}: ${images} images of ${classes.length} classes; accuracy in %`];
  for (const { path, outputKind, targets, agreement } of models) {
    const columns = targets.map((score) => ({ title: score.target, score }));
    lines.push("", path, ...scoreLines(columns));
    if (ensemble) lines.push(`  probabilities: ${PROBABILITIES[outputKind]}`);
    if (agreement) {
      const { differing, examples } = agreement;
      const where = differing === 0 ? "" : `, as ${examples.join(", ")}`;
      lines.push(`  ${agreement.targets.join(" and ")}: ${differing} differing predictions${where}`);
    }
  }
  if (ensemble) {
    const columns = ensemble.map((score) => ({ title: score.target, score }));
    lines.push("", `mean probabilities of ${models.length} files`, ...scoreLines(columns));
  }
  if (notes.length > 0) lines.push("", ...notes.map((note) => `note: ${note}`));
  return `${lines.join("\n")}\n`;
}

function scoreLines(columns: readonly Column[]): string[] {
  const [first] = columns;
  if (!first) return [];
  const header = ["", "images", ...columns.map(({ title }) => title)];
  const row = (pick: (score: Score) => ClassScore | undefined): string[] => {
    const own = pick(first.score);
    return [own?.name ?? "", String(own?.count ?? 0), ...columns.map(({ score }) => percent(pick(score)))];
  };
  const rows = [
    ["domain", ...header.slice(1)],
    ...first.score.domains.map((_, i) => row(({ domains }) => domains[i])),
    row((score) => score),
    [],
    ["class", ...header.slice(1)],
    ...first.score.classes.map((_, i) => row(({ classes }) => classes[i])),
  ];
  const widths = header.map((_, column) => Math.max(...rows.map((cells) => (cells[column] ?? "").length)));
  return rows.map((cells) => {
    const padded = cells.map((cell, column) => {
      const width = widths[column] ?? 0;
      return column === 0 ? cell.padEnd(width) : cell.padStart(width);
    });
    return `  ${padded.join("  ")}`.trimEnd();
  });
}

function percent(score: ClassScore | undefined): string {
  return score?.accuracy === null || score === undefined ? "-" : (100 * score.accuracy).toFixed(2);
}
