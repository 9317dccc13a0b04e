// The headers that docs/deploy.md gives for nginx are those of _headers.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { headersOf, siteHeaders } from "../../src/deploy/headers.js";

const document = readFileSync(new URL("../../docs/deploy.md", import.meta.url), "utf8");

test("the documented headers of nginx are those of a site", () => {
  const documented = new Map(
    [...document.matchAll(/add_header ([\w-]+) ("[^"]*"|\S+) always;/g)].map(([, name = "", value = ""]) => [
      name,
      value.replaceAll('"', ""),
    ]),
  );
  const { "Cache-Control": _, ...expected } = headersOf(siteHeaders([], []), "/");
  documented.delete("Cache-Control");
  expect(Object.fromEntries(documented)).toEqual(expected);
});
