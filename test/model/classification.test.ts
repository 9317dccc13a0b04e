import { describe, expect, test } from "vitest";
import { float32, int64 } from "../../src/base/tensor.js";
import { classificationOf, probabilitiesOf } from "../../src/model/classification.js";

describe("probabilitiesOf", () => {
  test("leaves what comes of a softmax or of sigmoids as it is", () => {
    expect(probabilitiesOf(float32([1, 2], [0.25, 0.75]), "softmax", 2, "m")).toEqual([0.25, 0.75]);
    expect(probabilitiesOf(float32([1, 2], [0.75, 0.875]), "sigmoid", 2, "m")).toEqual([0.75, 0.875]);
  });

  test("takes one sigmoid for the second of two labels, and for the only one of one", () => {
    expect(probabilitiesOf(float32([1, 1], [0.25]), "sigmoid", 2, "m")).toEqual([0.75, 0.25]);
    expect(probabilitiesOf(float32([1, 1], [0.25]), "sigmoid", 1, "m")).toEqual([0.25]);
    for (const kind of ["softmax", "logits"] as const) {
      expect(() => probabilitiesOf(float32([1, 1], [0.25]), kind, 2, "m")).toThrow("got 1 numbers");
    }
  });

  test.each(["softmax", "sigmoid"] as const)("refuses numbers that cannot come of a %s", (kind) => {
    expect(() => probabilitiesOf(float32([2], [0.5, 3.25]), kind, 2, "m")).toThrow(
      `m: output: got 3.25, expected probabilities in 0..1 as of a ${kind}; say that its numbers are logits`,
    );
    expect(probabilitiesOf(float32([2], [0, 1.0001]), kind, 2, "m")[1]).toBeCloseTo(1, 3);
  });

  test("takes a softmax of a hundred thousand logits", () => {
    const p = probabilitiesOf(float32([200_000], Array<number>(200_000).fill(1)), "logits", 200_000, "m");
    expect(p[7]).toBeCloseTo(1 / 200_000, 12);
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
