// Puts the latest benchmark table (bench/results/latest.md, or the file given) between the markers of
// README.md. With --check it writes nothing and fails where the two differ.

import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const readme = join(root, "README.md");
const source =
  process.argv.slice(2).find((argument) => argument !== "--check") ??
  join(root, "bench", "results", "latest.md");

const text = readFileSync(readme, "utf8");
const parts = /^([^]*<!-- bench -->\n)[^]*(\n<!-- \/bench -->[^]*)$/.exec(text);
if (!parts) throw new Error(`${readme}: the markers <!-- bench --> and <!-- /bench --> are not there`);
// The README has a title of its own; the file's headings go one level down.
const table = readFileSync(source, "utf8")
  .replace(/^# .*\n+/, "")
  .replaceAll(/^##/gm, "###")
  .trim();
const updated = `${parts[1]}\n${table}\n${parts[2]}`;
if (updated === text) process.stdout.write("README.md is up to date\n");
else if (process.argv.includes("--check")) throw new Error("README.md does not hold the latest table");
else writeFileSync(readme, updated);
