// Text tables for the terminal: columns as wide as their widest cell, two spaces between.

import { printable } from "../base/printable.js";

/** In a cell: names out of files can be of any length. */
const MOST_CHARACTERS = 100;

/** Cells that are numbers stand to the right, all others to the left. */
export function formatTable(header: readonly string[], given: readonly (readonly string[])[]): string {
  const rows = given.map((cells) => cells.map((cell) => printable(cell, MOST_CHARACTERS)));
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
