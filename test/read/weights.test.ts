// Weight files: every storage form against tfjs's own loader, and bad files by table.

import { createHash } from "node:crypto";
import { mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readModel } from "../../src/read/read-model.js";
import { readLayersModel } from "../../src/read/layers-model.js";
import { checkModelJson } from "../../src/read/model-json.js";
import { fromFloat16 } from "../../src/compute/cast.js";
import { decodeWeights } from "../../src/read/weights.js";
import { row } from "../support/layer-cases.js";
import {
  compareGraph,
  randomizeWeights,
  removeFolder,
  saveLayersModel,
  saveToFolder,
  seeded,
  type SavedModel,
} from "../support/layers-models.js";

interface Entry {
  name: string;
  shape: number[];
  dtype: string;
  quantization?: object;
  group?: string;
}

function manifestOf(saved: SavedModel): { paths: string[]; weights: Entry[] }[] {
  return saved.json["weightsManifest"] as { paths: string[]; weights: Entry[] }[];
}

async function small(): Promise<SavedModel> {
  const model = row(tf.layers.dense({ inputShape: [3], units: 2, name: "d" }));
  randomizeWeights(model, seeded(1));
  return saveLayersModel(model);
}

describe("storage forms", () => {
  test.each(["uint8", "uint16", "float16"] as const)(
    "%s weights are decoded bit for bit as tfjs does it",
    (dtype) => {
      const random = seeded(9);
      const count = 500;
      const stored = Uint16Array.from({ length: count }, (_, i) =>
        dtype === "float16"
          ? ([0, 1, 0x8001, 0x3ff, 0x400, 0x7bff, 0xfbff][i] ?? Math.floor(random() * 0x7c00))
          : Math.floor(random() * (dtype === "uint8" ? 256 : 65536)),
      );
      const bytes = dtype === "uint8" ? Uint8Array.from(stored) : new Uint8Array(stored.buffer);
      const spec = {
        name: "w",
        shape: [count],
        dtype: "float32",
        quantization: { dtype, scale: 0.0123456789, min: -1.7 },
      };
      const byTfjs = tf.io.decodeWeights(bytes.slice().buffer, [spec as tf.io.WeightsManifestEntry]);
      const expected = byTfjs["w"]?.dataSync();
      const json = checkModelJson(
        {
          modelTopology: { class_name: "Model", config: {} },
          weightsManifest: [{ paths: ["w"], weights: [spec] }],
        },
        "m",
      );
      // A leading byte makes the offset odd: nothing may depend on alignment.
      const shifted = new Uint8Array(bytes.length + 1);
      shifted.set(bytes, 1);
      expect(decodeWeights(json.weightsManifest, [shifted.subarray(1)], "m").get("w")?.data).toEqual(
        expected,
      );
    },
  );

  test("int32 and bool weights are decoded, those of an optimizer left out", () => {
    const weights = [
      { name: "a", shape: [2], dtype: "int32" },
      { name: "b", shape: [3], dtype: "bool" },
      { name: "c", shape: [1], dtype: "int32", quantization: { dtype: "uint8", scale: 0.5, min: -3 } },
      { name: "iter", shape: [], dtype: "int32", group: "optimizer" },
    ];
    const json = checkModelJson(
      { modelTopology: { class_name: "Model", config: {} }, weightsManifest: [{ paths: ["w"], weights }] },
      "m",
    );
    const bytes = new Uint8Array([1, 0, 0, 0, 254, 255, 255, 255, 1, 0, 1, 7, 9, 0, 0, 0]);
    const decoded = decodeWeights(json.weightsManifest, [bytes], "m");
    expect([...decoded.keys()]).toEqual(["a", "b", "c"]);
    expect(decoded.get("a")?.data).toEqual(new Int32Array([1, -2]));
    expect(decoded.get("b")?.data).toEqual(new Uint8Array([1, 0, 1]));
    expect(decoded.get("c")?.data).toEqual(new Int32Array([1]));
  });

  test("infinities and NaN of float16 are what IEEE 754 says", () => {
    expect([0x7c00, 0xfc00, 0x7e00, 0x3c00, 0x0001].map(fromFloat16)).toEqual([
      Infinity,
      -Infinity,
      NaN,
      1,
      2 ** -24,
    ]);
  });

  test("weight constraints are applied as tfjs applies them when it loads a model", async () => {
    const { constraints } = tf;
    const kinds = [
      constraints.maxNorm({ maxValue: 0.5, axis: 0 }),
      constraints.unitNorm({ axis: 0 }),
      constraints.nonNeg(),
      constraints.minMaxNorm({ minValue: 0.2, maxValue: 0.4, rate: 0.7, axis: 0 }),
    ];
    for (const constraint of kinds) {
      const model = row(
        tf.layers.conv2d({ inputShape: [5, 5, 2], filters: 3, kernelSize: 2, kernelConstraint: constraint }),
        tf.layers.batchNormalization({ gammaConstraint: constraint }),
      );
      const saved = await saveLayersModel(model);
      const random = seeded(4);
      const weights = new Uint8Array(
        Float32Array.from({ length: saved.weights.length / 4 }, () => 0.1 + random()).buffer,
      );
      const loaded = await tf.loadLayersModel(
        tf.io.fromMemory({
          modelTopology: structuredClone(saved.json["modelTopology"]) as object,
          weightSpecs: manifestOf(saved)[0]?.weights as tf.io.WeightsManifestEntry[],
          weightData: weights.slice().buffer,
        }),
      );
      const json = checkModelJson(saved.json, "m");
      const graph = readLayersModel(json, decodeWeights(json.weightsManifest, [weights], "m"));
      const { difference, magnitude } = await compareGraph(loaded, graph);
      expect(magnitude).toBeGreaterThan(0);
      expect(difference / magnitude).toBeLessThan(1e-5);
    }
  });

  test("weights that Keras 3 numbers, and those with a cell's name in between, find their layers", async () => {
    const saved = await small();
    const [kernel, bias] = manifestOf(saved)[0]?.weights ?? [];
    for (const names of [
      ["d/0", "d/1"],
      ["d/cell/kernel", "d/cell/bias"],
    ]) {
      Object.assign(kernel ?? {}, { name: names[0] });
      Object.assign(bias ?? {}, { name: names[1] });
      const json = checkModelJson(saved.json, "m");
      const graph = readLayersModel(json, decodeWeights(json.weightsManifest, [saved.weights], "m"));
      expect(graph.nodes[0]?.inputs.map((input) => input?.name)).toEqual(["d_input", "d/kernel", "d/bias"]);
    }
  });
});

describe("weight files", () => {
  let folder = "";
  let path = "";
  let saved: SavedModel;

  beforeEach(async () => {
    saved = await small();
    ({ folder, path } = await saveToFolder(saved));
  });
  afterEach(() => removeFolder(folder));

  async function rewrite(change: (json: SavedModel["json"]) => void): Promise<void> {
    change(saved.json);
    await writeFile(path, JSON.stringify(saved.json));
  }

  test("any number of shards and groups give the same weights, and the hash covers them all", async () => {
    const whole = await readModel(path);
    const bytes = await readFile(path);
    expect(whole.sourceHash).toBe(createHash("sha256").update(bytes).update(saved.weights).digest("hex"));
    await mkdir(join(folder, "parts"));
    const parts = [
      saved.weights.subarray(0, 1),
      saved.weights.subarray(1, 13),
      saved.weights.subarray(13, 24),
      saved.weights.subarray(24),
    ];
    for (const [i, part] of parts.entries()) await writeFile(join(folder, `parts/s${i}`), part);
    await rewrite((json) => {
      const [kernel, bias] = manifestOf(saved)[0]?.weights ?? [];
      json["weightsManifest"] = [
        { paths: ["parts/s0", "parts/s1", "parts/s2"], weights: [kernel] },
        { paths: ["parts/s3"], weights: [bias] },
      ];
      json["userDefinedMetadata"] = { a: [1] };
    });
    const sharded = await readModel(path);
    expect(sharded.userDefinedMetadata).toEqual({ a: [1] });
    const constants = (model: typeof whole): unknown[] =>
      model.graph.nodes.flatMap(({ inputs }) => inputs.map((input) => input?.constant?.data));
    expect(constants(sharded)).toEqual(constants(whole));
    await writeFile(join(folder, "parts/s3"), new Uint8Array(8));
    expect((await readModel(path)).sourceHash).not.toBe(sharded.sourceHash);
  });

  test("a folder stands for the model.json in it, and nothing for nothing", async () => {
    await expect(readModel(join(folder, "none.json"))).rejects.toMatchObject({ code: "not-found" });
    await expect(readModel(join(path, "none.json"))).rejects.toMatchObject({ code: "not-found" });
    expect((await readModel(folder)).sourceHash).toBe((await readModel(path)).sourceHash);
  });

  test("metadata.json that Teachable Machine did not write is no concern, its own is read or refused", async () => {
    const metadata = join(folder, "metadata.json");
    await writeFile(metadata, '{"labels": 3}');
    expect((await readModel(path)).metadata).toBeUndefined();
    await writeFile(metadata, '{"packageName": "@teachablemachine/pose", "labels": ["a"], "modelName": "m"}');
    expect((await readModel(path)).metadata).toEqual({ labels: ["a"], modelName: "m" });
    const sounds = {
      tfjsSpeechCommandsVersion: "0.4.0",
      modelName: "TMv2",
      wordLabels: ["a", "_background_noise_"],
    };
    await writeFile(metadata, JSON.stringify(sounds));
    expect((await readModel(path)).metadata).toEqual({
      labels: ["a", "_background_noise_"],
      modelName: "TMv2",
    });
    await writeFile(metadata, JSON.stringify({ ...sounds, wordLabels: undefined }));
    await expect(readModel(path)).rejects.toThrow("wordLabels: got nothing, expected a list of names");
    await writeFile(metadata, '{"packageName": "@teachablemachine/image", "labels": ["a", 2]}');
    await expect(readModel(path)).rejects.toMatchObject({ code: "invalid-data" });
    await writeFile(metadata, "{");
    await expect(readModel(path)).rejects.toMatchObject({ code: "invalid-json" });
  });

  test.each([
    {
      title: "a missing shard",
      shard: "none.bin",
      code: "not-found",
      says: "none.bin: weight shard is missing",
    },
    { title: "an absolute path", shard: "/etc/hostname", code: "invalid-path", says: "is an absolute path" },
    { title: "a Windows path", shard: "C:\\weights.bin", code: "invalid-path", says: "is an absolute path" },
    { title: "a path upwards", shard: "../weights.bin", code: "invalid-path", says: 'by ".."' },
    {
      title: "a path upwards by backslashes",
      shard: "a\\..\\..\\weights.bin",
      code: "invalid-path",
      says: 'by ".."',
    },
    { title: "a URL", shard: "https://example.org/weights.bin", code: "invalid-path", says: "is a URL" },
    {
      title: "a link out of the folder",
      shard: "out.bin",
      code: "invalid-path",
      says: "is a link out of the folder",
    },
    { title: "a folder", shard: "sub", code: "invalid-path", says: "is no plain file" },
    { title: "a NUL", shard: "a\0b", code: "invalid-path", says: "is no file name" },
  ])("$title is refused", async ({ shard, code, says }) => {
    await symlink("/etc/hostname", join(folder, "out.bin"));
    await mkdir(join(folder, "sub"));
    await rewrite(() => Object.assign(manifestOf(saved)[0] ?? {}, { paths: [shard] }));
    await expect(readModel(path)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(says) as string,
    });
  });

  test("a link within the folder is followed", async () => {
    await writeFile(join(folder, "real"), saved.weights);
    await rm(join(folder, "weights.bin"));
    await symlink("real", join(folder, "weights.bin"));
    expect((await readModel(path)).graph.nodes).toHaveLength(1);
  });

  test("a shard that is too short is refused with both sizes", async () => {
    await writeFile(join(folder, "weights.bin"), new Uint8Array(31));
    await expect(readModel(path)).rejects.toMatchObject({
      code: "invalid-weights",
      message: expect.stringContaining(
        "got 31 bytes, expected 32 for 2 weights; the file is cut short",
      ) as string,
    });
  });

  test("bytes beyond the last weight are not read, as in tfjs, and told", async () => {
    const whole = await readModel(path);
    expect(whole.warnings).toEqual([]);
    await writeFile(join(folder, "weights.bin"), Buffer.concat([saved.weights, new Uint8Array(96)]));
    const longer = await readModel(path);
    expect(longer.graph).toEqual(whole.graph);
    expect(longer.sourceHash).toBe(whole.sourceHash);
    expect(longer.warnings).toEqual([
      "weights.bin: 96 bytes follow the 32 that the manifest names; they are not read, as in tfjs",
    ]);
  });

  test.each([
    { title: "NaN", value: Number.NaN },
    { title: "infinite", value: Number.NEGATIVE_INFINITY },
  ])("a weight that is $title is refused with its name and index", async ({ value }) => {
    const weights = new Float32Array(saved.weights.slice().buffer);
    weights[4] = value;
    await writeFile(join(folder, "weights.bin"), weights);
    await expect(readModel(path)).rejects.toThrow(`d/kernel: element 4 is ${value}`);
  });

  test.each<{ title: string; entry: object; says: string }>([
    { title: "an unknown dtype", entry: { dtype: "string" }, says: 'dtype: got "string"' },
    { title: "a negative size", entry: { shape: [-3, 2] }, says: "shape: got [-3,2]" },
    {
      title: "a size beyond any memory, before anything is allocated",
      entry: { shape: [2 ** 30, 2 ** 30] },
      says: "shape: got",
    },
    {
      title: "a size beyond the file, before anything is allocated",
      entry: { shape: [2 ** 20, 2 ** 20] },
      says: "bytes, expected",
    },
    {
      title: "a scale that is not finite",
      entry: { quantization: { dtype: "uint8", scale: null, min: 0 } },
      says: "finite scale and min",
    },
    {
      title: "an unknown quantization",
      entry: { quantization: { dtype: "int4" } },
      says: 'quantization dtype: got "int4"',
    },
    { title: "a name given twice", entry: { name: "d/bias" }, says: 'weight "d/bias" is given twice' },
    { title: "no name", entry: { name: 3 }, says: "name: got 3" },
  ])("$title in the manifest is refused", async ({ entry, says }) => {
    await rewrite(() => Object.assign(manifestOf(saved)[0]?.weights[0] ?? {}, entry));
    await expect(readModel(path)).rejects.toMatchObject({
      code: "invalid-weights",
      message: expect.stringContaining(says) as string,
    });
  });
});
