import { expect, test } from "vitest";
import { agreement, overDraws, percentages } from "../../bench/predictions.js";

test("agreement is the share of images with the same class", () => {
  expect(agreement([1, 2, 3, 4], [1, 2, 0, 4])).toBe(0.75);
});

test.each([
  ["no images", [], []],
  ["images that one of the two did not see", [1, 2], [1]],
])("%s have no agreement", (_, a, b) => {
  expect(() => agreement(a, b)).toThrow(RangeError);
});

test("draws are told by their mean, the least and the most", () => {
  const over = overDraws([0.9, 0.8, 0.95]);
  expect(over.mean).toBeCloseTo(0.8833, 4);
  expect(percentages(over)).toBe("88.3 % [80.0, 95.0]");
  expect(() => overDraws([])).toThrow("expected at least one");
});
