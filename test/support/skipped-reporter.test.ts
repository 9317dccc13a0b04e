import { expect, test } from "vitest";
import { needs } from "./needs.js";
import { skippedText } from "./skipped-reporter.js";

type Skipped = Parameters<typeof skippedText>[0][number];

function skipped(skipReason: string | undefined, note?: string): Skipped {
  return {
    meta: () => (skipReason === undefined ? {} : { skipReason }),
    result: () => ({ state: "skipped", errors: undefined, note }),
  };
}

test("the last lines of a run say how many tests were skipped, and why, the most frequent reason first", () => {
  const tests = [skipped("needs a GPU"), skipped("needs a browser"), skipped("needs a browser")];
  expect(skippedText([...tests, skipped(undefined, "too hot"), skipped(undefined)])).toBe(
    "\n5 skipped\n  2: needs a browser\n  1: needs a GPU\n  1: too hot\n  1: no reason given\n",
  );
  expect(skippedText([])).toBe("");
});

test("what is missing skips a test with the reason, and fails it where QDG_TEST_NEEDS names the thing", () => {
  const before = process.env["QDG_TEST_NEEDS"];
  try {
    process.env["QDG_TEST_NEEDS"] = "";
    expect(needs("browser", null)).toEqual({});
    expect(needs("browser", "a browser")).toEqual({ skip: true, meta: { skipReason: "needs a browser" } });
    process.env["QDG_TEST_NEEDS"] = "webgpu,browser";
    expect(needs("browser", "a browser")).toEqual({});
    expect(needs("shared", "a folder")).toMatchObject({ skip: true });
  } finally {
    if (before === undefined) delete process.env["QDG_TEST_NEEDS"];
    else process.env["QDG_TEST_NEEDS"] = before;
  }
});
