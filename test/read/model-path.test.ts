// Files that are given where a model is expected: each is named by its content, with what makes a model of it.

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { encodeModel } from "../../src/onnx/codec.js";
import { modelJsonPath, modelPath, onnxPath } from "../../src/read/model-path.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "qdg-model-path-"));
});
afterEach(() => rm(folder, { recursive: true }));

const at = (name: string): string => join(folder, name);
const latin = (text: string): Buffer => Buffer.from(text, "latin1");

/** A zip of empty files: local headers, the list, and its end. */
function zip(...names: readonly string[]): Buffer {
  const locals = names.map((name) => {
    const header = Buffer.alloc(30);
    header.writeUInt32LE(0x04034b50, 0);
    header.writeUInt16LE(name.length, 26);
    return Buffer.concat([header, latin(name)]);
  });
  const list = names.map((name) => {
    const header = Buffer.alloc(46);
    header.writeUInt32LE(0x02014b50, 0);
    header.writeUInt16LE(name.length, 28);
    return Buffer.concat([header, latin(name)]);
  });
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt32LE(Buffer.concat(list).length, 12);
  end.writeUInt32LE(Buffer.concat(locals).length, 16);
  return Buffer.concat([...locals, ...list, end]);
}

const onnx = encodeModel({ irVersion: 10n, graph: { name: "g" } });
const KINDS: readonly (readonly [title: string, name: string, bytes: Uint8Array, says: RegExp])[] = [
  [
    "HDF5",
    "m.h5",
    latin("\x89HDF\r\n\x1a\nrest"),
    /a Keras \.h5 file, .*--input_format=keras \S+ tfjs_model/,
  ],
  [
    "a .keras file",
    "m.keras",
    zip("metadata.json", "config.json", "model.weights.h5"),
    /a \.keras file, .*=keras_keras --output_format=tfjs_layers_model/,
  ],
  [
    "a SavedModel's graph",
    "saved_model.pb",
    Buffer.of(8, 1, 0x12, 9),
    /a TensorFlow SavedModel, .*=tf_saved_model .*=keras_saved_model/,
  ],
  [
    "a frozen graph",
    "g.pb",
    latin("\n\x20\n\x01x\x12\x0bPlaceholder"),
    /a frozen TensorFlow graph, .*=tf_frozen_model/,
  ],
  ["TensorFlow Lite", "m.tflite", latin("\x1c\0\0\0TFL3rest"), /a TensorFlow Lite file/],
  ["PyTorch's zip", "m.pt", zip("m/data.pkl", "m/data/0"), /a PyTorch file/],
  ["PyTorch's pickle", "m.pth", Buffer.of(0x80, 2, 0x8a, 0x0a), /a PyTorch file/],
  [
    "a zip of a model",
    "tm.zip",
    zip("metadata.json", "model.json", "weights.bin"),
    /a zip file with a model\.json in it, .*unzip it/,
  ],
  ["another zip", "a.zip", zip("a.txt"), /a zip file, .*unzip it/],
  ["a zip whose list is cut off", "b.zip", zip("a.txt").subarray(0, 40), /a zip file/],
  ["an array", "x.npy", latin("\x93NUMPY\x01\0"), /a NumPy array, .*--calibration or --data/],
  ["an image", "x.png", latin("\x89PNG\r\n\x1a\n"), /an image, .*--calibration or --data/],
  ["nothing", "model.json", Buffer.alloc(0), /an empty file, .*copy the model again/],
  ["noise", "weights.bin", latin("\x01\x02\x03\x04"), /no model that qdg knows, .*model\.save/],
];

describe("what is no model is named by its content, whatever its name", () => {
  test.each(KINDS)("%s", async (_, name, bytes, says) => {
    for (const each of [name, "model.bin"]) {
      await writeFile(at(each), bytes);
      await expect(modelJsonPath(at(each))).rejects.toThrow(says);
      await expect(modelJsonPath(at(each))).rejects.toThrow(
        /expected a model\.json; .*\[unsupported-model\]/,
      );
      await expect(onnxPath(at(each), "parity")).rejects.toThrow(/expected an ONNX file/);
      await expect(modelPath(at(each))).rejects.toThrow(/expected a model\.json or an ONNX file/);
    }
  });

  test("an ONNX file, where a model.json is wanted, and the other way round", async () => {
    await writeFile(at("m.onnx"), onnx);
    await writeFile(at("model.json"), ' \n{"modelTopology": {}}');
    await expect(modelJsonPath(at("m.onnx"))).rejects.toThrow(
      /is an ONNX file, expected a model\.json; qdg export, inspect/,
    );
    expect(await onnxPath(at("m.onnx"), "inspect")).toBe(at("m.onnx"));
    expect(await modelPath(at("m.onnx"))).toEqual({ kind: "onnx", path: at("m.onnx") });
    expect(await modelPath(at("model.json"))).toEqual({ kind: "model-json", path: at("model.json") });
    expect(await modelPath(folder)).toEqual({ kind: "model-json", path: at("model.json") });
    expect(await modelPath(folder, "onnx")).toEqual({ kind: "onnx", path: at("m.onnx") });
    const message = `qdg export ${at("model.json")} -o model.onnx, then qdg parity model.onnx --reference ${at("model.json")}`;
    await expect(onnxPath(at("model.json"), "parity")).rejects.toThrow(message);
  });

  test("a damaged file that is named .onnx is left to the decoder, which tells more", async () => {
    await writeFile(at("m.onnx"), latin("\xff\xff"));
    expect(await onnxPath(at("m.onnx"), "inspect")).toBe(at("m.onnx"));
  });

  test("weights beside their model.json", async () => {
    await writeFile(at("weights.bin"), latin("\x01\x02"));
    await writeFile(at("model.json"), "{}");
    await expect(modelJsonPath(at("weights.bin"))).rejects.toThrow(
      `there is a model.json beside it: give ${at("model.json")}`,
    );
  });
});

describe("a folder", () => {
  test("stands for its model.json, or for its one ONNX file", async () => {
    await expect(modelJsonPath(folder)).rejects.toThrow(
      /is a folder without a model\.json; give the file of the model \[not-found\]/,
    );
    await writeFile(at("m.onnx"), onnx);
    await expect(modelJsonPath(folder)).rejects.toThrow("is a folder without a model.json (it has m.onnx)");
    expect(await modelPath(folder)).toEqual({ kind: "onnx", path: at("m.onnx") });
    await writeFile(at("model.json"), "{}");
    expect(await modelJsonPath(folder)).toBe(at("model.json"));
    expect(await onnxPath(folder, "run")).toBe(at("m.onnx"));
    expect(await modelPath(folder)).toEqual({ kind: "model-json", path: at("model.json") });
    await writeFile(at("n.onnx"), onnx);
    await expect(onnxPath(folder, "run")).rejects.toThrow(/model\.json: is JSON, expected an ONNX file/);
  });

  test("of a SavedModel is named as that", async () => {
    await mkdir(at("saved"));
    await writeFile(at("saved/saved_model.pb"), Buffer.of(8, 1, 0x12, 9));
    await expect(modelJsonPath(at("saved"))).rejects.toThrow(
      /saved: is a TensorFlow SavedModel, .*tfjs_layers_model \S+saved tfjs_model/,
    );
  });

  test("that is not there, or beyond a file, is told in plain words", async () => {
    await writeFile(at("file"), "{}");
    await expect(modelJsonPath(at("none"))).rejects.toThrow(
      /none: cannot be read: there is no such file or folder; give the path of a model\.json, or of its folder \[not-found\]/,
    );
    await expect(onnxPath(at("file/model.onnx"), "run")).rejects.toThrow(
      /cannot be read: a part of its path is a file, not a folder; give the path of an ONNX file/,
    );
  });
});
