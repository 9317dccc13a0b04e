// What a file says of itself: written and read back, and everything that is damaged.

import { describe, expect, test } from "vitest";
import { QdgError } from "../../src/base/error.js";
import { rangePreprocessing } from "../../src/image/preprocessing.js";
import { type OnnxMetadata, readOnnxMetadata, writeOnnxMetadata } from "../../src/model/onnx-metadata.js";

const NOTHING: OnnxMetadata = {
  version: null,
  source: null,
  layout: null,
  preprocessing: null,
  labels: null,
  outputs: null,
  bits: null,
  scales: null,
  form: null,
  quantized: null,
  learned: null,
};

const ALL: OnnxMetadata = {
  version: "1.2.3",
  source: "ab".repeat(32),
  layout: "nchw",
  preprocessing: rangePreprocessing(-1, 1),
  labels: ["a", ""],
  outputs: new Map([
    ["probs", "softmax"],
    ["constructor", "values"],
  ]),
  bits: new Map([["conv", [3, 0]]]),
  scales: "learned+calibrated",
  form: "webgpu",
  quantized: [["conv", -8, 7]],
  learned: { version: 1, quantizers: {} },
};

const read = (properties: Readonly<Record<string, string>>): OnnxMetadata =>
  readOnnxMetadata(
    Object.entries(properties).map(([key, value]) => ({ key, value })),
    "m.onnx",
  );

describe("metadata of a file", () => {
  test("is read as it was written", () => {
    const written = writeOnnxMetadata(ALL);
    expect(Object.keys(written)).toEqual(Object.keys(ALL).map((name) => `qdg.${name}`));
    expect(written).toMatchObject({
      "qdg.layout": "nchw",
      "qdg.outputs": '{"probs":"softmax","constructor":"values"}',
      "qdg.bits": '{"conv":[3,0]}',
    });
    expect(read(written)).toEqual(ALL);
  });

  test("that is not there is null, and nothing is written of it", () => {
    expect(read({})).toEqual(NOTHING);
    expect(writeOnnxMetadata(NOTHING)).toEqual({});
    expect(read({ author: "someone", "qdg.later": "?" })).toEqual(NOTHING);
    expect(read({ "qdg.layout": "nhwc" }).outputs?.get("toString")).toBeUndefined();
  });

  test.each<[key: string, text: string, says: string]>([
    ["layout", "NHWC", "got NHWC, expected nhwc, nchw"],
    ["layout", "", "got , expected nhwc, nchw"],
    ["source", "", "got an empty text; export the model again"],
    ["scales", "guessed", "got guessed, expected learned, learned+calibrated, calibrated, weights-only"],
    ["form", "int", "got int, expected integer, float, webgpu"],
    ["preprocessing", "{", "got {, which is not JSON; export the model again"],
    ["preprocessing", '{"range":[1,0],"mean":[0],"std":[1],"resize":"stretch"}', "expected high > low"],
    ["labels", "a,b", "got a,b, which is not JSON"],
    ["labels", '["a",1]', 'got ["a",1], expected a list of names'],
    ["labels", "[]", "got [], expected a list of names"],
    ["outputs", '{"y":"probabilities"}', "expected an object of softmax, sigmoid, logits, values by output"],
    ["outputs", '["softmax"]', "expected an object of softmax, sigmoid, logits, values by output"],
    ["bits", '{"conv":[3]}', "expected an object of [weight bits, activation bits] by layer"],
    ["bits", '{"conv":[3,-1]}', "expected an object of [weight bits, activation bits] by layer"],
    ["quantized", '[["conv",0.5,1]]', "expected a list of [value, least, largest]"],
    ["quantized", '[["conv",1,0]]', "expected a list of [value, least, largest]"],
    ["learned", "[]", "got [], expected an object"],
    ["quantized", "{}", "expected a list of [value, least, largest]"],
  ])("whose %s is %s is refused by name", (key, text, says) => {
    let message = "";
    try {
      read({ ...writeOnnxMetadata(ALL), [`qdg.${key}`]: text });
    } catch (thrown) {
      message = thrown instanceof QdgError ? thrown.message : String(thrown);
    }
    expect(message).toContain(`m.onnx, metadata qdg.${key}: `);
    expect(message).toContain(says);
    expect(message).toContain("[invalid-onnx]");
  });

  test("that stands there twice is refused, as no two readers would take the same", () => {
    const twice = ["nhwc", "nchw"].map((value) => ({ key: "qdg.layout", value }));
    expect(() => readOnnxMetadata(twice, "m.onnx")).toThrow(
      "metadata qdg.layout: stands there twice, expected once; export the model again [invalid-onnx]",
    );
  });

  test("echoes little of what it refuses", () => {
    expect(() => read({ "qdg.labels": "x".repeat(1e6) })).toThrow(/^.{1,200}$/s);
  });
});
