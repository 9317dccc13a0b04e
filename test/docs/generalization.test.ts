import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { generalizationTables, withTables } from "../../bench/generalization-docs.js";
import type { Result } from "../../bench/generalization-table.js";

const at = (path: string): Promise<string> => readFile(new URL(`../../${path}`, import.meta.url), "utf8");

test.each(["docs/training.md", "docs/gaqat.md"])(
  "%s quotes the results of runs as they are",
  async (path) => {
    const lines = (await at("bench/results/generalization.jsonl")).split("\n").filter(Boolean);
    const tables = generalizationTables(lines.map((line) => JSON.parse(line) as Result));
    const page = await at(path);
    const quoted = tables.filter(({ name }) => page.includes(`<!-- generalization ${name} -->`));
    expect(quoted).not.toEqual([]);
    // Columns are padded by the formatter.
    const cells = (text: string): string =>
      text.replaceAll(/ +\|/g, " |").replaceAll(/\| +/g, "| ").replaceAll(/-{3,}/g, "---");
    expect(cells(withTables(page, tables))).toBe(cells(page));
  },
);
