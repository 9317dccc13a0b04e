import { describe, expect, test } from "vitest";
import { latestPage, type RunResult } from "../../bench/results.js";
import { markdownTable, missedBars, type Row, skippedRow } from "../../bench/row.js";

const row: Row = { name: "a", value: "2.5 x", bar: ">= 2 x", reached: "yes", detail: "10 ms" };

describe("the table", () => {
  test("pads its columns and sets a missed bar in bold", () => {
    expect(markdownTable([row, { ...row, name: "longer", reached: "no" }])).toMatchInlineSnapshot(`
      "| what   | value | bar    | reached | detail |
      | ------ | ----- | ------ | ------- | ------ |
      | a      | 2.5 x | >= 2 x | yes     | 10 ms  |
      | longer | 2.5 x | >= 2 x | **no**  | 10 ms  |
      "
    `);
  });

  test("keeps to one line a row, with as many columns, whatever the text", () => {
    const lines = markdownTable([{ ...row, detail: "a|b\n  c" }])
      .trimEnd()
      .split("\n");
    expect(lines).toHaveLength(3);
    expect(lines[2]).toContain("a\\|b c");
  });

  test("says why a row was skipped and counts it neither as reached nor as missed", () => {
    const skipped = skippedRow("b", "0 differ", "no images");
    expect(skipped.reached).toBe("skipped");
    expect(skipped.value).toBe("skipped: no images");
    expect(missedBars([row, skipped])).toEqual([]);
  });

  test("lists the bars that were missed", () => {
    const missed: Row = { ...row, reached: "no" };
    expect(missedBars([row, missed, { ...row, reached: "-" }])).toEqual([missed]);
  });
});

const run = (time: string, part: string, value: string): RunResult => ({
  time,
  machine: "m",
  versions: "v",
  code: "c",
  parts: [{ part, title: `title of ${part}`, method: "how", rows: [{ ...row, value }] }],
});

describe("the page of latest results", () => {
  test("takes each part from the newest run that measured it, in the given order", () => {
    const runs = [
      run("2026-01-01T00:00:00Z", "size", "old"),
      run("2026-01-02T00:00:00Z", "size", "new"),
      run("2026-01-03T00:00:00Z", "latency", "fast"),
    ];
    const page = latestPage(runs, ["latency", "parity", "size"]);
    expect(page.match(/## .*/g)).toEqual(["## title of latency", "## title of size"]);
    expect(page).toContain("new");
    expect(page).not.toContain("old");
    expect(page).toContain("2026-01-02 00:00 UTC; m; v; code c.");
  });
});
