import { describe, expect, test } from "vitest";
import type { Schedule } from "../../../src/train/optimizer/schedule.js";
import { type Cycles, cyclicPart, fineTuningStart, isLowPoint } from "../../../src/train/optimizer/cycles.js";
import { learningRateAt } from "../../../src/train/optimizer/schedule.js";

const constant: Schedule = { name: "constant", learningRate: 0.1, steps: 100, warmup: 0 };
const wsd: Schedule = { ...constant, name: "wsd", cooldown: 0.25 };
const cosine: Schedule = { ...constant, name: "cosine" };

const cyclic: Schedule = {
  ...constant,
  name: "cyclic",
  cycles: { steps: 100, from: 20, cycles: 3, fineTuning: 0.25 },
};

describe("the cycles of sqwa", () => {
  test("are of one length but for a step, and end at their low points", () => {
    const { cycles } = cyclic as { cycles: Cycles };
    const low = Array.from({ length: 100 }, (_, step) => step).filter((step) => isLowPoint(cycles, step));
    expect(low).toEqual([39, 59, 79]);
    expect(fineTuningStart(cycles)).toBe(80);
    for (const step of low) expect(cyclicPart(cycles, step)).toBeCloseTo(0.1, 12);
    for (const step of [0, 20, 40, 60]) expect(cyclicPart(cycles, step)).toBeCloseTo(1, 12);
  });

  test.each([
    [30, 0, 7, 0.2],
    [12, 3, 9, 0],
    [5, 0, 1, 0.9],
    [7, 1, 6, 0],
  ])(
    "of %i steps from %i on are %i in number, with %f of them to fine-tune",
    (steps, from, cycles, fineTuning) => {
      const plan = { steps, from, cycles, fineTuning };
      const all = Array.from({ length: steps }, (_, step) => step);
      expect(all.filter((step) => isLowPoint(plan, step))).toHaveLength(cycles);
      for (const step of all) {
        const part = cyclicPart(plan, step);
        expect(part).toBeGreaterThanOrEqual(0);
        expect(part).toBeLessThanOrEqual(1);
      }
    },
  );
});

describe("learningRateAt", () => {
  test.each([
    ["is constant at the beginning", constant, 0, 0.1],
    ["is constant at the end", constant, 99, 0.1],
    ["begins a cosine at the full rate", cosine, 0, 0.1],
    ["is at half the rate half way down a cosine", cosine, 50, 0.05],
    ["is at (1 + cos 45 deg) / 2 after a quarter", cosine, 25, 0.0853553390593274],
    ["ends a cosine at 0", cosine, 100, 0],
    ["stays at 0 past the end", cosine, 130, 0],
    ["warms up from one part of the rate, not from 0", { ...cosine, warmup: 10 }, 0, 0.01],
    ["warms up linearly", { ...cosine, warmup: 10 }, 4, 0.05],
    ["is at the full rate with the last step of the warm-up", { ...cosine, warmup: 10 }, 9, 0.1],
    ["begins the cosine after the warm-up", { ...cosine, warmup: 10 }, 10, 0.1],
    ["has the middle of the cosine between warm-up and end", { ...cosine, warmup: 10 }, 55, 0.05],
    ["is constant until a cooldown", wsd, 75, 0.1],
    ["cools down by the root of the part that is over", wsd, 79, 0.06],
    ["is at half the rate a quarter into the cooldown", { ...wsd, cooldown: 0.4 }, 70, 0.05],
    ["ends a cooldown at 0", wsd, 100, 0],
    ["has a cooldown of a fifth unless told otherwise", { ...constant, name: "wsd" as const }, 85, 0.05],
    ["has a cooldown of a step at least", { ...wsd, cooldown: 1e-9 }, 99, 0.1],
    ["warms up before it cools down", { ...wsd, warmup: 80 }, 79, 0.1],
    ["is constant before the first cycle", cyclic, 19, 0.1],
    ["goes down in each cycle", cyclic, 59, 0.01],
    ["begins the next one at the full rate", cyclic, 60, 0.1],
    ["fine-tunes from the low rate", cyclic, 80, 0.01],
    ["is at half of it half way through", cyclic, 90, 0.005],
    ["ends fine-tuning at 0", cyclic, 100, 0],
    ["warms up to a constant", { ...constant, warmup: 4 }, 1, 0.05],
  ])("%s", (_, schedule, step, expected) => {
    expect(learningRateAt(schedule, step)).toBeCloseTo(expected, 12);
  });

  test.each([
    ["learningRate", { ...constant, learningRate: 0 }],
    ["learningRate", { ...constant, learningRate: Number.NaN }],
    ["steps", { ...constant, steps: 0 }],
    ["steps", { ...constant, steps: 1.5 }],
    ["warmup", { ...constant, warmup: -1 }],
    ["warmup", { ...constant, warmup: 100 }],
    ["cooldown", { ...wsd, cooldown: 0 }],
    ["cooldown", { ...wsd, cooldown: 1.5 }],
  ])("names %s when it is out of its range", (name, schedule) => {
    expect(() => learningRateAt(schedule, 0)).toThrow(
      expect.objectContaining({ code: "usage", where: name }),
    );
  });
});
