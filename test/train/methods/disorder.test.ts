import { describe, expect, test } from "vitest";
import { DisorderRecorder, freeze, thresholdValue } from "../../../src/train/methods/disorder.js";
import { StateReader, StateWriter } from "../../../src/train/methods/method-state.js";

/** The disorder of one scale whose gradients these are. */
function disorderOf(gradients: readonly number[]): { disorder: number; seen: boolean } {
  const recorder = new DisorderRecorder(1, gradients.length);
  const full = gradients.map((g) => recorder.record(Float32Array.of(g)));
  expect(full).toEqual(gradients.map((_, i) => i === gradients.length - 1));
  const { disorder, seen } = recorder.take();
  return { disorder: disorder[0] as number, seen: seen[0] as boolean };
}

function sum(list: readonly number[]): number {
  return list.reduce((a, b) => a + b, 0);
}

describe("disorder", () => {
  test.each([
    ["of one direction is 0", [1, 2, 0.5, 3], 0],
    ["of the other direction is 0", [-1, -2, -0.5], 0],
    ["of a change at every step is 1", [1, -1, 1, -1, 1], 1],
    ["of one change in three pairs is a third", [1, 1, -1, -1], 1 / 3],
    ["of two changes in four pairs is a half", [-1, 2, 3, -4, -5], 0.5],
    ["looks at signs, not sizes", [1e-30, -1e30, -1e-30, -1], 1 / 3],
    ["takes a 0 for the sign before it", [1, 0, 1, 0, 1], 0],
    ["sees a change across zeros once", [1, 0, 0, -1, 0], 0.25],
    ["has no sign before the first that is not 0", [0, 0, -1, -1, -1], 0],
    ["takes -0 for 0", [1, -0, 1], 0],
    ["of the shortest window is 0 or 1", [1, -1], 1],
  ])("%s", (_, gradients, expected) => {
    expect(disorderOf(gradients)).toEqual({ disorder: expected, seen: true });
  });

  test("of nothing but zeros is 0, and not seen", () => {
    expect(disorderOf([0, 0, -0])).toEqual({ disorder: 0, seen: false });
  });

  test("with a fading memory weighs a pair by 1 - 1/K to the power of its age, and never ends", () => {
    const recorder = new DisorderRecorder(1, 4, "fading");
    const signs = [1, -1, -1, 1, 1, 1, -1, -1];
    const isFull = signs.map((g) => recorder.record(Float32Array.of(g)));
    expect(isFull).toEqual([false, false, false, true, true, true, true, true]);
    const changes = signs.slice(1).map((g, i) => (g === signs[i] ? 0 : 1));
    const weights = changes.map((_, i) => 0.75 ** (changes.length - 1 - i));
    const expected = sum(changes.map((one, i) => one * (weights[i] as number))) / sum(weights);
    expect(recorder.get().disorder[0]).toBeCloseTo(expected, 6);
  });

  test("does not count a change across two windows", () => {
    const recorder = new DisorderRecorder(1, 2);
    for (const g of [1, 1]) recorder.record(Float32Array.of(g));
    recorder.take();
    for (const g of [-1, -1]) recorder.record(Float32Array.of(g));
    expect(recorder.take().disorder).toEqual([0]);
  });

  test("keeps scales apart", () => {
    const recorder = new DisorderRecorder(3, 3);
    for (const g of [
      [1, 1, 1],
      [1, -1, 1],
      [1, 1, -1],
    ])
      recorder.record(Float32Array.from(g));
    expect(recorder.take().disorder).toEqual([0, 1, 0.5]);
  });

  test("goes on from the middle of a window", () => {
    const first = new DisorderRecorder(2, 4);
    for (const g of [
      [1, 1],
      [-1, 0],
    ])
      first.record(Float32Array.from(g));
    const writer = new StateWriter();
    first.save("d", writer);
    const second = new DisorderRecorder(2, 4);
    second.load("d", new StateReader(writer.state()));
    expect(second.recorded).toBe(2);
    expect(second.record(Float32Array.of(1, -1))).toBe(false);
    expect(second.record(Float32Array.of(1, -1))).toBe(true);
    expect(second.take().disorder).toEqual([2 / 3, 1 / 3]);
  });

  test("refuses the state of another window", () => {
    const writer = new StateWriter();
    new DisorderRecorder(2, 4).save("d", writer);
    const other = new DisorderRecorder(2, 5);
    expect(() => other.load("d", new StateReader(writer.state()))).toThrow(
      expect.objectContaining({ code: "invalid-data" }),
    );
  });

  test("refuses a step more than the window has, and gradients of other scales", () => {
    const recorder = new DisorderRecorder(1, 2);
    expect(() => recorder.record(new Float32Array(2))).toThrow(expect.objectContaining({ code: "internal" }));
    recorder.record(Float32Array.of(1));
    recorder.record(Float32Array.of(1));
    expect(() => recorder.record(Float32Array.of(1))).toThrow(expect.objectContaining({ code: "internal" }));
  });
});

describe("freezing", () => {
  const each = [0, 1, 2, 3];
  const all = [true, true, true, true];
  const disorder = [0.1, 0.3, 0.45, 0.6];
  const rule = { window: 26, frozenSide: "below", threshold: 0.3, thresholdMode: "value" } as const;

  test.each([
    ["takes what is strictly below the value", { ...rule }, [1, 0, 0, 0]],
    ["takes nothing at value 0", { ...rule, threshold: 0 }, [0, 0, 0, 0]],
    ["takes all below value 1", { ...rule, threshold: 1 }, [1, 1, 1, 1]],
    // 0.5 - 2 * 0.5 / 5 = 0.3, but for the last bit.
    [
      "takes what is 3 deviations below a coin",
      { ...rule, thresholdMode: "margin", threshold: 3 },
      [1, 0, 0, 0],
    ],
    [
      "takes what is 1 deviation below a coin",
      { ...rule, thresholdMode: "margin", threshold: 1 },
      [1, 1, 0, 0],
    ],
    [
      "takes the lower half by quantile",
      { ...rule, thresholdMode: "quantile", threshold: 0.5 },
      [1, 1, 0, 0],
    ],
    [
      "takes at most the part asked for",
      { ...rule, thresholdMode: "quantile", threshold: 0.74 },
      [1, 1, 0, 0],
    ],
    ["takes none at quantile 0", { ...rule, thresholdMode: "quantile", threshold: 0 }, [0, 0, 0, 0]],
    ["takes all at quantile 1", { ...rule, thresholdMode: "quantile", threshold: 1 }, [1, 1, 1, 1]],
    [
      "takes what is strictly above the value",
      { ...rule, frozenSide: "above", threshold: disorder[2] as number },
      [0, 0, 0, 1],
    ],
    [
      "takes the upper half by quantile",
      { ...rule, frozenSide: "above", thresholdMode: "quantile", threshold: 0.5 },
      [0, 0, 1, 1],
    ],
    [
      "takes all above quantile 1",
      { ...rule, frozenSide: "above", thresholdMode: "quantile", threshold: 1 },
      [1, 1, 1, 1],
    ],
    [
      "takes what is 1 deviation above a coin, 0.6",
      { ...rule, frozenSide: "above", thresholdMode: "margin", threshold: 1 },
      disorder.map((one) => (one > 0.6 ? 1 : 0)),
    ],
  ] as const)("%s", (_, freezing, expected) => {
    expect([...freeze({ disorder, seen: all }, each, freezing)]).toEqual(expected);
  });

  test("has a margin that narrows with the root of the window", () => {
    expect(
      thresholdValue([], { window: 5, threshold: 1, thresholdMode: "margin", frozenSide: "below" }),
    ).toBeCloseTo(0.25, 12);
    expect(
      thresholdValue([], { window: 101, threshold: 1, thresholdMode: "margin", frozenSide: "below" }),
    ).toBeCloseTo(0.45, 12);
  });

  test("never takes a scale without a gradient, nor counts it for its layer or the quantile", () => {
    const found = { disorder: [0, 0.2, 0.9, 0], seen: [false, true, true, false] };
    expect([...freeze(found, each, rule)]).toEqual([0, 1, 0, 0]);
    expect([...freeze(found, [0, 0, 1, 1], rule)]).toEqual([0, 1, 0, 0]);
    const half = { ...rule, thresholdMode: "quantile", threshold: 0.5 } as const;
    expect([...freeze(found, each, half)]).toEqual([0, 1, 0, 0]);
  });

  test("takes a layer by the mean of its scales", () => {
    expect([...freeze({ disorder, seen: all }, [0, 0, 1, 1], rule)]).toEqual([1, 1, 0, 0]);
    expect([...freeze({ disorder, seen: all }, [0, 1, 1, 0], rule)]).toEqual([0, 0, 0, 0]);
  });

  test("takes less than the quantile where disorders are equal", () => {
    const half = { ...rule, thresholdMode: "quantile", threshold: 0.5 } as const;
    expect([...freeze({ disorder: [0.2, 0.4, 0.4, 0.4], seen: all }, each, half)]).toEqual([1, 0, 0, 0]);
  });
});
