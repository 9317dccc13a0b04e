import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { QdgError } from "../../src/base/error.js";
import {
  escapeControls,
  MAX_ECHO,
  printable,
  printableLines,
  printableMessage,
  shorten,
} from "../../src/base/printable.js";

describe("text from outside", () => {
  test.each([
    ["plain text", "conv2d_3/kernel:0", "conv2d_3/kernel:0"],
    ["other writing", "Schicht ä 層 🙂", "Schicht ä 層 🙂"],
    ["line breaks", "a\r\nb", "a\\u000d\\nb"],
    ["codes of a terminal", "a\u001b[2J\u009b1A\u0007", "a\\u001b[2J\\u009b1A\\u0007"],
    ["what turns the direction of writing", "a\u202egpj.exe", "a\\u202egpj.exe"],
    ["half a character", "a\ud83d", "a\\ud83d"],
  ])("is shown without what a terminal obeys: %s", (_, text, shown) => {
    expect(escapeControls(text)).toBe(shown);
    expect(printableMessage(text)).toBe(shown);
  });

  test("is cut in the middle, and says how long it was", () => {
    expect(shorten("a".repeat(200))).toBe("a".repeat(200));
    expect(shorten(`${"a".repeat(150)}${"b".repeat(850)}`)).toBe(
      `${"a".repeat(118)}...(1000 characters)...${"b".repeat(59)}`,
    );
  });

  test("takes no more than it may, whatever it is", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 2000 }), (text) => {
        expect(printable(text).length).toBeLessThanOrEqual(MAX_ECHO);
        expect(printable(text)).toBe(escapeControls(printable(text)));
        expect(printableLines(text)).not.toMatch(/[^\n\P{Cc}]/u);
      }),
    );
  });
});

describe("a message", () => {
  const hostile = "x".repeat(100_000);
  test.each([
    ["a name", `reads ${hostile}, which nothing before it computes; mend it`],
    ["a name in quotation marks", `got "${"x ".repeat(50_000)}", expected a name; mend it`],
    ["a list", `got [${"1, ".repeat(50_000)}1], expected sizes; mend it`],
    ["an object", `got {${'"a": 1, '.repeat(50_000)}}, expected a name; mend it`],
    ["several names", `${hostile} and ${hostile} and ${hostile}; mend it`],
  ])("repeats little of a long piece of input, and keeps its remedy: %s", (_, what) => {
    const { message } = new QdgError("invalid-model", hostile, what);
    expect(message).toMatch(/mend it \[invalid-model\]$/);
    expect(message).toContain("characters)...");
    expect(message.length).toBeLessThan(4 * MAX_ECHO + 100);
  });

  test("of blanks and short words alone has a bound too", () => {
    const { message } = new QdgError("invalid-model", "m", "a b ".repeat(100_000));
    expect(message.length).toBeLessThan(900);
  });

  test("of ordinary length stays as it is", () => {
    const what = `got [null,8,8,3] and "${"a".repeat(60)}", expected ${"words ".repeat(90)}`;
    expect(new QdgError("usage", "--data", what).message).toBe(`--data: ${what} [usage]`);
  });
});
