// README.md: short, with links that lead somewhere, and without a number that the bench did not measure.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import type { RunResult } from "../../bench/results.js";
import { proseOf, withNumbers } from "./readme-numbers.js";

const top = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const read = (path: string): string => readFileSync(join(top, path), "utf8");
const readme = read("README.md");
const manifest = JSON.parse(read("package.json")) as { readonly files: readonly string[] };
const pages = [
  "README.md",
  "CONTRIBUTING.md",
  ...readdirSync(join(top, "docs")).map((name) => `docs/${name}`),
];

const isPacked = (path: string): boolean =>
  manifest.files.some((file) => path === file || path.startsWith(`${file}/`));

test("README.md has fewer than 150 lines", () => {
  expect(readme.split("\n").length).toBeLessThan(150);
});

test("its table of numbers is what the bench measured last", async () => {
  const runs = read("bench/results/results.jsonl")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as RunResult);
  await expect(withNumbers(readme, runs)).toMatchFileSnapshot("../../README.md");
});

test("no measured figure stands elsewhere in its prose", () => {
  const figures = proseOf(readme).match(/\d[\d.,]*\s?(%|x\b|times\b|ms\b|s\b|kB\b|MB\b|dB\b|million\b)/g);
  expect(figures ?? []).toEqual([]);
});

test("it names the two commands of a fresh clone", () => {
  expect(readme).toContain("npm ci && npm run demo\nnpm ci && npm test\n");
});

test.each(pages.filter((page) => page.endsWith(".md")))("the links of %s lead to files", (page) => {
  const links = [...read(page).matchAll(/\]\((?!https?:|#|mailto:)([^)#]+)(#[^)]*)?\)/g)].map(
    ([, path]) => path,
  );
  const broken = links.filter((path) => !existsSync(join(top, dirname(page), path as string)));
  expect(broken).toEqual([]);
});

test("every page that README.md or the index names is in the package", () => {
  const named = [
    ...`${readme}${read("docs/README.md").replaceAll("](", "](docs/")}`.matchAll(/\]\((docs\/[\w-]+\.md)/g),
  ];
  expect(named.length).toBeGreaterThan(8);
  expect([...new Set(named.map(([, path]) => path as string))].filter((path) => !isPacked(path))).toEqual([]);
});
