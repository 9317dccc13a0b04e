import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { float32, type Tensor } from "../../src/base/tensor.js";
import { tfjsRuntime } from "../../src/runtime/tfjs.js";

let folder: string;
const warnings = vi.spyOn(console, "warn");
const logs = vi.spyOn(console, "log");

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "qdg-tfjs-"));
  // The test's own tensors live here; the runtime has to leave this choice alone.
  tf.env().set("PROD", true);
  await tf.setBackend("cpu");
});
afterAll(() => rm(folder, { recursive: true }));

/** Writes a model as tfjs would, its weights in `shards` files; `change` edits model.json. */
async function save(
  name: string,
  model: tf.LayersModel,
  shards = 1,
  change: (json: Record<string, unknown>) => void = () => undefined,
): Promise<string> {
  const path = join(folder, name, "model.json");
  await mkdir(dirname(path), { recursive: true });
  await model.save(
    tf.io.withSaveHandler(async (artifacts) => {
      const data = new Uint8Array(artifacts.weightData as ArrayBuffer);
      const size = Math.ceil(data.length / shards);
      const paths = Array.from({ length: shards }, (_, i) => `shard${i}.bin`);
      for (const [i, file] of paths.entries()) {
        await writeFile(join(dirname(path), file), data.subarray(i * size, (i + 1) * size));
      }
      const json: Record<string, unknown> = {
        format: "layers-model",
        modelTopology: artifacts.modelTopology,
        weightsManifest: [{ paths, weights: artifacts.weightSpecs }],
      };
      change(json);
      await writeFile(path, JSON.stringify(json));
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: "JSON" } };
    }),
  );
  return path;
}

const manifest = (json: Record<string, unknown>): { paths: string[] } =>
  (json["weightsManifest"] as [{ paths: string[] }])[0];

const classifier = (): tf.LayersModel =>
  tf.sequential({
    layers: [
      tf.layers.conv2d({
        inputShape: [8, 8, 3],
        filters: 4,
        kernelSize: 3,
        strides: 2,
        padding: "same",
        name: "conv",
      }),
      tf.layers.batchNormalization({ name: "norm" }),
      tf.layers.reLU({ name: "relu" }),
      tf.layers.globalAveragePooling2d({ name: "pool" }),
      tf.layers.dense({ units: 5, activation: "softmax", name: "dense" }),
    ],
  });

const units = (n: number, name: string): tf.layers.Layer => tf.layers.dense({ units: n, name });

const wave = (length: number): Float32Array => Float32Array.from({ length }, (_, i) => Math.sin(0.37 * i));
const image = (batch: number): Tensor => float32([batch, 8, 8, 3], wave(batch * 192));

describe("runtime tfjs", () => {
  test("says its version, and which backend computes", async () => {
    expect(await tfjsRuntime.probe()).toEqual({
      available: true,
      version: expect.stringMatching(/^@tensorflow\/tfjs 4\.\d+\.\d+ \(backend wasm; cpu where/),
    });
  });

  test.each([1, 3])("computes what tfjs computes, from %i shards, in any batch", async (shards) => {
    const model = classifier();
    const session = await tfjsRuntime.open({ path: await save(`classifier${shards}`, model, shards) });
    expect(session.inputs).toEqual([{ name: "conv_input", dtype: "float32", shape: ["N", 8, 8, 3] }]);
    expect(session.outputs).toEqual([{ name: "dense", dtype: "float32", shape: ["N", 5] }]);
    for (const batch of [1, 2, 40]) {
      const { dense } = await session.run({ conv_input: image(batch) });
      const expected = tf.tidy(
        () => model.predict(tf.tensor4d(wave(batch * 192), [batch, 8, 8, 3])) as tf.Tensor,
      );
      expect(dense?.dtype).toBe("float32");
      expect(dense?.shape).toEqual([batch, 5]);
      const data = expected.dataSync();
      (dense as Tensor).data.forEach((value, i) => expect(Number(value)).toBeCloseTo(data[i] as number, 5));
      expected.dispose();
    }
    await session.dispose();
    model.dispose();
  });

  test("gives several inputs and outputs by the names of their layers, in tfjs's order", async () => {
    const ids = tf.input({ shape: [3], dtype: "int32", name: "ids" });
    const x = tf.input({ shape: [2], name: "x" });
    const table = tf.layers
      .embedding({ inputDim: 4, outputDim: 2, name: "table" })
      .apply(ids) as tf.SymbolicTensor;
    const shared = tf.layers.dense({ units: 2, useBias: false, name: "shared" });
    const flat = tf.layers.flatten({ name: "flat" }).apply(table) as tf.SymbolicTensor;
    const model = tf.model({
      inputs: [x, ids],
      outputs: [
        flat,
        shared.apply(x) as tf.SymbolicTensor,
        shared.apply(shared.apply(x)) as tf.SymbolicTensor,
      ],
    });
    const session = await tfjsRuntime.open({ path: await save("several", model) });
    expect(session.inputs).toEqual([
      { name: "x", dtype: "float32", shape: ["N", 2] },
      { name: "ids", dtype: "int32", shape: ["N", 3] },
    ]);
    expect(session.outputs.map((output) => output.name)).toEqual(["flat", "shared", "shared:1"]);
    const outputs = await session.run({
      ids: { dtype: "int32", shape: [1, 3], data: Int32Array.of(3, 0, 2) },
      x: float32([1, 2], [1, -2]),
    });
    const rows = (model.getLayer("table").getWeights()[0] as tf.Tensor2D).arraySync();
    expect([...(outputs["flat"] as Tensor).data]).toEqual([3, 0, 2].flatMap((id) => rows[id]));
    const [[a, b], [c, d]] = (shared.getWeights()[0] as tf.Tensor2D).arraySync() as [
      [number, number],
      [number, number],
    ];
    const once = [a - 2 * c, b - 2 * d] as const;
    expect([...(outputs["shared"] as Tensor).data].map(Number)).toEqual(
      once.map((v) => expect.closeTo(v, 5)),
    );
    expect([...(outputs["shared:1"] as Tensor).data].map(Number)).toEqual(
      [once[0] * a + once[1] * c, once[0] * b + once[1] * d].map((v) => expect.closeTo(v, 5)),
    );
    await session.dispose();
    model.dispose();
  });

  test("names the output of a model within a model by the inner layer", async () => {
    const inner = tf.sequential({
      layers: [tf.layers.inputLayer({ inputShape: [3], name: "start" }), units(4, "first")],
    });
    const x = tf.input({ shape: [4], name: "x2" });
    const head = tf.model({
      inputs: x,
      outputs: ["left", "right"].map((name) => units(2, name).apply(x) as tf.SymbolicTensor),
    });
    const input = tf.input({ shape: [3], name: "outer" });
    const [left, right] = head.apply(inner.apply(input)) as [tf.SymbolicTensor, tf.SymbolicTensor];
    const model = tf.model({ inputs: input, outputs: [right, left] });
    const session = await tfjsRuntime.open({ path: await save("nested", model) });
    expect(session.inputs.map(({ name }) => name)).toEqual(["outer"]);
    expect(session.outputs.map(({ name }) => name)).toEqual(["right", "left"]);
    const outputs = await session.run({ outer: float32([1, 3], [1, 2, 3]) });
    const expected = model.predict(tf.tensor2d([1, 2, 3], [1, 3])) as tf.Tensor[];
    for (const [i, name] of ["right", "left"].entries()) {
      expect(Array.from((outputs[name] as Tensor).data, Number)).toEqual(
        Array.from((expected[i] as tf.Tensor).dataSync(), (value) => expect.closeTo(value, 5)),
      );
    }
    await session.dispose();

    const stacked = tf.sequential({
      layers: [
        inner,
        tf.sequential({ layers: [tf.layers.dense({ units: 2, inputShape: [4], name: "last" })] }),
      ],
    });
    const second = await tfjsRuntime.open({ path: await save("stacked", stacked) });
    expect(second.inputs.map(({ name }) => name)).toEqual(["start"]);
    expect(second.outputs.map(({ name }) => name)).toEqual(["last"]);
    await second.dispose();
  });

  test("leaves no tensor behind, nor another backend", async () => {
    const model = classifier();
    const path = await save("leaks", model);
    model.dispose();
    const before = tf.memory().numTensors;
    const session = await tfjsRuntime.open({ path });
    expect(tf.getBackend()).toBe("cpu");
    const open = tf.memory().numTensors;
    expect(open).toBeGreaterThan(before);
    for (let i = 0; i < 3; i++) await session.run({ conv_input: image(2) });
    await session.run({ conv_input: float32([1], [1]) }).catch(() => undefined);
    expect(tf.memory().numTensors).toBe(open);
    expect(tf.getBackend()).toBe("cpu");
    await session.dispose();
    await session.dispose();
    expect(tf.memory().numTensors).toBe(before);
    await expect(session.run({ conv_input: image(1) })).rejects.toThrow(/was disposed of/);
  });

  test("goes on with the JavaScript backend where the WebAssembly one lacks a kernel", async () => {
    const x = tf.input({ shape: [3], name: "x" });
    const model = tf.model({
      inputs: x,
      outputs: tf.layers
        .dense({ units: 3, kernelInitializer: "identity", activation: "softplus", name: "sum" })
        .apply(x) as tf.SymbolicTensor,
    });
    const session = await tfjsRuntime.open({ path: await save("softplus", model) });
    const backends: string[] = [];
    const [wasm, cpu] = (["wasm", "cpu"] as const).map((name) => tf.getKernel("Softplus", name));
    if (!wasm || !cpu) throw new Error("tfjs has no Softplus");
    const replace = (kernel: typeof wasm): void => {
      tf.unregisterKernel("Softplus", kernel.backendName);
      tf.registerKernel(kernel);
    };
    const lacking = (): never => {
      backends.push("wasm");
      throw new Error("Kernel 'Softplus' not registered for backend 'wasm'");
    };
    const told: typeof cpu.kernelFunc = (given) => {
      backends.push("cpu");
      return cpu.kernelFunc(given);
    };
    replace({ ...wasm, kernelFunc: lacking });
    replace({ ...cpu, kernelFunc: told });
    try {
      for (let i = 0; i < 2; i++) {
        const { sum } = await session.run({ x: float32([1, 3], [-1, 0, 2]) });
        const expected = [-1, 0, 2].map((v) => expect.closeTo(Math.log1p(Math.exp(v)), 5));
        expect([...(sum as Tensor).data].map(Number)).toEqual(expected);
      }
      expect(backends).toEqual(["wasm", "cpu", "cpu"]);
      const before = tf.memory().numTensors;
      await session.dispose();
      expect(tf.memory().numTensors).toBeLessThan(before);
    } finally {
      replace(wasm);
      replace(cpu);
    }
    model.dispose();
  });

  test.each([
    ["a convolution", tf.layers.conv2d],
    ["a depthwise one", tf.layers.depthwiseConv2d],
  ] as const)("computes %s whose stride skips pixels, which tfjs's wasm does not", async (name, layer) => {
    const options = {
      kernelSize: 2,
      strides: 3,
      padding: "same",
      filters: 2,
      inputShape: [6, 6, 2],
    } as const;
    const inner = tf.sequential({ layers: [layer({ ...options, inputShape: [...options.inputShape] })] });
    const model = tf.sequential({ layers: [inner, tf.layers.flatten()] });
    const session = await tfjsRuntime.open({ path: await save(`skips-${name}`, model) });
    const x = tf.randomNormal([1, 6, 6, 2], 0, 1, "float32", 1);
    const result = await session.run({
      [session.inputs[0]?.name ?? ""]: float32([1, 6, 6, 2], x.dataSync()),
    });
    const own = Object.values(result)[0]?.data ?? [];
    expect([...own]).toEqual([...(model.predict(x) as tf.Tensor).dataSync()]);
    expect(Math.min(...[...own].map((y) => Math.abs(Number(y))))).toBeGreaterThan(0);
    await session.dispose();
  });

  test("runs calls that overlap one after the other", async () => {
    const model = classifier();
    const path = await save("overlap", model);
    model.dispose();
    const [one, two] = await Promise.all([tfjsRuntime.open({ path }), tfjsRuntime.open({ path })]);
    const results = await Promise.all(
      [1, 2, 3].flatMap((n) => [one, two].map((s) => s.run({ conv_input: image(n) }))),
    );
    expect(results.map((result) => result["dense"]?.shape[0])).toEqual([1, 1, 2, 2, 3, 3]);
    expect(results[0]).toEqual(results[1]);
    await one.dispose();
    await two.dispose();
  });

  test("reads a file that begins with a byte-order mark and has no format", async () => {
    const model = classifier();
    const path = await save("bom", model, 1, (json) => delete json["format"]);
    model.dispose();
    await writeFile(path, `\uFEFF${await readFile(path, "utf8")}`);
    const session = await tfjsRuntime.open({ path });
    expect(session.outputs.map((output) => output.name)).toEqual(["dense"]);
    await session.dispose();
  });

  test("prints nothing", () => {
    expect(warnings).not.toHaveBeenCalled();
    expect(logs).not.toHaveBeenCalled();
  });

  describe("refuses", () => {
    test.each<[string, (json: Record<string, unknown>) => void, string, RegExp]>([
      [
        "a graph-model without nodes",
        (json) => (json["format"] = "graph-model"),
        "invalid-model",
        /modelTopology\.node: got nothing/,
      ],
      [
        "a file without a topology",
        (json) => delete json["modelTopology"],
        "invalid-model",
        /modelTopology: got nothing/,
      ],
      [
        "a shard that is not there",
        (json) => (manifest(json).paths = ["none.bin"]),
        "not-found",
        /none\.bin/,
      ],
      [
        "a shard above the folder",
        (json) => (manifest(json).paths = ["../up.bin"]),
        "invalid-path",
        /"\.\.\/up\.bin"/,
      ],
      [
        "an absolute shard",
        (json) => (manifest(json).paths = ["/etc/hostname"]),
        "invalid-path",
        /absolute path/,
      ],
      ["a URL", (json) => (manifest(json).paths = ["http://localhost/w.bin"]), "invalid-path", /is a URL/],
      [
        "a shard that is a link out",
        (json) => (manifest(json).paths = ["link.bin"]),
        "invalid-path",
        /"link\.bin"/,
      ],
      [
        "weights cut short",
        (json) => (manifest(json).paths = ["short.bin"]),
        "invalid-weights",
        /short\.bin: got 8 bytes, expected \d+/,
      ],
    ])("%s", async (name, change, code, message) => {
      const model = classifier();
      const path = await save(name.replaceAll(" ", "-"), model, 1, change);
      model.dispose();
      await writeFile(join(folder, "up.bin"), "x");
      await writeFile(join(dirname(path), "short.bin"), new Uint8Array(8));
      await symlink(join(folder, "up.bin"), join(dirname(path), "link.bin"));
      const before = tf.memory().numTensors;
      await expect(tfjsRuntime.open({ path })).rejects.toThrow(expect.objectContaining({ code }));
      await expect(tfjsRuntime.open({ path })).rejects.toThrow(message);
      expect(tf.memory().numTensors).toBe(before);
    });

    test("bytes, a missing file, and what is no JSON", async () => {
      await expect(tfjsRuntime.open({ bytes: new Uint8Array(3) })).rejects.toThrow(/path of a model\.json/);
      await expect(tfjsRuntime.open({ path: join(folder, "none.json") })).rejects.toThrow(
        expect.objectContaining({ code: "not-found" }),
      );
      await writeFile(join(folder, "bad.json"), "{");
      await expect(tfjsRuntime.open({ path: join(folder, "bad.json") })).rejects.toThrow(
        expect.objectContaining({ code: "invalid-json", where: join(folder, "bad.json") }),
      );
      await writeFile(join(folder, "null.json"), "null");
      await expect(tfjsRuntime.open({ path: join(folder, "null.json") })).rejects.toThrow(
        expect.objectContaining({ code: "unsupported-model" }),
      );
    });

    test("a feed of another shape", async () => {
      const model = classifier();
      const session = await tfjsRuntime.open({ path: await save("feeds", model) });
      model.dispose();
      await expect(session.run({ conv_input: float32([1, 8, 8, 1], wave(64)) })).rejects.toThrow(
        /input "conv_input": shape: got \[1, 8, 8, 1\], expected \[N, 8, 8, 3\]/,
      );
      await session.dispose();
    });
  });
});
