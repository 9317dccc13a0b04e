import { describe, expect, test } from "vitest";
import type { MethodOptions } from "../../../src/train/methods/method-options.js";
import { methodSettings } from "../../../src/train/methods/method-options.js";

describe("methodSettings", () => {
  test("has the defaults that are documented", () => {
    expect(methodSettings({ steps: 5000 })).toEqual({
      steps: 5000,
      rho: 0.05,
      alpha: 0.001,
      perturbScales: true,
      window: 350,
      threshold: 0.3,
      thresholdMode: "value",
      frozenPart: "task",
      frozenSide: "below",
      measure: "task",
      decision: "window",
      opposing: "mean",
      granularity: "scale",
      plainSteps: 0,
      quantizeFrom: 2000,
      cycles: 5,
      fineTuning: 0.2,
      l1Weight: 1e-4,
      l1Start: 2500,
      safWeight: 0.3,
      safEpochs: 1,
      safTemperature: 5,
      bitSet: [2, 3, 4, 5, 6, 7, 8],
      guidance: "next",
      seed: 0,
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
      weightDecay: 0,
      scaleRate: 1,
      clipNorm: null,
    });
  });

  test.each([
    [5000, 350],
    [3500, 350],
    [3499, 349],
    [700, 70],
    [25, 2],
    [1, 2],
  ])("measures a run of %i steps by windows of %i", (steps, window) => {
    expect(methodSettings({ steps }).window).toBe(window);
  });

  test("has a default threshold for each mode", () => {
    const modes = ["value", "margin", "quantile"] as const;
    const thresholds = modes.map((thresholdMode) => methodSettings({ steps: 10, thresholdMode }).threshold);
    expect(thresholds).toEqual([0.3, 2, 0.3]);
  });

  test("takes undefined for absent, and every value that is given", () => {
    const given = {
      steps: 100,
      rho: 0.1,
      alpha: 0,
      perturbScales: false,
      window: 100,
      threshold: 4,
      thresholdMode: "margin",
      frozenPart: "both",
      frozenSide: "above",
      measure: "cosine",
      decision: "step",
      opposing: "project",
      granularity: "layer",
      plainSteps: 20,
      quantizeFrom: 100,
      cycles: 3,
      fineTuning: 0.5,
      l1Weight: 0.5,
      l1Start: 0,
      safWeight: 0,
      safEpochs: 3,
      safTemperature: 2,
      bitSet: [3, 8],
      guidance: "most",
      seed: 7,
      beta1: 0,
      beta2: 0.5,
      epsilon: 1e-7,
      weightDecay: 1e-4,
      scaleRate: 0.1,
      clipNorm: 1,
    } as const;
    expect(methodSettings(given)).toEqual(given);
    expect(methodSettings({ steps: 100, rho: undefined, clipNorm: undefined })).toEqual(
      methodSettings({ steps: 100 }),
    );
  });

  test.each([
    ["steps", { steps: 0 }],
    ["steps", { steps: 1.5 }],
    ["steps", { steps: "100" as never }],
    ["rho", { rho: 0 }],
    ["rho", { rho: -0.05 }],
    ["rho", { rho: Number.POSITIVE_INFINITY }],
    ["rho", { rho: "0.05" as never }],
    ["alpha", { alpha: -0.001 }],
    ["alpha", { alpha: Number.NaN }],
    ["perturbScales", { perturbScales: "yes" as never }],
    ["window", { window: 1 }],
    ["window", { window: 101 }],
    ["window", { window: 10.5 }],
    ["threshold", { threshold: -0.1 }],
    ["threshold", { threshold: 1.1 }],
    ["threshold", { threshold: 101, thresholdMode: "margin" }],
    ["threshold", { threshold: 2, thresholdMode: "quantile" }],
    ["thresholdMode", { thresholdMode: "median" as never }],
    ["frozenPart", { frozenPart: "all" as never }],
    ["measure", { measure: "both" as never }],
    ["frozenSide", { frozenSide: "beside" as never }],
    ["decision", { decision: "epoch" as never }],
    ["opposing", { opposing: "drop" as never }],
    ["granularity", { granularity: "channel" as never }],
    ["quantizeFrom", { quantizeFrom: -1 }],
    ["cycles", { cycles: 0 }],
    ["fineTuning", { fineTuning: 1 }],
    ["quantizeFrom", { quantizeFrom: 101 }],
    ["l1Weight", { l1Weight: -0.1 }],
    ["l1Start", { l1Start: 101 }],
    ["safWeight", { safWeight: -1 }],
    ["safEpochs", { safEpochs: 0 }],
    ["safTemperature", { safTemperature: 0 }],
    ["bitSet", { bitSet: [4] }],
    ["bitSet", { bitSet: [4, 4] }],
    ["bitSet", { bitSet: [8, 2] }],
    ["bitSet", { bitSet: [2, 9] }],
    ["guidance", { guidance: "all" as "most" }],
    ["seed", { seed: -1 }],
    ["beta1", { beta1: 1 }],
    ["beta2", { beta2: -0.1 }],
    ["epsilon", { epsilon: 0 }],
    ["weightDecay", { weightDecay: -1 }],
    ["scaleRate", { scaleRate: 0 }],
    ["clipNorm", { clipNorm: 0 }],
  ] satisfies [string, Partial<MethodOptions>][])("refuses %s out of its range: %j", (name, options) => {
    expect(() => methodSettings({ steps: 100, ...options })).toThrow(
      expect.objectContaining({ code: "usage", where: name }),
    );
  });
});
