import { expect, test } from "vitest";
import { outputDifference } from "../../bench/output-difference.js";

test("a difference is that of the element farthest off, relative to the largest that is expected", () => {
  expect(outputDifference([1, -3.5, 2], [1, -4, 2.25])).toBe(0.125);
  expect(outputDifference([1, 2], [1, 2])).toBe(0);
});

test.each([
  { name: "fewer outputs", outputs: [1], expected: [1, 2] },
  { name: "more outputs", outputs: [1, 2], expected: [1] },
  { name: "an output that is no number", outputs: [1, Number.NaN], expected: [1, 2] },
  { name: "nothing but zeros, which tell nothing", outputs: [0, 0], expected: [0, 0] },
])("of $name no bound holds", ({ outputs, expected }) => {
  expect(outputDifference(outputs, expected) <= 1).toBe(false);
});
