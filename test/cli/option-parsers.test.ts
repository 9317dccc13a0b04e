// Texts of options as values.

import { expect, test } from "vitest";
import { byteCount, decimal } from "../../src/cli/option-parsers.js";

test.each([
  ["450kB", 450_000],
  ["450 kB", 450_000],
  ["1.5MB", 1_500_000],
  ["450000", 450_000],
  ["812B", 812],
  ["0.4KB", 400],
])("%s is a size of %i bytes", (text, expected) => {
  expect(byteCount("--budget")(text)).toBe(expected);
});

test.each(["0", "0.2", "1.5.2kB", "1GB", "1e6", "-1", "kB", "٣kB"])("%s is no size", (text) => {
  expect(() => byteCount("--budget")(text)).toThrow(/--budget: got .*, expected a size such as 450kB/);
});

test("a decimal has digits, and at most one point among them", () => {
  expect(decimal("--average-bits", "a number")("3.5")).toBe(3.5);
  for (const text of ["", ".5", "3,5", "1e3", "-4", "Infinity"])
    expect(() => decimal("--average-bits", "a number")(text)).toThrow(
      /--average-bits: got .* expected a number/,
    );
});
