import { describe, expect, test } from "vitest";
import {
  CONTENT_SECURITY_POLICY,
  formatHeaders,
  headersOf,
  parseHeaders,
  siteHeaders,
} from "../../src/deploy/headers.js";

const rules = siteHeaders(
  ["model.0a1b2c3d.onnx", "assets/index-abc.js"],
  ["index.html", "manifest.json", "sw.js"],
);

test("the text of a _headers file reads back as the same rules", () => {
  expect(parseHeaders(formatHeaders(rules), "_headers")).toEqual(rules);
});

test("every path is isolated and has the policy", () => {
  for (const path of ["/", "/index.html", "/model.0a1b2c3d.onnx", "/not-there"]) {
    expect(headersOf(rules, path)).toMatchObject({
      "Cross-Origin-Opener-Policy": "same-origin",
      "Cross-Origin-Embedder-Policy": "require-corp",
      "Content-Security-Policy": CONTENT_SECURITY_POLICY,
      "X-Content-Type-Options": "nosniff",
    });
  }
});

function caching(path: string): string | undefined {
  return headersOf(rules, path)["Cache-Control"];
}

test("names that hold a hash are kept for a year, all others asked for each time", () => {
  expect(caching("/model.0a1b2c3d.onnx")).toContain("immutable");
  expect(caching("/assets/index-abc.js")).toContain("immutable");
  for (const path of ["/", "/index.html", "/manifest.json", "/sw.js"]) expect(caching(path)).toBe("no-cache");
});

test("no header stands in two rules of one path, since hosts would join them", () => {
  for (const { path } of rules) {
    const names = rules
      .filter((rule) => rule.path === path || rule.path === "/*")
      .flatMap((rule) => Object.keys(rule.headers));
    expect(new Set(names).size).toBe(names.length);
  }
});

test("the policy allows WebAssembly and own scripts, and no inline script, eval or other origin", () => {
  const policy = new Map(
    CONTENT_SECURITY_POLICY.split("; ").map((part) => {
      const [name = "", ...values] = part.split(" ");
      return [name, values] as const;
    }),
  );
  expect(policy.get("default-src")).toEqual(["'none'"]);
  expect(policy.get("script-src")).toEqual(["'self'", "'wasm-unsafe-eval'"]);
  expect(policy.get("style-src")).toEqual(["'self'"]);
  expect(policy.get("connect-src")).toEqual(["'self'"]);
  expect(CONTENT_SECURITY_POLICY).not.toMatch(/'unsafe-(inline|eval)'|https?:|\*/);
});

describe("a _headers file that is broken", () => {
  test.each([
    ["a header without a path", "  X: y\n"],
    ["a line that is neither", "/*\n  X y\n"],
    ["a path without a slash", "index.html\n  X: y\n"],
    ["a star in the middle", "/a/*/b\n  X: y\n"],
  ])("is refused: %s", (_, text) => {
    expect(() => parseHeaders(text, "_headers")).toThrow(/_headers line \d: got .* \[invalid-data\]/);
  });

  test("comments, blank lines and Windows' line ends are none of that", () => {
    expect(parseHeaders("# x\r\n\r\n/*\r\n  # y\r\n  X: y\r\n", "f")).toEqual([
      { path: "/*", headers: { X: "y" } },
    ]);
  });
});
