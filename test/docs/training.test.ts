// docs/training.md says of methods what their table says.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { METHOD_NAMES, METHODS } from "../../src/train/methods/methods.js";
import { table } from "./markdown.js";

const top = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

test("the methods of docs/training.md are those of the table, with their bits", () => {
  const rows = METHOD_NAMES.map((name) => {
    const { says, bits } = METHODS[name];
    return [`\`${name}\``, bits === null ? "" : String(bits), says];
  });
  const page = readFileSync(join(top, "docs", "training.md"), "utf8");
  expect(page).toContain(table(["`--method`", "bits unless told otherwise", ""], rows));
});
