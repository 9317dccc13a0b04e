import { expect, test } from "vitest";
import { noProgress } from "../../src/base/progress.js";

test("noProgress takes any report and does nothing", () => {
  expect(noProgress.report("calibrate", 1, 10)).toBeUndefined();
});
