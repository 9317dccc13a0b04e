// What the generated pages are made of: cells, tables and headings in Markdown.

/** A GitHub table; columns are padded, so that the page reads as text too. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [header, ...rows].map((row) => row.map(escapeCell));
  const widths = header.map((_, column) => Math.max(3, ...cells.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const [head, ...body] = cells.map(line);
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  return [head, rule, ...body].join("\n");
}

/** A bar ends a cell even in code; outside of code "<" would begin a tag. */
function escapeCell(text: string): string {
  const parts = text
    .replaceAll(/\s*\n\s*/g, " ")
    .replaceAll("|", "\\|")
    .split("`");
  return parts.map((part, i) => (i % 2 === 1 ? part : part.replaceAll("<", "&lt;"))).join("`");
}

/** The fragment that GitHub gives a heading. */
export function fragment(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .replaceAll(/\s/g, "-");
}
