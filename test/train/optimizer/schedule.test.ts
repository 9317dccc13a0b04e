import { describe, expect, test } from "vitest";
import type { Schedule } from "../../../src/train/optimizer/schedule.js";
import { learningRateAt } from "../../../src/train/optimizer/schedule.js";

const constant: Schedule = { name: "constant", learningRate: 0.1, steps: 100, warmup: 0 };
const wsd: Schedule = { ...constant, name: "wsd", cooldown: 0.25 };
const cosine: Schedule = { ...constant, name: "cosine" };

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
