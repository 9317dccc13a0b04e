import { describe, expect, test } from "vitest";
import type { Manifest } from "../../src/web/manifest.js";
import { checkFileName } from "../../src/web/check-json.js";
import { parseManifest } from "../../src/web/manifest.js";
import { MANIFEST_LIMITS } from "../../src/web/manifest-limits.js";

const HASH = "0123456789abcdef".repeat(4);

const GOOD: Manifest = {
  version: 2,
  float32: null,
  models: [
    {
      device: "wasm",
      file: "model.01234567.onnx",
      sha256: HASH,
      sizeBytes: 1000,
      integers: { outputs: "OgViAwoBYQ==", tensors: [{ name: "relu1/pool", sha256: HASH }] },
    },
    {
      device: "webgpu",
      file: "model.webgpu.onnx",
      sha256: HASH,
      sizeBytes: 2,
      integers: { outputs: "", tensors: [{ name: "relu1/pool", sha256: HASH }] },
    },
  ],
  classifier: {
    labels: ["cat", "dog"],
    preprocessing: { range: [0, 1], mean: [0.5], std: [0.5], resize: "center-crop" },
    input: { name: "input", height: 32, width: 48, channels: 3, layout: "nchw" },
    output: { name: "classes", kind: "logits" },
  },
  selfTest: {
    cases: [
      {
        kind: "picture",
        width: 2,
        height: 1,
        seed: 3,
        cell: 2,
        sha256: HASH,
        expected: {
          classes: { length: 2, every: 1, values: [0.25, -3], tolerance: 1e-5 },
          "relu/integers": { length: 7, every: 3, values: [0, 7, 3], tolerance: 0 },
        },
      },
    ],
  },
  runtime: {
    files: [
      {
        engine: "onnxruntime",
        device: "wasm",
        name: "ort-wasm-simd-threaded.wasm",
        file: "ort.0123.wasm",
        sha256: HASH,
        sizeBytes: 5,
      },
    ],
  },
};

/** GOOD with the value at a path such as `models.0.file` replaced, or taken out. */
function changed(path: string, value: unknown): string {
  const copy = structuredClone(GOOD) as unknown as Record<string, unknown>;
  const keys = path.split("/");
  const last = keys.pop() as string;
  const holder = keys.reduce((object, key) => object[key] as Record<string, unknown>, copy);
  if (value === undefined) Reflect.deleteProperty(holder, last);
  else holder[last] = value;
  return JSON.stringify(copy);
}

test("a manifest comes back as it was written", () => {
  expect(parseManifest(JSON.stringify(GOOD), "manifest.json")).toEqual(GOOD);
});

test("one model, no runtime files and equal tolerances of 0 are a manifest too", () => {
  const manifest = { ...GOOD, models: [GOOD.models[0]], runtime: { files: [] } };
  expect(parseManifest(JSON.stringify(manifest), "m")).toEqual(manifest);
});

describe("parseManifest refuses", () => {
  test.each<[what: string, path: string, value: unknown, message: string]>([
    ["another version", "version", 1, "m: version: got 1, expected 2; take the qdg/web"],
    ["a version in a text", "version", "2", 'm: version: got "2", expected 2'],
    ["no version", "version", undefined, "m: version: got nothing"],
    ["an unknown key", "licence", "x", 'm: unknown key "licence"'],
    ["no classifier", "classifier", undefined, 'm: no key "classifier"'],
    ["no labels", "classifier/labels", undefined, 'm: classifier: no key "labels"'],
    ["pictures without a classifier", "classifier", null, "got a picture, expected numbers"],
    ["a float32 file without a hash", "float32", { file: "a.onnx" }, 'm: float32: no key "sha256"'],
    ["an unknown engine", "runtime/files/0/engine", "tflite", 'engine: got "tflite", expected "qdg" or'],
    ["an unknown kind of test", "selfTest/cases/0/kind", "sound", 'kind: got "sound", expected "picture" or'],
    [
      "fewer values than elements",
      "selfTest/cases/0/expected/classes/every",
      2,
      "values: got 2, expected 1 of 2",
    ],
    ["no model", "models", [], "m: models: got 0 entries, expected a list of 1 to 2"],
    ["an object for the models", "models", {}, "m: models: got {}, expected a list"],
    ["two models for a device", "models/1/device", "wasm", "got two for wasm"],
    ["an unknown device", "models/0/device", "npu", 'm: models[0].device: got "npu"'],
    ["an unknown key of a model", "models/0/url", "x", 'm: models[0]: unknown key "url"'],
    ["null for a model", "models/0", null, "m: models[0]: got null, expected an object"],
    ["a hash of another length", "models/0/sha256", HASH.slice(1), "m: models[0].sha256: got"],
    ["a hash in capitals", "models/0/sha256", HASH.toUpperCase(), "expected 64 hexadecimal digits"],
    ["a hash with a line end", "models/0/sha256", `${HASH}\n`, "expected 64 hexadecimal digits"],
    ["an empty file", "models/0/sizeBytes", 0, "m: models[0].sizeBytes: got 0, expected an integer from 1"],
    ["half a byte", "models/0/sizeBytes", 1.5, "got 1.5, expected an integer"],
    ["a size in a text", "models/0/sizeBytes", "9", 'got "9", expected an integer'],
    ["a model without its integers", "models/0/integers", undefined, 'm: models[0]: no key "integers"'],
    [
      "an unknown key of the integers",
      "models/0/integers/axis",
      0,
      'm: models[0].integers: unknown key "axis"',
    ],
    ["outputs that are no text", "models/0/integers/outputs", 7, "integers.outputs: got 7, expected base64"],
    [
      "outputs that are no base64",
      "models/0/integers/outputs",
      "OgV-",
      "expected base64 of up to 1048576 bytes",
    ],
    ["outputs cut short", "models/0/integers/outputs", "OgViA", "got 5 characters, expected base64"],
    ["outputs padded thrice", "models/0/integers/outputs", "O===", "got 4 characters, expected base64"],
    [
      "outputs beyond the limit",
      "models/0/integers/outputs",
      "A".repeat(4 * Math.ceil(MANIFEST_LIMITS.knownOutputsBytes / 3) + 4),
      "expected base64 of up to 1048576 bytes",
    ],
    [
      "more tensors than the limit",
      "models/0/integers/tensors",
      Array.from({ length: MANIFEST_LIMITS.knownTensors + 1 }),
      "integers.tensors: got 4097 entries, expected a list of 0 to 4096",
    ],
    ["a tensor without a name", "models/0/integers/tensors/0/name", "", 'tensors[0].name: got ""'],
    ["a tensor with half a hash", "models/0/integers/tensors/0/sha256", "ab", 'tensors[0].sha256: got "ab"'],
    ["a model beyond the limit", "models/0/sizeBytes", MANIFEST_LIMITS.modelBytes + 1, "expected an integer"],
    [
      "a runtime beyond the limit",
      "runtime/files/0/sizeBytes",
      MANIFEST_LIMITS.runtimeBytes + 1,
      "to 134217728",
    ],
    [
      "a runtime file twice",
      "runtime/files",
      [GOOD.runtime.files[0], GOOD.runtime.files[0]],
      'got "ort-wasm-simd-threaded.wasm" twice',
    ],
    ["too many runtime files", "runtime/files", Array.from({ length: 17 }), "got 17 entries"],
    ["no label", "classifier/labels", [], "m: classifier.labels: got 0 entries"],
    ["an empty label", "classifier/labels/1", "", 'm: classifier.labels[1]: got "", expected a text'],
    ["a label that is a number", "classifier/labels/1", 3, "m: classifier.labels[1]: got 3"],
    ["a label without end", "classifier/labels/1", "x".repeat(201), "m: classifier.labels[1]: got"],
    [
      "another count of labels than of values",
      "classifier/labels",
      ["a"],
      "expected.classes: got 2 values, expected 1",
    ],
    [
      "preprocessing with an unknown key",
      "classifier/preprocessing/gamma",
      2,
      "m: classifier.preprocessing: unknown key",
    ],
    [
      "preprocessing of other channels",
      "classifier/preprocessing/mean",
      [0, 0],
      "got 2 numbers, expected 1 or 3",
    ],
    ["a side of 0", "classifier/input/height", 0, "m: classifier.input.height: got 0"],
    ["a side without end", "classifier/input/width", 65536, "m: classifier.input.width: got 65536"],
    [
      "a side that is null",
      "classifier/input/width",
      null,
      "m: classifier.input.width: got null, expected a finite number",
    ],
    ["two channels", "classifier/input/channels", 2, "m: classifier.input.channels: got 2, expected 1 or 3"],
    ["an unknown layout", "classifier/input/layout", "hwc", 'm: classifier.input.layout: got "hwc"'],
    ["an input without a name", "classifier/input/name", "", 'm: classifier.input.name: got ""'],
    [
      "an unknown kind of output",
      "classifier/output/kind",
      "scores",
      'm: classifier.output.kind: got "scores"',
    ],
    ["no test", "selfTest/cases", [], "m: selfTest.cases: got 0 entries"],
    ["too many tests", "selfTest/cases", Array.from({ length: 17 }), "got 17 entries"],
    ["a test without the output", "classifier/output/name", "other", "expected.other: got no values"],
    [
      "an output that objects inherit",
      "classifier/output/name",
      "toString",
      "expected.toString: got no values",
    ],
    ["a seed that is none", "selfTest/cases/0/seed", 0.5, "seed: got 0.5, expected an integer from 0"],
    [
      "a cell larger than the picture",
      "selfTest/cases/0/cell",
      3,
      "cell: got 3, expected an integer from 1 to 2",
    ],
    ["a test picture beyond the limit", "selfTest/cases/0/width", 65535 * 5, "got 327675"],
    [
      "a large test picture",
      "selfTest/cases/0",
      { ...GOOD.selfTest.cases[0], width: 1024, height: 1024 },
      "got 1024 x 1024, expected up to 262144 pixels",
    ],
    ["a list for what is expected", "selfTest/cases/0/expected", [], "expected: got [], expected an object"],
    [
      "a value that is no number",
      "selfTest/cases/0/expected/classes/values",
      [0, "1"],
      'classes.values[1]: got "1"',
    ],
    ["a negative tolerance", "selfTest/cases/0/expected/classes/tolerance", -1, "tolerance: got -1"],
    [
      "a tolerance that lets another answer pass",
      "selfTest/cases/0/expected/classes/tolerance",
      0.0031,
      "tolerance: got 0.0031, expected a number from 0 to 0.003, a thousandth of the largest value",
    ],
    [
      "a tolerance above all values",
      "selfTest/cases/0/expected/classes/tolerance",
      1e9,
      "tolerance: got 1000000000",
    ],
    [
      "no picture to test with",
      "selfTest/cases",
      [],
      "selfTest.cases: got 0 entries, expected a list of 1 to 16",
    ],
    [
      "known integers for one device only",
      "models/1/integers/tensors",
      [],
      "got 1 and 0 tensors of known integers",
    ],
    ["an unknown key of a test", "selfTest/cases/0/label", 1, 'm: selfTest.cases[0]: unknown key "label"'],
  ])("%s", (_, path, value, message) => {
    expect(() => parseManifest(changed(path, value), "m")).toThrow(message);
  });

  test("an image input of more elements than are ever allocated", () => {
    const input = { ...GOOD.classifier?.input, height: 60000, width: 60000 };
    expect(() => parseManifest(changed("classifier/input", input), "m")).toThrow(
      "expected up to 67108864 elements",
    );
  });

  test.each(["null", "3", '"x"', "[]"])("%s in the place of a manifest", (text) => {
    expect(() => parseManifest(text, "m")).toThrow("m: version: got nothing, expected 2");
  });

  test("numbers that overflow to infinity", () => {
    const text = changed("selfTest/cases/0/expected/classes/tolerance", 77777).replace("77777", "1e999");
    expect(() => parseManifest(text, "m")).toThrow("tolerance: got Infinity, expected a finite number");
  });

  test("what is no JSON, with its own code", () => {
    expect(() => parseManifest("<!doctype html>", "m")).toThrow("[invalid-json]");
  });

  test("a text beyond the limit, before it is parsed", () => {
    expect(() => parseManifest(" ".repeat(MANIFEST_LIMITS.manifestBytes + 1), "m")).toThrow(
      "expected up to 8388608",
    );
  });

  test.each([
    "",
    ".",
    "..",
    "../model.onnx",
    "a/b",
    "a\\b",
    "/etc/passwd",
    "C:model",
    ".hidden",
    "a..b",
    "%2e%2e",
    "a?b",
    "a#b",
    "a b",
    "a\n",
    "é",
    "x".repeat(201),
    3,
    null,
  ])("the file name %j", (file) => {
    expect(() => parseManifest(changed("models/0/file", file), "m")).toThrow("[invalid-path]");
    expect(() => parseManifest(changed("runtime/files/0/name", file), "m")).toThrow("[invalid-path]");
  });
});

describe("numbers for inputs", () => {
  const inputs = { x: { dtype: "float32", shape: [1, 3], seed: 7, low: -1, high: 1 } };
  const expected = { y: { length: 1, every: 1, values: [0.5], tolerance: 1e-5 } };
  const network = (change: object): string =>
    JSON.stringify({
      ...GOOD,
      classifier: null,
      selfTest: { cases: [{ kind: "numbers", inputs: { x: { ...inputs.x, ...change } }, expected }] },
    });

  test("come back as they were written", () => {
    expect(parseManifest(network({}), "m")).toMatchObject({
      classifier: null,
      selfTest: { cases: [{ inputs }] },
    });
  });

  test.each<[object, string]>([
    [{ dtype: "string" }, 'dtype: got "string", expected "float32" or'],
    [{ shape: [2 ** 25] }, "shape[0]: got 33554432, expected an integer from 1 to 16777216"],
    [{ shape: [2 ** 13, 2 ** 13] }, "got 67108864 elements, expected up to 16777216"],
    [{ shape: [0] }, "shape[0]: got 0"],
    [{ low: 2 }, "got 2 to 1, expected a range of float32"],
    [{ dtype: "int32", high: 1.5 }, "got -1 to 1.5, expected a range of int32"],
    [{ seed: -1 }, "seed: got -1"],
    [{ step: 1 }, 'unknown key "step"'],
  ])("%j is refused", (change, message) => {
    expect(() => parseManifest(network(change), "m")).toThrow(message);
  });
});

test("a prototype in the JSON stays a name like any other", () => {
  const text = changed("selfTest/cases/0/expected", {}).replace(
    '"expected":{}',
    '"expected":{"__proto__":{"length":2,"every":1,"values":[1,2],"tolerance":0},"classes":{"length":2,"every":1,"values":[1,2],"tolerance":0}}',
  );
  const { expected } = parseManifest(text, "m").selfTest.cases[0] ?? { expected: {} };
  expect(Object.keys(expected)).toEqual(["__proto__", "classes"]);
  expect(Object.getPrototypeOf(expected)).toBe(Object.prototype);
});

test.each(["model.onnx", "model.0a1b2c3d.onnx", "A-b_c.9", "0"])("%s is a file name", (file) => {
  expect(checkFileName(file, "m")).toBe(file);
});
