// docs/api.md is what the docstrings say. After a change of the public API: npm run docs.

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { apiItems, apiPage, ENTRIES } from "./api-page.js";

const top = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

test("docs/api.md is what the sources give", async () => {
  await expect(apiPage(top)).toMatchFileSnapshot("../../docs/api.md");
});

test("every exported function has a docstring", () => {
  const silent = ENTRIES.flatMap((entry) =>
    apiItems(top, entry)
      .filter(({ kind, text }) => kind === "function" && text === "")
      .map(({ name }) => `${entry.name}: ${name}`),
  );
  expect(silent).toEqual([]);
});
