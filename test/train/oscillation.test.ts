import { describe, expect, test } from "vitest";
import { Oscillation, OSCILLATING_ABOVE } from "../../src/train/oscillation.js";

function looksAt(oscillation: Oscillation, ...sequence: readonly (readonly number[])[]): void {
  for (const integers of sequence) oscillation.look([{ id: "w", integers }]);
}

const frequencyOf = (oscillation: Oscillation): number[] => [...(oscillation.state()["w"]?.frequency ?? [])];

describe("the oscillation of a weight", () => {
  // Looks at every step: momentum 0.01, as in the paper.
  test.each([
    ["that stays", [3, 3, 3, 3], 0],
    ["that goes one way", [0, 1, 2, 3], 0],
    ["that changes once", [0, 0, 1, 1], 0],
    ["that comes back", [0, 1, 0], 0.01],
    ["that comes back later", [0, 1, 1, 1, 0], 0.01],
    ["that comes back, then rests", [0, 1, 0, 0, 0], 0.01 * 0.99 ** 2],
    ["that flips at each look", [0, 1, 0, 1, 0], 0.01 * (1 + 0.99 + 0.99 ** 2)],
    ["that turns at a distance", [0, 2, 3, 2], 0.01],
  ])("%s", (_, integers, expected) => {
    const oscillation = new Oscillation(1);
    looksAt(oscillation, ...integers.map((integer) => [integer]));
    expect(frequencyOf(oscillation)[0]).toBeCloseTo(expected, 8);
  });

  test("is counted a step, so that rarer looks tell the same of a weight that flips rarely", () => {
    // Comes back once, then rests for 65 steps: below the threshold after 70 in the paper's counting.
    const often = new Oscillation(1);
    looksAt(often, [0], [1], [0], ...Array.from({ length: 65 }, () => [0]));
    const rarely = new Oscillation(5);
    looksAt(rarely, [0], [1], [0], ...Array.from({ length: 13 }, () => [0]));
    expect(frequencyOf(often)[0]).toBeGreaterThan(OSCILLATING_ABOVE);
    expect(frequencyOf(rarely)[0]).toBeCloseTo(frequencyOf(often)[0] as number, 3);
  });

  test("is reported as the share of elements above the threshold", () => {
    const oscillation = new Oscillation(1);
    looksAt(oscillation, [0, 0, 0, 0], [1, 1, 0, 0], [0, 2, 0, 0]);
    expect(oscillation.fractions()).toEqual({ w: 0.25 });
  });

  test("goes on from its state as if never stopped", () => {
    const sequence = [
      [0, 3],
      [1, 2],
      [0, 3],
      [1, 3],
      [1, 2],
      [0, 3],
    ];
    const whole = new Oscillation(2);
    looksAt(whole, ...sequence);
    for (let cut = 0; cut <= sequence.length; cut++) {
      const before = new Oscillation(2);
      looksAt(before, ...sequence.slice(0, cut));
      const after = new Oscillation(2);
      after.restore(before.state());
      looksAt(after, ...sequence.slice(cut));
      expect(after.state()).toEqual(whole.state());
    }
  });

  test("is of as many elements as before", () => {
    const oscillation = new Oscillation(1);
    looksAt(oscillation, [0, 1]);
    expect(() => looksAt(oscillation, [0])).toThrow(/w: got 1 integers, expected 2/);
  });
});
