// Text tables for the terminal: columns as wide as their widest cell, two spaces between.

/** Cells that are numbers stand to the right, all others to the left. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const isNumber = /^-?[\d.]+( [kM]?B)?$/;
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) =>
        isNumber.test(cell) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd();
  return [line(header), widths.map((width) => "-".repeat(width)).join("  "), ...rows.map(line)].join("\n");
}
