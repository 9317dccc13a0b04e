// Pages quote the tables of bench/generalization.ts between markers; `npm run docs` puts the newest there.

import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { generalizationTables, withTables } from "../../bench/generalization-docs.js";
import type { Result } from "../../bench/generalization-table.js";
import { table } from "./markdown.js";

const at = (path: string): Promise<string> => readFile(new URL(`../../${path}`, import.meta.url), "utf8");

test.each(["docs/training.md", "docs/gaqat.md"])(
  "%s quotes the results of runs as they are",
  async (path) => {
    const lines = (await at("bench/results/generalization.jsonl")).split("\n").filter(Boolean);
    const all = generalizationTables(lines.map((line) => JSON.parse(line) as Result));
    const page = await at(path);
    expect(all.some(({ name }) => page.includes(`<!-- generalization ${name} -->`))).toBe(true);
    const padded = all.map(({ name, table: text }) => ({ name, table: `${aligned(text)}\n` }));
    await expect(withTables(page, padded)).toMatchFileSnapshot(`../../${path}`);
  },
);

/** Columns padded, as the formatter has them. */
function aligned(text: string): string {
  const [head = [], , ...rows] = text
    .trim()
    .split("\n")
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  return table(head, rows);
}
