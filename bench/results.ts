// What runs leave behind: a line of JSON a run, and a page with the newest table of every part.

import { appendFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Environment } from "./environment.js";
import { markdownTable, type Row } from "./row.js";

export interface PartResult {
  readonly part: string;
  readonly title: string;
  readonly method: string;
  readonly rows: readonly Row[];
}

export interface RunResult extends Environment {
  /** ISO 8601, UTC */
  readonly time: string;
  readonly parts: readonly PartResult[];
}

/** Adds the run to results.jsonl and writes latest.md anew. */
export async function saveRun(folder: string, run: RunResult, order: readonly string[]): Promise<void> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, "results.jsonl");
  await appendFile(path, `${JSON.stringify(run)}\n`);
  const runs = (await readFile(path, "utf8"))
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as RunResult);
  await writeFile(join(folder, "latest.md"), latestPage(runs, order));
}

/** For each part the newest run that measured it: parts need not be run together. */
export function latestPage(runs: readonly RunResult[], order: readonly string[]): string {
  const sections = order.flatMap((name) => {
    const run = runs.findLast(({ parts }) => parts.some(({ part }) => part === name));
    const result = run?.parts.find(({ part }) => part === name);
    return run && result ? [section(run, result)] : [];
  });
  return `# Latest results\n\nWritten by \`npm run bench\`; every earlier run is a line of results.jsonl.\n\n${sections.join("\n")}`;
}

/** One part of a run: how it was measured, on what, and its table. */
export function section(run: RunResult, { title, method, rows }: PartResult): string {
  return [
    `## ${title}`,
    "",
    method,
    "",
    `${run.time.slice(0, 16).replace("T", " ")} UTC; ${run.machine}; ${run.versions}; code ${run.code}.`,
    "",
    markdownTable(rows),
  ].join("\n");
}
