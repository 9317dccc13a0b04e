import { describe, expect, test } from "vitest";
import { float32, int64 } from "../../src/base/tensor.js";
import { classificationOf, probabilitiesOf } from "../../src/web/classification.js";

describe("probabilitiesOf", () => {
  test("leaves probabilities as they are", () => {
    expect(probabilitiesOf(float32([1, 2], [0.25, 0.75]), "probabilities", 2, "m")).toEqual([0.25, 0.75]);
  });

  test("makes a softmax of logits that neither overflows nor loses the small ones", () => {
    const p = probabilitiesOf(float32([1, 3], [1000, 1000 + Math.log(3), -1000]), "logits", 3, "m");
    expect(p[0]).toBeCloseTo(0.25, 4);
    expect(p[1]).toBeCloseTo(0.75, 4);
    expect(p[2]).toBe(0);
    expect(p.reduce((sum, x) => sum + x, 0)).toBeCloseTo(1, 12);
  });

  test("takes logits of other types", () => {
    expect(probabilitiesOf(int64([2], [3, 3]), "logits", 2, "m")).toEqual([0.5, 0.5]);
  });

  test.each([
    ["no output", undefined, "got 0 numbers, expected 2 finite numbers"],
    ["another count", float32([3], [1, 2, 3]), "got 3 numbers, expected 2"],
    ["NaN", float32([2], [1, NaN]), "got NaN or infinity"],
    ["infinity", float32([2], [1, Infinity]), "got NaN or infinity"],
  ])("refuses %s", (_, output, message) => {
    expect(() => probabilitiesOf(output, "logits", 2, "m")).toThrow(message);
  });
});

test("the label is that of the highest probability, of equal ones the first", () => {
  expect(classificationOf([0.2, 0.4, 0.4], ["a", "b", "c"], 3)).toEqual({
    label: "b",
    index: 1,
    probabilities: [0.2, 0.4, 0.4],
    latencyMs: 3,
  });
});
