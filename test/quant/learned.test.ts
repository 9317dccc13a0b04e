import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { LearnedQuantizer } from "../../src/quant/learned.js";
import { bitsLearned, learnedAtBits, withStatistics } from "../../src/quant/learned-bits.js";
import { learnedQuantization, learnedToJson, parseLearned } from "../../src/quant/learned.js";
import { qmax, qmin } from "../../src/quant/spec.js";
import { anyBits } from "../support/arbitrary.js";

const valid = (quantizer: Record<string, unknown> = {}) => ({
  qdg: {
    version: 1,
    quantizers: { relu1: { bits: 3, signed: false, scale: [0.25], ...quantizer } },
  },
});

const anyScales = fc
  .array(fc.float({ min: Math.fround(1e-30), max: Math.fround(1e30), noNaN: true }), {
    minLength: 1,
    maxLength: 6,
  })
  .map((scales) => Float32Array.from(scales));

const anyLearned: fc.Arbitrary<LearnedQuantizer> = fc
  .tuple(anyBits, fc.boolean(), anyScales, fc.option(fc.nat({ max: 1000 })))
  .map(([bits, signed, scale, seed]) => {
    if (seed === null) return { bits, signed, scale };
    const spec = { bits, signed, symmetric: false, narrowRange: false, axis: null };
    const zeroPoint = Int32Array.from(
      scale,
      (_, k) => qmin(spec) + ((seed * (k + 1)) % (qmax(spec) - qmin(spec) + 1)),
    );
    return { bits, signed, scale, zeroPoint };
  });

function byBits(each: object): { qdg: object } {
  return { qdg: { version: 2, byBits: each } };
}

describe("learned scales", () => {
  test("come back from JSON bit by bit", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            fc.oneof(fc.string(), fc.constantFrom("__proto__", "constructor", "a/kernel")),
            anyLearned,
          ),
        ),
        fc.option(fc.array(fc.string()), { nil: undefined }),
        (entries, labels) => {
          const learned = { quantizers: new Map(entries), ...(labels ? { labels } : {}) };
          const text = JSON.stringify({ qdg: learnedToJson(learned), other: { tool: "x" } });
          expect(parseLearned(JSON.parse(text))).toEqual(learned);
        },
      ),
    );
  });

  test("for several bits come back from JSON bit by bit, statistics too", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            fc.integer({ min: 2, max: 8 }),
            anyLearned,
            fc.float({ noNaN: true, noDefaultInfinity: true }),
          ),
          {
            minLength: 1,
          },
        ),
        (entries) => {
          const several = new Map(
            entries.map(([bits, quantizer, statistic]) => [
              bits,
              {
                quantizers: new Map([["a/kernel", quantizer]]),
                statistics: new Map([["a/mean", Float32Array.of(statistic + 0)]]),
              },
            ]),
          );
          const learned = { quantizers: new Map<string, LearnedQuantizer>(), byBits: several };
          expect(parseLearned(JSON.parse(JSON.stringify({ qdg: learnedToJson(learned) })))).toEqual(learned);
          expect(bitsLearned(learned)).toEqual([...several.keys()].sort((a, b) => a - b));
          for (const [bits, { quantizers, statistics }] of several) {
            expect(learnedAtBits(learned, bits, "--bits")).toEqual({
              learned: { quantizers, chosenBits: bits },
              statistics,
            });
          }
        },
      ),
    );
  });

  test("for several bits are not to be had for others, or where nobody says which", () => {
    const several = new Map([2, 4].map((bits) => [bits, { quantizers: new Map(), statistics: new Map() }]));
    const learned = { quantizers: new Map(), byBits: several };
    expect(() => learnedAtBits(learned, 3, "--bits")).toThrow("--bits: got 3, expected one of 2, 4:");
    expect(() => learnedAtBits(learned, undefined, "--bits")).toThrow(
      "--bits: got none, expected one of 2, 4:",
    );
    expect(bitsLearned({ quantizers: new Map() })).toEqual([]);
  });

  test("statistics take the place of weights of their name and length, and of no others", () => {
    const weight = { dtype: "float32", shape: [2], data: Float32Array.of(1, 2) } as const;
    const weights = new Map([["bn/mean", weight]]);
    const own = Float32Array.of(3, 4);
    expect(withStatistics(weights, new Map([["bn/mean", own]]))).toEqual(
      new Map([["bn/mean", { ...weight, data: own }]]),
    );
    expect(weights.get("bn/mean")).toBe(weight);
    expect(() => withStatistics(weights, new Map([["bn/mean", Float32Array.of(1)]]))).toThrow(
      /got 1 statistics, expected 2/,
    );
    expect(() => withStatistics(weights, new Map([["x", own]]))).toThrow(
      /x: got 2 statistics, expected none/,
    );
  });

  test("pass preprocessing on as it is", () => {
    const metadata = valid();
    const parsed = parseLearned({ qdg: { ...metadata.qdg, preprocessing: { range: [-1, 1] } } });
    expect(parsed?.preprocessing).toEqual({ range: [-1, 1] });
  });

  test.each([
    ["no metadata", undefined],
    ["null", null],
    ["somebody else's metadata", { tool: "x" }],
    ["metadata of another kind", "text"],
  ])("are absent from %s", (_, metadata) => expect(parseLearned(metadata)).toBeNull());

  test.each([
    ["another version", { qdg: { ...valid().qdg, version: 3 } }, "version: got 3, expected 1 or 2"],
    ["no version", { qdg: { quantizers: {} } }, "version: got none, expected 1"],
    ["a version as text", { qdg: { version: "1", quantizers: {} } }, 'version: got "1", expected 1'],
    ["no quantizers", { qdg: { version: 1 } }, "quantizers: got nothing, expected an object"],
    ["a list of quantizers", { qdg: { version: 1, quantizers: [] } }, "expected an object"],
    ["an unknown key", { qdg: { ...valid().qdg, scales: {} } }, 'unknown key "scales"'],
    [
      "scales for several bits under version 1",
      { qdg: { ...valid().qdg, byBits: {} } },
      'unknown key "byBits"',
    ],
    ["scales for one under version 2", { qdg: { ...valid().qdg, version: 2 } }, 'unknown key "quantizers"'],
    ["several bits of which there are none", byBits({}), "byBits: got no bits"],
    ["1 bit among several", byBits({ 1: {} }), 'byBits["1"]: bits: got 1'],
    ["bits that are no number", byBits({ few: {} }), 'byBits["few"]: bits: got NaN'],
    ["no statistics", byBits({ 3: { quantizers: {} } }), 'byBits["3"].statistics: got nothing'],
    [
      "a statistic that no float32 is",
      byBits({ 3: { quantizers: {}, statistics: { "bn/mean": [0.5, 0.1] } } }),
      'byBits["3"].statistics["bn/mean"][1]: got 0.1, expected a finite float32',
    ],
    [
      "a scale of 0 at some bits",
      byBits({ 3: { quantizers: valid({ scale: [0] }).qdg.quantizers, statistics: {} } }),
      'byBits["3"].quantizers["relu1"].scale[0]: got 0',
    ],
    ["an unknown key of a quantizer", valid({ zeropoint: [0] }), 'unknown key "zeropoint"'],
    ["labels that are no strings", { qdg: { ...valid().qdg, labels: ["a", 1] } }, "labels: got a list with"],
    ["bits out of range", valid({ bits: 9 }), "bits: got 9, expected an integer from 2 to 8"],
    ["bits as text", valid({ bits: "3" }), "bits: got a string, expected a number"],
    ["no sign", valid({ signed: undefined }), "signed: got nothing, expected true or false"],
    ["no scale", valid({ scale: [] }), "scale: got no scales"],
    ["a scale that is no list", valid({ scale: 0.25 }), "scale: got a number, expected a list of numbers"],
    ["a scale of 0", valid({ scale: [0] }), "scale[0]: got 0, expected a finite number > 0"],
    ["a negative scale", valid({ scale: [1, -0.5] }), "scale[1]: got -0.5"],
    ["a scale that overflows float32", valid({ scale: [1e300] }), "which no float32 is"],
    ["a scale that underflows float32", valid({ scale: [1e-60] }), "which no float32 is"],
    [
      "null for a scale, as JSON writes NaN",
      valid({ scale: [null] }),
      "scale: got a list with something else",
    ],
    [
      "a scale that no float32 is",
      valid({ scale: [0.1] }),
      "0.1, which no float32 is (nearest: 0.10000000149011612)",
    ],
    ["a zero point out of range", valid({ zeroPoint: [8] }), "zeroPoint[0]: got 8, expected 0..7"],
    ["a zero point that would wrap", valid({ zeroPoint: [2 ** 32 + 1] }), "zeroPoint[0]: got 4294967297"],
    ["a zero point between integers", valid({ zeroPoint: [0.5] }), "zeroPoint[0]: got 0.5"],
    ["too many zero points", valid({ zeroPoint: [1, 1] }), "got 2 zero points, expected 1"],
  ])("refuse %s and say where", (_, metadata, message) => {
    expect(() => parseLearned(metadata)).toThrow(message);
    expect(() => parseLearned(metadata)).toThrow(/^userDefinedMetadata\.qdg.*\[invalid-quantization\]$/);
  });

  test("name the quantizer at fault", () => {
    expect(() => parseLearned(valid({ scale: [-1] }))).toThrow('quantizers["relu1"].scale[0]');
  });
});

describe("a learned quantizer", () => {
  const perChannel: LearnedQuantizer = { bits: 3, signed: true, scale: Float32Array.of(1, 2, 3) };

  test("becomes a quantization along the axis of its value", () => {
    expect(learnedQuantization(perChannel, 0, 3, "conv1/kernel")).toEqual({
      spec: { bits: 3, signed: true, symmetric: true, narrowRange: false, axis: 0 },
      params: { scale: Float32Array.of(1, 2, 3), zeroPoint: new Int32Array(3) },
    });
  });

  test("of one scale holds for the whole value", () => {
    const single: LearnedQuantizer = {
      ...perChannel,
      scale: Float32Array.of(2),
      zeroPoint: Int32Array.of(-1),
    };
    for (const axis of [0, null]) {
      expect(learnedQuantization(single, axis, 7, "x")).toEqual({
        spec: { bits: 3, signed: true, symmetric: false, narrowRange: false, axis: null },
        params: { scale: Float32Array.of(2), zeroPoint: Int32Array.of(-1) },
      });
    }
  });

  test.each([
    [0, 4, "got 3 scales, expected 4"],
    [null, 3, "got 3 scales, expected 1"],
    [null, 1, "got 3 scales, expected 1"],
  ])("of another length than axis %s has is refused", (axis, channels, message) => {
    expect(() => learnedQuantization(perChannel, axis, channels, "relu1")).toThrow(`relu1: ${message}`);
  });
});
