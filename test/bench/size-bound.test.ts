import { expect, test } from "vitest";
import { payloadBytes, sizeBound } from "../../bench/size-bound.js";

const layer = { bits: 3, weights: 800, biases: 10, weightScales: 10 };

test("a layer takes its bits a weight and four bytes a bias and a scale", () => {
  expect(payloadBytes([layer])).toBe(300 + 40 + 40);
  expect(payloadBytes([{ ...layer, bits: 8 }])).toBe(800 + 80);
});

test("bits that do not fill a byte count as parts of one", () => {
  expect(payloadBytes([{ bits: 3, weights: 3, biases: 0, weightScales: 0 }])).toBe(9 / 8);
});

test("layers add up, each at its own bits", () => {
  expect(payloadBytes([layer, { ...layer, bits: 8 }])).toBe(380 + 880);
});

test("the bound is three percent over the numbers, and 40 kB of 1000 bytes", () => {
  expect(sizeBound([])).toBe(40_000);
  expect(sizeBound([{ bits: 8, weights: 1_000_000, biases: 0, weightScales: 0 }])).toBe(1_070_000);
});
