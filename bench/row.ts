// A line of the table, and the table as Markdown. Values arrive as text: nothing is measured or judged here.

/** "-" for numbers that are told and have no bar. */
export type Reached = "yes" | "no" | "skipped" | "-";

export interface Row {
  readonly name: string;
  readonly value: string;
  /** What must be reached; "" for none. */
  readonly bar: string;
  readonly reached: Reached;
  /** What it was measured against, and how far the numbers spread. */
  readonly detail: string;
}

/** A row that could not be measured, which is never the same as reached. */
export function skippedRow(name: string, bar: string, reason: string): Row {
  return { name, value: `skipped: ${reason}`, bar, reached: "skipped", detail: "" };
}

const HEADER: readonly string[] = ["what", "value", "bar", "reached", "detail"];

/** A Markdown table with padded columns. */
export function markdownTable(rows: readonly Row[]): string {
  const cells = rows.map(({ name, value, bar, reached, detail }) =>
    [name, value, bar, reached === "no" ? "**no**" : reached, detail].map(escapeCell),
  );
  const widths = HEADER.map((title, column) =>
    Math.max(3, title.length, ...cells.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[], fill = " "): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0, fill)).join(" | ")} |`;
  const rule = line(
    HEADER.map(() => ""),
    "-",
  );
  return `${[line(HEADER), rule, ...cells.map((row) => line(row))].join("\n")}\n`;
}

/** Skipped rows are not among them: they are neither reached nor missed. */
export function missedBars(rows: readonly Row[]): readonly Row[] {
  return rows.filter(({ reached }) => reached === "no");
}

function escapeCell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll(/\s*\n\s*/g, " ");
}
