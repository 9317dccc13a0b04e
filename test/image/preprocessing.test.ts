import { describe, expect, test } from "vitest";
import {
  checkChannels,
  parsePreprocessing,
  preprocessingFromJson,
  preprocessingToJson,
} from "../../src/image/preprocessing.js";

describe("parsePreprocessing", () => {
  test.each([
    ["0,1", [0, 1]],
    ["-1,1", [-1, 1]],
    [" 0 , 255 ", [0, 255]],
    ["-1.5,1e2", [-1.5, 100]],
  ])("reads the range %s", (text, range) => {
    expect(parsePreprocessing(text)).toEqual({ range, mean: [0], std: [1], resize: "stretch" });
  });

  test("reads a JSON object, with defaults for all but the range", () => {
    expect(parsePreprocessing('{"range": [0, 1]}')).toEqual(parsePreprocessing("0,1"));
    expect(
      parsePreprocessing('\uFEFF\n{"range":[0,1],"mean":[0.5,0.4,0.3],"std":0.25,"resize":"center-crop"}\n'),
    ).toEqual({ range: [0, 1], mean: [0.5, 0.4, 0.3], std: [0.25], resize: "center-crop" });
  });

  test.each([
    ["", "usage", /got ""/],
    ["0", "usage", /expected "low,high"/],
    ["0,", "usage", /got "0,"/],
    ["0,1,2", "usage", /got "0,1,2"/],
    ["zero,one", "usage", /zero/],
    ["0,Infinity", "usage", /Infinity/],
    ["0,1e39", "usage", /1e39/],
    ["1,0", "usage", /high > low/],
    ["1,1", "usage", /high > low/],
    ["{range: 1}", "invalid-json", /expected "low,high"/],
    ["{}", "usage", /range: got undefined/],
    ['{"range": [0]}', "usage", /two numbers/],
    ['{"range": [0, 1, 2]}', "usage", /two numbers/],
    ['{"range": "0,1"}', "usage", /two numbers/],
    ['{"range": [0, 1], "std": [1, 0, 1]}', "usage", /std: got \[1,0,1\], expected numbers > 0/],
    ['{"range": [0, 1], "std": -1}', "usage", /std/],
    ['{"range": [0, 1], "std": 1e-46}', "usage", /std/],
    ['{"range": [0, 1], "mean": []}', "usage", /mean/],
    ['{"range": [0, 1], "mean": ["0"]}', "usage", /mean/],
    ['{"range": [0, 1], "mean": null}', "usage", /mean/],
    ['{"range": [0, 1], "mean": [0, 0, 0], "std": [1, 1]}', "usage", /3 numbers in mean and 2 in std/],
    ['{"range": [0, 1], "resize": "crop"}', "usage", /resize: got "crop"/],
    ['{"range": [0, 1], "scale": 2}', "usage", /unknown key "scale"/],
  ])("refuses %s", (text, code, message) => {
    expect(() => parsePreprocessing(text)).toThrow(expect.objectContaining({ code }));
    expect(() => parsePreprocessing(text)).toThrow(message);
  });
});

describe("preprocessing in a file's metadata", () => {
  const preprocessing = {
    range: [-1, 1.0078740157480315],
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
    resize: "center-crop",
  } as const;

  test("comes back from JSON as it was", () => {
    const text = JSON.stringify(preprocessingToJson(preprocessing));
    expect(preprocessingFromJson(JSON.parse(text), "m.onnx")).toEqual(preprocessing);
  });

  test.each([
    ["a missing field", { range: [0, 1], mean: [0], std: [1] }, /resize: got undefined/],
    ["an unknown field", { ...preprocessing, gamma: 2 }, /unknown key "gamma"/],
    ["a list", [preprocessing], /expected an object/],
    ["null", null, /expected an object/],
    ["NaN as JSON writes it", { ...preprocessing, mean: [null, 0, 0] }, /mean/],
  ])("is refused with %s, naming the file", (_, json, message) => {
    expect(() => preprocessingFromJson(json, "m.onnx")).toThrow(message);
    expect(() => preprocessingFromJson(json, "m.onnx")).toThrow(/^m\.onnx: .*\[invalid-data\]$/);
  });

  test("must fit the channels of the input", () => {
    expect(() => checkChannels(preprocessing, 1, "m.onnx")).toThrow(/mean: got 3 numbers, expected 1 or 1/);
    expect(() => checkChannels(preprocessing, 3, "m.onnx")).not.toThrow();
    expect(() => checkChannels({ ...preprocessing, mean: [0], std: [1] }, 1, "m.onnx")).not.toThrow();
  });
});
