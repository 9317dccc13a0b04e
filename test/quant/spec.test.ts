import { describe, expect, test } from "vitest";
import type { QuantSpec } from "../../src/quant/spec.js";
import { activationSpec, checkBits, checkParams, qmax, qmin, weightSpec } from "../../src/quant/spec.js";

const unsigned3: QuantSpec = activationSpec(3, "non-negative");
const asymmetric4: QuantSpec = activationSpec(4, "asymmetric");

const check = (spec: QuantSpec, scale: number[], zeroPoint: number[], channels: number) => () =>
  checkParams(
    spec,
    { scale: Float32Array.from(scale), zeroPoint: Int32Array.from(zeroPoint) },
    channels,
    "relu1",
  );

describe("the range of a spec", () => {
  test.each([
    [weightSpec(2, 0), -2, 1],
    [weightSpec(3, 0), -4, 3],
    [weightSpec(8, 0), -128, 127],
    [{ ...weightSpec(4, 0), narrowRange: true }, -7, 7],
    [unsigned3, 0, 7],
    [activationSpec(8, "non-negative"), 0, 255],
    [activationSpec(8, "signed"), -128, 127],
    [asymmetric4, 0, 15],
  ])("%j is %i..%i", (spec, low, high) => {
    expect([qmin(spec), qmax(spec)]).toEqual([low, high]);
  });

  test("only an asymmetric activation has a zero point of its own", () => {
    expect(unsigned3.symmetric).toBe(true);
    expect(activationSpec(4, "signed").symmetric).toBe(true);
    expect(asymmetric4).toMatchObject({ signed: false, symmetric: false });
  });
});

describe("checkBits", () => {
  test.each([2, 3, 8])("takes %f", (bits) => expect(() => checkBits(bits, "--bits")).not.toThrow());

  test.each([1, 0, 9, 2.5, -3, NaN, Infinity])("refuses %f and says what it expected", (bits) => {
    expect(() => checkBits(bits, "--bits")).toThrow(
      `--bits: bits: got ${bits}, expected an integer from 2 to 8 [invalid-quantization]`,
    );
  });
});

describe("checkParams", () => {
  test("takes zero points at both ends of the range", () => {
    expect(check(asymmetric4, [1, 2], [0, 15], 2)).not.toThrow();
  });

  test.each([
    ["a scale of 0", unsigned3, [0], [0], 1, "scale[0]: got 0"],
    ["a negative scale", unsigned3, [1, -2], [0, 0], 2, "scale[1]: got -2"],
    ["an infinite scale", unsigned3, [Infinity], [0], 1, "scale[0]: got Infinity"],
    ["a scale that is not a number", unsigned3, [NaN], [0], 1, "scale[0]: got NaN"],
    ["too few scales", unsigned3, [1], [0], 2, "got 1 scales, expected 2"],
    ["too many zero points", unsigned3, [1], [0, 0], 1, "got 2 zero points, expected 1"],
    ["a zero point where there is none", unsigned3, [1], [1], 1, "zeroPoint[0]: got 1, expected 0"],
    ["a zero point above the range", asymmetric4, [1], [16], 1, "zeroPoint[0]: got 16, expected 0..15"],
    ["a zero point below the range", asymmetric4, [1], [-1], 1, "zeroPoint[0]: got -1, expected 0..15"],
  ] as const)("refuses %s", (_, spec, scale, zeroPoint, channels, message) => {
    expect(check(spec, [...scale], [...zeroPoint], channels)).toThrow(`relu1: ${message}`);
  });
});
