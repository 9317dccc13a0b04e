import type { Certificate } from "qdg";
import { describe, expect, test } from "vitest";
import { certificateRow } from "../../bench/parts/certificate.js";

type Result = Certificate["targets"][number];

const result: Result = {
  target: "cpu",
  runtime: "some runtime",
  file: "model.onnx",
  promise: { steps: 0, relative: 1e-5, predictions: 0 },
  tensors: 2,
  elements: 1000,
  histogram: [[0, 1000]],
  notFinite: 0,
  differing: [],
  firstDifference: null,
  outputs: [{ name: "y", relativeDifference: 1e-7 }],
  predictions: { compared: 5, differing: 0 },
  accuracy: [],
};

const certificate = {
  data: { inputs: 5 },
  reference: {
    tensors: [
      { name: "a", layer: "a", bits: 3, levelsUsed: 8 },
      { name: "b", layer: "b", bits: 3, levelsUsed: 3 },
    ],
    classesPredicted: { y: 4 },
  },
  exactness: [{ file: "model.onnx", layers: [{ exactness: "proven" }, { exactness: "measured" }] }],
} as unknown as Certificate;

const { reference } = certificate;

describe("the row of a certified target", () => {
  test("says what was compared, and how much of it is proven", () => {
    expect(certificateRow("net", result, certificate)).toMatchObject({
      name: "net on cpu",
      value: "0 of 1,000 differ; 0 of 5 predictions",
      reached: "yes",
      detail:
        "2 of 2 tensors alive, 2 compared; 4 classes predicted; 1 layers proven, 1 measured; logits 1.0e-7; 5 images; some runtime",
    });
  });

  test.each<readonly [string, Partial<Result>]>([
    [
      "an element that is off by a step",
      {
        histogram: [
          [0, 999],
          [1, 1],
        ],
      },
    ],
    ["an element that is no finite number", { histogram: [[0, 999]], notFinite: 1 }],
    ["a prediction", { predictions: { compared: 5, differing: 1 } }],
    ["no predictions at all", { predictions: null }],
    ["logits that are not finite", { outputs: [{ name: "y", relativeDifference: null }] }],
    ["a tensor that was not compared", { tensors: 1 }],
    ["nothing compared", { elements: 0, histogram: [] }],
  ])("is missed by %s", (_, change) => {
    expect(certificateRow("net", { ...result, ...change }, certificate).reached).toBe("no");
  });

  test("is missed by a network that is dead, equal as it may be", () => {
    const [a] = reference.tensors as [(typeof reference.tensors)[number]];
    const dead = { ...certificate, reference: { ...reference, tensors: [a, { ...a, levelsUsed: 2 }] } };
    expect(certificateRow("net", result, dead)).toMatchObject({
      reached: "no",
      detail: expect.stringContaining("1 of 2 tensors alive"),
    });
    const oneClass = { ...certificate, reference: { ...reference, classesPredicted: { y: 1 } } };
    expect(certificateRow("net", result, oneClass).reached).toBe("no");
  });
});
