// Golden: models as Keras 3 and tensorflowjs write them, and the outputs that Keras computed. Made by bench/keras/golden.py.

import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as ort from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { float32, type Tensor } from "../../src/base/tensor.js";
import { readModel } from "../../src/read/read-model.js";
import { tfjsRuntime } from "../../src/runtime/tfjs.js";
import { floatBytes } from "../support/layers-models.js";

interface Packed {
  readonly dtype: "float32" | "int32";
  readonly shape: readonly number[];
  readonly data: readonly number[];
}
interface Golden {
  readonly model: Record<string, unknown> & {
    readonly weightsManifest: readonly { readonly paths: string[] }[];
  };
  readonly weights: string;
  readonly inputs: readonly Packed[];
  readonly outputs: readonly Packed[];
}

/** Of the largest output: Keras, ONNX Runtime and tfjs add float32 numbers in orders of their own. */
const TOLERANCE = 2e-5;
/** Keras computes this one in float16, everything here in float32. */
const TOLERANCES: Readonly<Record<string, number>> = { "mixed_precision.h5.json": 1e-3 };
const source = fileURLToPath(new URL("keras3", import.meta.url));
const names = (await readdir(source)).filter((name) => name.endsWith(".json"));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "qdg-keras3-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function open(name: string): Promise<{ readonly golden: Golden; readonly path: string }> {
  const golden = JSON.parse(await readFile(join(source, name), "utf8")) as Golden;
  const bin = `${name}.bin`;
  const [group] = golden.model.weightsManifest;
  const weightsManifest = [{ ...group, paths: [bin] }];
  const path = join(folder, name);
  await writeFile(path, JSON.stringify({ ...golden.model, weightsManifest }));
  await writeFile(join(folder, bin), Buffer.from(golden.weights, "base64"));
  return { golden, path };
}

function expectClose(name: string, got: ArrayLike<number>, { data }: Packed): void {
  expect(got.length).toBe(data.length);
  const bound = (TOLERANCES[name] ?? TOLERANCE) * Math.max(1, ...data.map(Math.abs));
  const far = data.map((x, i) => Math.abs(x - Number(got[i]))).filter((d) => !(d <= bound));
  expect(far).toEqual([]);
}

describe("a Keras 3 model computes what Keras computes", () => {
  test.each(names)("%s", async (name) => {
    const { golden, path } = await open(name);
    const { graph } = await readModel(path);
    const session = await ort.InferenceSession.create(floatBytes(graph), { logSeverityLevel: 3 });
    const feeds = graph.inputs.map(({ name: input, dtype }, i): [string, ort.Tensor] => {
      const { shape, data } = golden.inputs[i] as Packed;
      return dtype === "int32"
        ? [input, new ort.Tensor("int32", Int32Array.from(data), shape)]
        : [input, new ort.Tensor("float32", Float32Array.from(data), shape)];
    });
    const results = await session.run(Object.fromEntries(feeds));
    expect(graph.outputs).toHaveLength(golden.outputs.length);
    graph.outputs.forEach((output, i) => {
      const { dims, data } = results[output.name] as ort.Tensor;
      expect(dims).toEqual(golden.outputs[i]?.shape);
      expectClose(name, data as Float32Array, golden.outputs[i] as Packed);
    });
    await session.release();
  });
});

describe("stock tfjs, which refuses the file as it is, computes the same from its classic form", () => {
  test.each(names.filter((name) => !name.startsWith("unlike_tfjs")))("%s", async (name) => {
    const { golden, path } = await open(name);
    const session = await tfjsRuntime.open({ path });
    const feeds = session.inputs.map(({ name: input, dtype }, i): [string, Tensor] => {
      const { shape, data } = golden.inputs[i] as Packed;
      return dtype === "int32"
        ? [input, { dtype, shape, data: Int32Array.from(data) }]
        : [input, float32(shape, Float32Array.from(data))];
    });
    const results = await session.run(Object.fromEntries(feeds));
    expect(session.outputs).toHaveLength(golden.outputs.length);
    session.outputs.forEach((output, i) => {
      expectClose(name, results[output.name]?.data as Float32Array, golden.outputs[i] as Packed);
    });
    await session.dispose();
  });
});
