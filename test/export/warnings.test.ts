// What an export says although it succeeded: table.

import { expect, test } from "vitest";
import type { FileVerification, Verified } from "../../src/export/verify-file.js";
import { warningsOf } from "../../src/export/warnings.js";

const SAME: Verified = {
  samples: 2,
  source: "held-out",
  tensors: 9,
  integers: 5000,
  ties: 0,
  tieLayers: [],
};

function said(
  adjusted: Readonly<Record<string, number>>,
  unsignedWeights: readonly string[] = [],
  verification: FileVerification = SAME,
): string[] {
  const lowered = {
    adjusted: new Map(Object.entries(adjusted)),
    wideSums: new Map(),
    realBeforeQuantizer: [],
    unsignedWeights,
  };
  // The same layers in both files: one line nevertheless.
  const files = (["integer", "webgpu"] as const).map((form) => ({ form, lowered }));
  return warningsOf("calibrated", [], null, files, verification);
}

test("dead channels of all layers are one line, which counts them and names the first three layers", () => {
  expect(said({})).toEqual([]);
  expect(said({ conv1: 1 })).toEqual([
    "1 dead channel holds its bias at a wider scale, in 1 layer: conv1 (1)",
  ]);
  expect(said({ a: 5, b: 1, c: 2, d: 7, e: 1 })).toEqual([
    "16 dead channels hold their bias at a wider scale, in 5 layers: a (5), b (1), c (2) and 2 more",
  ]);
});

test("layers with unsigned weights are one line, which names the first twelve and counts the rest", () => {
  expect(said({}, ["conv1", "conv2"])).toEqual([expect.stringMatching(/^conv1, conv2: 8-bit weights/)]);
  const many = Array.from({ length: 14 }, (_, i) => `l${i}`);
  expect(said({}, many)).toEqual([expect.stringMatching(/^l0, .*, l11 and 2 more: 8-bit weights/)]);
});

test("ties are one line, which counts them and names the first three layers", () => {
  const tieLayers = ["softmax", "norm1", "norm2", "norm3"];
  expect(said({}, [], { ...SAME, ties: 7, tieLayers })).toEqual([
    expect.stringMatching(
      /^softmax, norm1, norm2 and 1 more: 7 of 5000 integers are one step from the reference's on cpu/,
    ),
  ]);
  expect(said({}, [], { skipped: "--no-verify" })).toEqual([]);
});
