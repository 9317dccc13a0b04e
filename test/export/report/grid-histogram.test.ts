import { expect, test } from "vitest";
import { GridCounts } from "../../../src/export/report/grid-histogram.js";
import { activationSpec, weightSpec } from "../../../src/quant/spec.js";

test("before anything was added there is nothing to show", () => {
  expect(new GridCounts(weightSpec(4, 0)).shares()).toBeNull();
});

test("a value counts for its nearest integer, and beyond the ends as cut off and for the end", () => {
  const counts = new GridCounts(weightSpec(2, 0));
  for (const position of [-2.6, -2.4, -1, 0, 0, 0.4, 1.4, 9]) counts.add(position);
  const shares = counts.shares();
  // -2, -1, 0, 1.
  expect(shares?.integers).toEqual([0.25, 0.125, 0.375, 0.25]);
  expect([shares?.below, shares?.above]).toEqual([0.125, 0.125]);
  // Sixteen bins a step: -2.4 is in the second bin from -2.5, 0 in the ninth of its own step.
  const bins = shares?.real ?? [];
  expect(bins).toHaveLength(64);
  expect([bins[1], bins[16 + 8], bins[32 + 8]]).toEqual([0.125, 0.125, 0.25]);
});

test("an integer that was chosen counts, whatever the nearest is", () => {
  const counts = new GridCounts(weightSpec(2, 0));
  counts.add(0.2, 1);
  expect(counts.shares()?.integers).toEqual([0, 0, 0, 1]);
});

test("of eight bits four integers share a bin", () => {
  const counts = new GridCounts(activationSpec(8, "non-negative"));
  for (const position of [0, 3, 4, 255]) counts.add(position);
  const { integers = [], real = [] } = counts.shares() ?? {};
  expect(integers).toHaveLength(64);
  for (const shares of [integers, real])
    expect([shares[0], shares[1], shares[63]]).toEqual([0.5, 0.25, 0.25]);
});
