// `qdg export`, `inspect` and `parity` as a user runs them, on small models: what they write, what it computes,
// what they say.

import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { seeded } from "../../bench/models/random.js";
import { float32, sizeOf, type Tensor, transpose } from "../../src/base/tensor.js";
import { VERSION } from "../../src/base/version.js";
import type { ExportResult } from "../../src/export/export-model.js";
import type { Inspection } from "../../src/export/inspect.js";
import { inputOf, outputOf } from "../../src/graph/graph.js";
import { decodeModel, encodeModel } from "../../src/onnx/codec.js";
import type { ModelProto } from "../../src/onnx/model-proto.js";
import { modelToGraph } from "../../src/onnx/to-graph.js";
import type { ParityReport } from "../../src/parity/report.js";
import { parseLearned } from "../../src/quant/learned.js";
import { cpuRuntime } from "../../src/runtime/cpu.js";
import { planOf } from "../../src/runtime/reference/plan.js";
import type { Runtime } from "../../src/runtime/runtime.js";
import { tfjsRuntime } from "../../src/runtime/tfjs.js";
import { wasmRuntime } from "../../src/runtime/wasm.js";
import { npyOf } from "../parity/tiny-models.js";
import {
  randomizeWeights,
  saveLayersModel,
  saveToFolder,
  seeded as seededTest,
} from "../support/layers-models.js";
import { type CliResult, runCli } from "../support/run-cli.js";
import {
  editJson,
  madeUpScales,
  newFolder,
  removeFolder,
  writeImages,
  writeResnet,
} from "../support/small-models.js";

let folder = "";
/** A residual network for images of 16 x 16, and images. */
let model = "";
let images = "";
beforeAll(async () => {
  folder = await newFolder();
  model = await writeResnet(join(folder, "model"));
  images = await writeImages(join(folder, "images"), 14);
});
afterAll(() => removeFolder(folder));

const IMAGE = [1, 16, 16, 3];

function noise(shape: readonly number[], seed = 3): Tensor<"float32"> {
  const random = seeded(seed);
  return float32(
    shape,
    Float32Array.from({ length: sizeOf(shape) }, () => 2 * random() - 1),
  );
}

async function outputOfFile(
  path: string,
  x: Tensor = noise(IMAGE),
  runtime: Runtime = cpuRuntime,
): Promise<Float32Array> {
  const session = await runtime.open({ path });
  try {
    const results = await session.run({ [session.inputs[0]?.name ?? ""]: x });
    return Object.values(results)[0]?.data as Float32Array;
  } finally {
    await session.dispose();
  }
}

/** Largest |a - b| over largest |a|. */
function difference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  const values = Array.from(a);
  const largest = Math.max(...values.map(Math.abs));
  return Math.max(...values.map((x, i) => Math.abs(x - (b[i] as number)))) / largest;
}

/** Runs `qdg export model ...` to `name` and expects it to succeed. @returns the path of the file */
async function exported(name: string, ...args: readonly string[]): Promise<string> {
  const output = join(folder, name);
  const { code, stderr } = await runCli("export", model, ...args, "-o", output);
  expect({ code, stderr }).toMatchObject({ code: 0 });
  return output;
}

async function decoded(path: string): Promise<ModelProto> {
  return decodeModel(await readFile(path), path);
}

async function metadataOf(path: string): Promise<Record<string, string>> {
  const entries = (await decoded(path)).metadataProps ?? [];
  return Object.fromEntries(entries.map(({ key = "", value = "" }) => [key, value]));
}

/** The scales of all QuantizeLinear and DequantizeLinear nodes, by the name of what they make. */
async function scalesOf(path: string): Promise<Map<string, Float32Array>> {
  const graph = modelToGraph(await decoded(path));
  const { constants } = planOf(graph);
  const scales = new Map<string, Float32Array>();
  for (const node of graph.nodes) {
    if (node.op !== "QuantizeLinear" && node.op !== "DequantizeLinear") continue;
    const scale = constants.get(inputOf(node, 1));
    if (!scale) throw new Error(`${node.origin}: the scale is not constant`);
    scales.set(outputOf(node).name, scale.data as Float32Array);
  }
  return scales;
}

const calibration = (): string[] => ["--calibration", images, "--preprocess", "-1,1"];

describe("an export that calibrates on images", () => {
  let path = "";
  let result: CliResult;
  beforeAll(async () => {
    path = join(folder, "calibrated.onnx");
    const labels = ["--bits", "4", "--activation-bits", "4", "--calibration-count", "8", "--held-out", "6"];
    result = await runCli("export", model, ...labels, ...calibration(), "--json", "-o", path);
  });

  test("prints its result as JSON on stdout, and nothing else", async () => {
    expect(result).toMatchObject({ code: 0, stderr: "" });
    const parsed = JSON.parse(result.stdout) as ExportResult;
    expect(parsed).toMatchObject({
      path,
      sizeBytes: (await stat(path)).size,
      scales: "calibrated",
      form: "integer",
    });
    expect(parsed.cost).toMatchObject({ samples: 6, agreement: expect.any(Number) as number });
    expect(parsed.cost?.sqnrDb).toBeGreaterThan(5);
    expect(parsed.recipe).toEqual({
      rules: [
        { match: { layer: "*" }, weightBits: 8, activationBits: 8, default: true },
        { match: { role: "inner" }, weightBits: 4, activationBits: 4 },
      ],
      signedActivations: "asymmetric",
    });
    expect(parsed.bits).toMatchObject({ conv1: [8, 8], stage1_block1_conv1: [4, 4], logits: [8, 0] });
  });

  test("states in the file all that is needed to use it", async () => {
    const metadata = await metadataOf(path);
    expect(Object.keys(metadata).sort()).toEqual([
      "qdg.bits",
      "qdg.form",
      "qdg.layout",
      "qdg.outputs",
      "qdg.preprocessing",
      "qdg.scales",
      "qdg.source",
      "qdg.version",
    ]);
    expect(metadata).toMatchObject({
      "qdg.version": VERSION,
      "qdg.layout": "nhwc",
      "qdg.scales": "calibrated",
      "qdg.form": "integer",
    });
    expect(metadata["qdg.source"]).toMatch(/^[0-9a-f]{64}$/);
    expect(JSON.parse(metadata["qdg.preprocessing"] ?? "")).toMatchObject({
      range: [-1, 1],
      resize: "stretch",
    });
    expect(JSON.parse(metadata["qdg.bits"] ?? "")).toEqual((JSON.parse(result.stdout) as ExportResult).bits);
    const proto = await decoded(path);
    expect(proto.producerName).toBe("qdg");
    expect(
      [proto.irVersion, proto.opsetImport?.find(({ domain = "" }) => domain === "")?.version].map(Number),
    ).toEqual([10, 21]);
  });

  test("computes the same on the CPU and in WebAssembly, near what tfjs computes", async () => {
    const cpu = await outputOfFile(path);
    expect(difference(cpu, await outputOfFile(path, noise(IMAGE), wasmRuntime))).toBeLessThan(1e-5);
    const real = await outputOfFile(model, noise(IMAGE), tfjsRuntime);
    const gap = difference(real, cpu);
    expect(gap).toBeLessThan(0.6);
    // It is not the float network by accident.
    expect(gap).toBeGreaterThan(1e-3);
  });

  test("passes parity, takes the preprocessing from the file, and reports as JSON", async () => {
    const { code, stdout } = await runCli(
      "parity",
      path,
      "--data",
      images,
      "--reference",
      model,
      "--intermediates",
      "--json",
    );
    const report = JSON.parse(stdout) as ParityReport;
    expect(report).toMatchObject({ passed: true, reasons: [], inputs: 14 });
    expect(code).toBe(0);
    for (const target of report.targets) {
      expect(target.tensors?.every(({ mismatches }) => mismatches.count === 0)).toBe(true);
    }
  });

  test("writes the same bytes when it is run again", async () => {
    const again = join(folder, "again.onnx");
    const args = [
      "--bits",
      "4",
      "--activation-bits",
      "4",
      "--calibration-count",
      "8",
      "--held-out",
      "6",
      ...calibration(),
    ];
    await runCli("export", model, ...args, "-o", again);
    expect((await readFile(again)).equals(await readFile(path))).toBe(true);
    const other = join(folder, "other-seed.onnx");
    await runCli("export", model, ...args, "--seed", "1", "-o", other);
    expect((await readFile(other)).equals(await readFile(path))).toBe(false);
  });

  test("replaces a file only with --force", async () => {
    const file = await exported("replaced.onnx", "--bits", "4");
    const before = await readFile(file);
    expect(await runCli("export", model, "--bits", "3", "-o", file)).toMatchObject({ code: 1 });
    expect((await readFile(file)).equals(before)).toBe(true);
    expect(await runCli("export", model, "--bits", "3", "-o", file, "--force")).toMatchObject({ code: 0 });
    expect((await readFile(file)).equals(before)).toBe(false);
  });
});

describe("an export", () => {
  test("leaves out broken images with --skip-broken, and says which", async () => {
    const broken = await writeImages(join(folder, "broken"), 6);
    await writeFile(join(broken, "001.png"), "broken");
    const file = join(folder, "skipped.onnx");
    const args = ["--bits", "8", "--preprocess", "0,1", "--calibration", broken, "--skip-broken", "-o", file];
    const { code, stderr } = await runCli("export", model, ...args);
    expect(code).toBe(0);
    expect(stderr.split("\n").filter((line) => line.startsWith("skipped"))).toEqual([
      expect.stringMatching(/^skipped .*001\.png: /),
    ]);
  });

  test("calibrates on .npy arrays, one for each input", async () => {
    const [a, b] = [tf.input({ shape: [6, 6, 2], name: "left" }), tf.input({ shape: [3], name: "right" })];
    const pooled = tf.layers
      .globalMaxPooling2d({})
      .apply(
        tf.layers.conv2d({ filters: 4, kernelSize: 3, activation: "relu" }).apply(a),
      ) as tf.SymbolicTensor;
    const merged = tf.layers.concatenate().apply([pooled, b]) as tf.SymbolicTensor;
    const output = tf.layers.dense({ units: 3 }).apply(merged) as tf.SymbolicTensor;
    const two = tf.model({ inputs: [a, b], outputs: output });
    randomizeWeights(two, seededTest(4));
    const saved = await saveToFolder(await saveLayersModel(two));
    try {
      const left = join(saved.folder, "left.npy");
      const right = join(saved.folder, "right.npy");
      await writeFile(left, npyOf(noise([9, 6, 6, 2])));
      await writeFile(right, npyOf(noise([9, 3], 5)));
      const file = join(saved.folder, "m.onnx");
      const data = [`left=${left}`, `right=${right}`];
      const result = await runCli(
        "export",
        saved.path,
        "--bits",
        "6",
        "--calibration",
        ...data,
        "--json",
        "-o",
        file,
      );
      expect(result).toMatchObject({ code: 0, stderr: "" });
      expect(JSON.parse(result.stdout)).toMatchObject({
        scales: "calibrated",
        cost: { samples: 3 },
        warnings: [expect.stringMatching(/^--bits 6 changes nothing: all 2 weighted layers/)],
      });
      // What the file says of its preprocessing is nothing: arrays come as they are.
      expect(await metadataOf(file)).not.toHaveProperty("qdg.preprocessing");
      expect(await runCli("parity", file, "--data", ...data, "--intermediates")).toMatchObject({ code: 0 });
    } finally {
      await removeFolder(saved.folder);
    }
  });

  test("without data quantizes the weights alone, says so, and stays near the float model", async () => {
    const file = join(folder, "weights-only.onnx");
    const { code, stderr } = await runCli("export", model, "--bits", "8", "-o", file);
    expect(code).toBe(0);
    expect(stderr).toMatch(/scales weights-only/);
    expect(stderr).toMatch(/warning: no calibration data: only the weights are quantized.*--calibration/);
    expect(await metadataOf(file)).toMatchObject({ "qdg.scales": "weights-only" });
    const real = await outputOfFile(model, noise(IMAGE), tfjsRuntime);
    const cpu = await outputOfFile(file);
    expect(difference(real, cpu)).toBeLessThan(0.05);
    expect(difference(cpu, await outputOfFile(file, noise(IMAGE), wasmRuntime))).toBeLessThan(1e-5);
    expect(await runCli("parity", file, "--data", images, "--preprocess", "-1,1")).toMatchObject({ code: 0 });
  });

  test("--float writes what tfjs computes", async () => {
    const file = await exported("float.onnx", "--float");
    const real = await outputOfFile(model, noise(IMAGE), tfjsRuntime);
    expect(difference(real, await outputOfFile(file))).toBeLessThan(1e-5);
    expect(Object.keys(await metadataOf(file)).sort()).toEqual([
      "qdg.layout",
      "qdg.outputs",
      "qdg.source",
      "qdg.version",
    ]);
    expect(await runCli("inspect", file)).toMatchObject({ code: 0, stderr: "" });
  });

  test("--layout nchw moves the channels of the input, and nothing else", async () => {
    const x = noise(IMAGE);
    // Statistics in float32 differ in the last bits with the layout; a fit may round another way then.
    for (const args of [["--float"], ["--bits", "4", "--ptq", "nearest", ...calibration()]]) {
      const nhwc = await exported(`nhwc-${args.length}.onnx`, ...args);
      const nchw = await exported(`nchw-${args.length}.onnx`, ...args, "--layout", "nchw");
      const inputs = (await decoded(nchw)).graph?.input?.[0]?.type?.tensorType?.shape?.dim;
      expect(inputs?.slice(1).map(({ dimValue }) => Number(dimValue))).toEqual([3, 16, 16]);
      expect(await outputOfFile(nchw, transpose(x, [0, 3, 1, 2]))).toEqual(await outputOfFile(nhwc, x));
      expect(await metadataOf(nchw)).toMatchObject({ "qdg.layout": "nchw" });
    }
  });

  test("--scales pow2 leaves only powers of two as scales, of activations and of weights", async () => {
    const file = await exported("pow2.onnx", "--bits", "4", "--scales", "pow2", ...calibration());
    const scales = await scalesOf(file);
    expect(scales.size).toBeGreaterThan(20);
    const others = [...scales].filter(([, list]) =>
      list.some((scale) => !Number.isInteger(Math.log2(Math.abs(scale)))),
    );
    expect(others.map(([name]) => name)).toEqual([]);
    const free = await scalesOf(await exported("free.onnx", "--bits", "4", ...calibration()));
    expect([...free.values()].some((list) => list.some((scale) => !Number.isInteger(Math.log2(scale))))).toBe(
      true,
    );
  });

  test("--weights and --form change how the integers are held, not what comes out", async () => {
    const args = ["--bits", "3", ...calibration()];
    const outputs: [string, Float32Array][] = [];
    const sizes: number[] = [];
    for (const storage of ["packed", "int4", "int8"]) {
      for (const form of ["integer", "float"]) {
        const name = `${storage}-${form}`;
        const file = await exported(`${name}.onnx`, ...args, "--weights", storage, "--form", form);
        // All but the unpacking, which outweighs the weights of so small a network.
        const inspection = JSON.parse((await runCli("inspect", file, "--json")).stdout) as Inspection;
        if (form === "integer")
          sizes.push(inspection.layers.reduce((sum, { weightBytes }) => sum + weightBytes, 0));
        for (const runtime of [cpuRuntime, wasmRuntime]) {
          outputs.push([`${name} ${runtime.name}`, await outputOfFile(file, noise(IMAGE), runtime)]);
        }
      }
    }
    const [, first] = outputs[0] as [string, Float32Array];
    for (const [name, output] of outputs)
      expect([name, difference(first, output)]).toEqual([name, expect.closeTo(0, 6)]);
    expect(sizes).toEqual(sizes.toSorted((a, b) => a - b));
    expect(new Set(sizes).size).toBe(3);
  });

  test("--tune times both forms and writes one of them", async () => {
    const file = await exported("tuned.onnx", "--bits", "4", "--tune", ...calibration());
    expect((await metadataOf(file))["qdg.form"]).toMatch(/^(integer|float)$/);
  });

  test.each([18, 19, 20, 21, 22, 23, 24, 25, 26])(
    "--opset %i gives a file that loads, and the same numbers",
    async (opset) => {
      const args = ["--bits", "3", "--opset", String(opset), ...calibration()];
      const file = await exported(`opset-${opset}.onnx`, ...args);
      const standard = await exported(`standard-${opset}.onnx`, "--bits", "3", ...calibration());
      expect(await outputOfFile(file)).toEqual(await outputOfFile(standard));
      const float = await exported(`float-${opset}.onnx`, "--float", "--opset", String(opset));
      expect((await outputOfFile(float)).every(Number.isFinite)).toBe(true);
      const proto = await decoded(file);
      expect(Number(proto.opsetImport?.find(({ domain = "" }) => domain === "")?.version)).toBe(opset);
    },
  );

  test("--layer-bits wins over all other bits: a number is of weights, a pattern of many layers, the last match counts", async () => {
    const bits = join(folder, "bits.json");
    const layers = {
      "stage1_*": 2,
      stage1_block1_conv1: 5,
      conv1: { weightBits: 6 },
      relu1: { activationBits: 7 },
    };
    await writeFile(bits, JSON.stringify(layers));
    const args = ["--bits", "3", "--activation-bits", "3", "--layer-bits", bits, ...calibration()];
    const file = await exported("layer-bits.onnx", ...args);
    expect(JSON.parse((await metadataOf(file))["qdg.bits"] ?? "")).toMatchObject({
      conv1: [6, 7],
      stage1_block1_conv1: [5, 3],
      stage1_block1_conv2: [2, 7],
      stage2_block1_conv1: [3, 3],
      logits: [8, 0],
    });
  });

  test("warns below 10 dB, names the layers at fault and the remedy", async () => {
    const file = join(folder, "two-bits.onnx");
    const two = ["--bits", "2", "--activation-bits", "2", "--first-last-bits", "2"];
    const args = [...two, ...calibration(), "-o", file];
    const { code, stderr } = await runCli("export", model, ...args);
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /warning: .*(below 10 dB|one class).*Most is lost in \w+ \((weights|activations), 2 bits, .*--layer-bits/,
    );
  });

  test("takes range and labels from Teachable Machine's metadata.json, and --preprocess wins over it", async () => {
    const teachable = await writeResnet(join(folder, "teachable"));
    const metadata = {
      tfjsVersion: "1.3.1",
      tmVersion: "2.4.7",
      packageName: "@teachablemachine/image",
      labels: ["a", "b", "c"],
      imageSize: 16,
    };
    await writeFile(join(folder, "teachable", "metadata.json"), JSON.stringify(metadata));
    const file = join(folder, "teachable.onnx");
    const args = ["--bits", "8", "--calibration", images, "-o", file];
    expect(await runCli("export", teachable, ...args)).toMatchObject({ code: 0 });
    const found = await metadataOf(file);
    expect(JSON.parse(found["qdg.labels"] ?? "")).toEqual(["a", "b", "c"]);
    expect(JSON.parse(found["qdg.preprocessing"] ?? "")).toMatchObject({
      range: [-1, 1],
      resize: "center-crop",
    });
    expect(await runCli("export", teachable, ...args, "--preprocess", "0,1", "--force")).toMatchObject({
      code: 0,
    });
    expect(JSON.parse((await metadataOf(file))["qdg.preprocessing"] ?? "")).toMatchObject({ range: [0, 1] });
  });

  test("takes the size of images from --input-size where the model leaves it open, and keeps it open", async () => {
    const open = await writeResnet(join(folder, "open"), { size: null });
    const file = join(folder, "open.onnx");
    const args = ["--bits", "8", ...calibration(), "--input-size", "16x24", "-o", file];
    expect(await runCli("export", open, ...args)).toMatchObject({ code: 0 });
    for (const shape of [
      [1, 16, 24, 3],
      [2, 20, 16, 3],
    ]) {
      const cpu = await outputOfFile(file, noise(shape));
      expect(difference(cpu, await outputOfFile(file, noise(shape), wasmRuntime))).toBeLessThan(1e-5);
      expect(difference(await outputOfFile(open, noise(shape), tfjsRuntime), cpu)).toBeLessThan(0.2);
    }
  });
});

async function bitsOf(file: string): Promise<unknown> {
  return JSON.parse((await metadataOf(file))["qdg.bits"] ?? "");
}

describe("scales learned in training", () => {
  test("stand in the file exactly, without calibration", async () => {
    const path = await writeResnet(join(folder, "learned"));
    const qdg = await madeUpScales(path, { weightBits: 3, activationBits: 3 });
    const preprocessing = { range: [0, 1], mean: [0], std: [1], resize: "stretch" };
    const extended = { ...qdg, preprocessing, labels: ["x", "y", "z"] };
    await editJson(path, (json: object) => ({ ...json, userDefinedMetadata: { qdg: extended } }));
    const file = join(folder, "learned.onnx");
    const { code, stderr } = await runCli("export", path, "-o", file);
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: expect.stringContaining("scales learned") as string,
    });
    const metadata = await metadataOf(file);
    expect(metadata).toMatchObject({ "qdg.scales": "learned", "qdg.labels": '["x","y","z"]' });
    expect(JSON.parse(metadata["qdg.preprocessing"] ?? "")).toEqual(preprocessing);

    const written = [...(await scalesOf(file)).values()];
    const quantizers = parseLearned({ qdg })?.quantizers ?? new Map<string, never>();
    expect(quantizers.size).toBeGreaterThan(10);
    const gammas = new Set<string>();
    for (const [name, { scale }] of quantizers) {
      // Those of convolutions have the factor of the batch norm behind them multiplied in.
      if (name.endsWith("kernel") && name !== "logits/kernel") {
        gammas.add(name);
        continue;
      }
      expect([
        name,
        written.some((list) => list.length === scale.length && list.every((s, k) => s === scale[k])),
      ]).toEqual([name, true]);
    }
    expect(gammas.size).toBeGreaterThan(3);
  });

  test.each([
    { title: "W3A3", asked: { weightBits: 3, activationBits: 3 }, bits: [3, 3], weightsOnly: false },
    { title: "W3A8", asked: { weightBits: 3 }, bits: [3, 8], weightsOnly: false },
    {
      title: "weights alone, as qt-dog leaves them",
      asked: { weightBits: 3 },
      bits: [3, 0],
      weightsOnly: true,
    },
  ])(
    "at $title make one file with and without --bits 3, which is compared with inner weights alone",
    async ({ asked, bits, weightsOnly }) => {
      const path = await writeResnet(join(folder, `learned-${bits.join("-")}`));
      const qdg = (await madeUpScales(path, asked)) as { quantizers: Record<string, unknown> };
      const names = Object.keys(qdg.quantizers).filter((name) => !weightsOnly || name.endsWith("kernel"));
      const quantizers = Object.fromEntries(names.map((name) => [name, qdg.quantizers[name]]));
      const extended = { ...qdg, quantizers };
      await editJson(path, (json: object) => ({ ...json, userDefinedMetadata: { qdg: extended } }));
      const unasked = join(folder, "unasked.onnx");
      const files = [unasked, ...["bits", "weight-bits"].map((name) => join(folder, `${name}.onnx`))];
      const [, ...named] = files as [string, string, string];
      expect(await runCli("export", path, "-o", unasked, "--force")).toMatchObject({ code: 0 });
      for (const file of named) {
        const option = `--${basename(file, ".onnx")}`;
        expect(await runCli("export", path, option, "3", "-o", file, "--force")).toMatchObject({ code: 0 });
        expect((await readFile(file)).equals(await readFile(unasked))).toBe(true);
      }
      expect(await bitsOf(unasked)).toMatchObject({ stage2_block1_conv1: bits, logits: [8, 0] });
      const other = await runCli("export", path, "--bits", "4", "-o", unasked, "--force");
      expect([other.code, other.stderr]).toEqual([
        1,
        expect.stringMatching(/_conv\d\/kernel: got 4 bits asked for, but its scales were learned at 3/),
      ]);
    },
  );
});

/** A branch of If: one operator on the outer x. */
function branch(name: string, op: string): object {
  const tensorType = { elemType: 1, shape: { dim: [{ dimValue: 2 }] } };
  const node = [{ opType: op, input: ["x"], output: [`${name}_y`] }];
  return { name, node, output: [{ name: `${name}_y`, type: { tensorType } }] };
}

describe("qdg inspect", () => {
  test("shows layers, bits, sizes, kernels and bounds of a quantized file", async () => {
    const file = await exported("inspected.onnx", "--bits", "4", "--activation-bits", "4", ...calibration());
    const { code, stdout, stderr } = await runCli("inspect", file, "--json");
    expect([code, stderr]).toEqual([0, ""]);
    const inspection = JSON.parse(stdout) as Inspection;
    const { size } = await stat(file);
    expect(inspection).toMatchObject({
      path: file,
      sizeBytes: size,
      producer: `qdg ${VERSION}`,
      irVersion: 10,
      notes: [],
    });
    expect(inspection.layers.map(({ layer }) => layer)).toEqual(
      Object.keys(JSON.parse(inspection.metadata["qdg.bits"] ?? "") as object),
    );
    for (const layer of inspection.layers) {
      const isEnd = layer.layer === "conv1" || layer.layer === "logits";
      expect(layer).toMatchObject({ weightBits: isEnd ? 8 : 4, exactInFloat32: true });
      expect(layer.kernel).toBe(layer.op === "Gemm" ? "QGemm" : "QLinearConv");
      // Bit-planes are padded to whole bytes.
      expect(layer.weightBytes).toBe(isEnd ? layer.weightCount : 4 * Math.ceil(layer.weightCount / 8));
      expect(layer.outputShape.slice(1)).not.toContain("?");
    }
    const conv = inspection.layers.find(({ layer }) => layer === "stage1_block1_conv1");
    expect(conv).toMatchObject({
      weightShape: [4, 4, 3, 3],
      outputShape: ["N", 4, 16, 16],
      activationBits: 4,
    });
    // 36 products of at most 8 * 15, and the bias, in steps of the bias: 16 to one of the products.
    expect(conv?.accumulatorBound).toBeLessThan(16 * (36 * 8 * 15 + 2000));
    const table = await runCli("inspect", file);
    expect(table.stdout).toMatch(/stage1_block1_conv1 +Conv +4x4x3x3 +Nx4x16x16 +4 +4 .*QLinearConv .*yes/);
    expect(table.stdout).toMatch(/as ONNX Runtime runs it: .*QLinearConv/);
  });

  test("shows the layers of a float file as float", async () => {
    const file = await exported("inspected-float.onnx", "--float");
    const inspection = JSON.parse((await runCli("inspect", file, "--json")).stdout) as Inspection;
    expect(inspection.notes).toEqual([]);
    expect(inspection.layers.length).toBeGreaterThan(5);
    for (const layer of inspection.layers) {
      expect(layer).toMatchObject({
        weightBits: null,
        activationBits: null,
        kernel: null,
        weightScale: null,
      });
      expect(layer.weightBytes).toBe(4 * layer.weightCount);
    }
  });

  test("outlines a file of others with control flow, and says that it lists no layers", async () => {
    const file = join(folder, "foreign.onnx");
    const attribute = [
      { name: "then_branch", type: 5, g: branch("then", "Neg") },
      { name: "else_branch", type: 5, g: branch("else", "Abs") },
    ];
    const tensorType = { elemType: 1, shape: { dim: [{ dimValue: 2 }] } };
    const foreign = {
      irVersion: 8,
      producerName: "somebody",
      opsetImport: [{ domain: "", version: 17 }],
      graph: {
        name: "g",
        node: [{ opType: "If", input: ["c"], output: ["y"], attribute }],
        input: [
          { name: "x", type: { tensorType } },
          { name: "c", type: { tensorType: { elemType: 9, shape: { dim: [] } } } },
        ],
        output: [{ name: "y", type: { tensorType } }],
      },
    };
    await writeFile(file, encodeModel(foreign));
    const { code, stdout, stderr } = await runCli("inspect", file);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/written by somebody; IR 8, opset ai\.onnx 17/);
    expect(stdout).toMatch(/input {2}x: float \[2\]/);
    expect(stdout).toMatch(/operators: 1 If/);
    expect(stdout).toMatch(/note: an export refuses it, and layers are not listed: .*If/);
  });

  test("refuses what is no model", async () => {
    const text = join(folder, "notes.txt");
    await writeFile(text, "no model\n");
    expect(await runCli("inspect", text)).toMatchObject({ code: 1, stdout: "" });
    const missing = await runCli("inspect", join(folder, "none.onnx"));
    expect(missing).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^error: .*none\.onnx: .*\n$/) as string,
    });
  });
});

describe("qdg parity", () => {
  test("fails a network whose weights are all zero: it is dead, and equal everywhere", async () => {
    await mkdir(join(folder, "dead"));
    const dead = await writeResnet(join(folder, "dead"));
    const shard = join(folder, "dead", "group1-shard1of1.bin");
    const bytes = await readFile(shard);
    await writeFile(shard, Buffer.alloc(bytes.length));
    const file = join(folder, "dead.onnx");
    expect(await runCli("export", dead, "--bits", "4", ...calibration(), "-o", file)).toMatchObject({
      code: 0,
    });
    const { code, stderr } = await runCli("parity", file, "--data", images);
    expect(code).toBe(3);
    expect(stderr).toMatch(/dead network/);
  });

  test("compared with the file before one bit of it was flipped, no longer passes", async () => {
    const file = await exported("whole.onnx", "--bits", "4", ...calibration());
    const proto = await decoded(file);
    const planes = proto.graph?.initializer?.find(
      ({ dims, dataType }) => dims?.length === 2 && dataType === 2,
    );
    expect(planes?.rawData?.length).toBeGreaterThan(0);
    // The sign of one weight.
    const bytes = planes?.rawData as Uint8Array;
    bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
    const tampered = join(folder, "tampered.onnx");
    await writeFile(tampered, encodeModel(proto));
    const against = async (path: string): Promise<ParityReport> =>
      JSON.parse(
        (await runCli("parity", path, "--data", images, "--reference", file, "--json")).stdout,
      ) as ParityReport;
    expect((await against(file)).float?.outputs[0]).toMatchObject({ sqnrDb: null, top1Agreement: 1 });
    expect((await against(tampered)).float?.outputs[0]?.sqnrDb).toBeLessThan(60);
  });
});
