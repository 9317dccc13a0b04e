// Graph-models for tests: nodes and weights as tensorflowjs_converter writes them, and the comparison of tfjs (the oracle)
// with ONNX Runtime on our float export.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import * as ort from "onnxruntime-node";
import { expect, test } from "vitest";
import { floatFile } from "../../src/export/float-file.js";
import type { Graph } from "../../src/graph/graph.js";
import { FLOAT_PASSES, runPasses } from "../../src/graph/passes/pipelines.js";
import { verifyGraph } from "../../src/graph/verify.js";
import { checkGraphJson } from "../../src/read/graph-model/graph-json.js";
import { readGraphModel } from "../../src/read/graph-model/read-graph-model.js";
import type { ReadOptions } from "../../src/read/layers-model.js";
import { decodeWeights } from "../../src/read/weights.js";
import { chance, type Chance } from "./layer-cases.js";
import { seeded } from "./layers-models.js";

type DType = "float32" | "int32" | "bool";
type Attr = Readonly<Record<string, unknown>>;

export interface TestNode {
  readonly name: string;
  readonly op: string;
  readonly input?: readonly string[];
  readonly attr?: Readonly<Record<string, Attr>>;
}

export interface TestInput {
  /** null: open */
  readonly shape: readonly (number | null)[];
  readonly dtype?: DType;
  /** Integers below this are fed; booleans are 0 or 1. */
  readonly below?: number;
  /** Reals are spread over this, -2..2 when absent. */
  readonly range?: readonly [number, number];
}

export interface TestWeight {
  readonly shape: readonly number[];
  readonly data: readonly number[];
  readonly dtype?: DType;
}

/** What nodes of control flow call. Its constants are weights of the model by their names. */
export interface TestFunction {
  readonly name: string;
  readonly inputs: readonly string[];
  readonly nodes: readonly TestNode[];
  /** Names of its own weights that it reads. */
  readonly weights?: readonly string[];
  /** Tensors as functions write them: `node:what:0`, or an input. */
  readonly outputs: readonly string[];
}

export interface TestGraph {
  readonly inputs: Readonly<Record<string, TestInput>>;
  readonly nodes: readonly TestNode[];
  readonly weights?: Readonly<Record<string, TestWeight>>;
  readonly functions?: readonly TestFunction[];
  /** Tensors by node, `node:1` for a second output. */
  readonly outputs: readonly string[];
}

export const i = (value: number): Attr => ({ i: String(value) });
export const f = (value: number): Attr => ({ f: value });
export const b = (value: boolean): Attr => ({ b: value });
export const s = (value: string): Attr => ({ s: Buffer.from(value).toString("base64") });
export const type = (value: string): Attr => ({ type: value });
export const ints = (...values: readonly number[]): Attr => ({ list: { i: values.map(String) } });
export const texts = (...values: readonly string[]): Attr => ({
  list: { s: values.map((value) => Buffer.from(value).toString("base64")) },
});

export function node(
  name: string,
  op: string,
  input: readonly string[],
  attr: Readonly<Record<string, Attr>> = {},
): TestNode {
  return { name, op, input, attr };
}

/** A convolution "c" of "x" by "w", of its size. */
export const conv: ReturnType<typeof node> = node("c", "Conv2D", ["x", "w"], {
  strides: ints(1, 1, 1, 1),
  dilations: ints(1, 1, 1, 1),
  padding: s("SAME"),
});

/** Integers as a weight. */
export function intWeight(shape: readonly number[], ...data: readonly number[]): TestWeight {
  return { shape, data, dtype: "int32" };
}

/** Reals in -1..1, none of them 0. */
export function realWeight(c: Chance, ...shape: readonly number[]): TestWeight {
  const size = shape.reduce((product, dim) => product * dim, 1);
  return {
    shape,
    data: Array.from({ length: size }, () => (c.number() < 0.5 ? -1 : 1) * (0.05 + c.number())),
  };
}

const TF_TYPES: Readonly<Record<DType, string>> = { float32: "DT_FLOAT", int32: "DT_INT32", bool: "DT_BOOL" };

function shapeJson(shape: readonly (number | null)[]): unknown {
  return { dim: shape.map((size) => ({ size: String(size ?? -1) })) };
}

function info(name: string, dtype: DType, shape?: readonly (number | null)[]): unknown {
  return {
    name: name.includes(":") ? name : `${name}:0`,
    dtype: TF_TYPES[dtype],
    ...(shape && { tensorShape: shapeJson(shape) }),
  };
}

/** What model.json holds, as parsed JSON, and its weights. */
export function modelJson(graph: TestGraph): { json: Record<string, unknown>; bytes: Uint8Array } {
  const weights = Object.entries(graph.weights ?? {});
  const inputs = Object.entries(graph.inputs);
  const placeholders = inputs.map(([name, { shape, dtype = "float32" }]) => ({
    name,
    op: "Placeholder",
    attr: { dtype: type(TF_TYPES[dtype]), shape: { shape: shapeJson(shape) } },
  }));
  const inFunctions = new Set((graph.functions ?? []).flatMap((each) => each.weights ?? []));
  const constants = weights
    .filter(([name]) => !inFunctions.has(name))
    .map(([name, weight]) => constantJson(name, weight));
  const signature = {
    inputs: Object.fromEntries(
      inputs.map(([name, { shape, dtype = "float32" }]) => [`${name}_in`, info(name, dtype, shape)]),
    ),
    outputs: Object.fromEntries(graph.outputs.map((name, k) => [`out_${k}`, info(name, "float32")])),
  };
  return {
    json: {
      format: "graph-model",
      signature,
      modelTopology: {
        node: [...placeholders, ...constants, ...graph.nodes],
        library: libraryJson(graph),
        versions: {},
      },
      weightsManifest: [
        {
          paths: ["weights.bin"],
          weights: weights.map(([name, { shape, dtype = "float32" }]) => ({ name, shape, dtype })),
        },
      ],
    },
    bytes: new Uint8Array(Buffer.concat(weights.map(([, weight]) => bytesOf(weight)))),
  };
}

function constantJson(name: string, { shape, dtype = "float32" }: TestWeight): TestNode {
  const value = { tensor: { dtype: TF_TYPES[dtype], tensorShape: shapeJson(shape) } };
  return { name, op: "Const", attr: { dtype: type(TF_TYPES[dtype]), value } };
}

function libraryJson({ functions, weights = {} }: TestGraph): unknown {
  if (!functions) return {};
  return {
    function: functions.map(({ name, inputs, nodes, weights: own = [], outputs }) => ({
      signature: {
        name,
        inputArg: inputs.map((input) => ({ name: input, type: "DT_FLOAT" })),
        outputArg: outputs.map((_, k) => ({ name: `out${k}`, type: "DT_FLOAT" })),
      },
      nodeDef: [...own.map((weight) => constantJson(weight, weights[weight] as TestWeight)), ...nodes],
      ret: Object.fromEntries(outputs.map((output, k) => [`out${k}`, output])),
    })),
  };
}

function bytesOf({ data, dtype = "float32" }: TestWeight): Uint8Array {
  if (dtype === "bool") return Uint8Array.from(data);
  const typed = dtype === "int32" ? Int32Array.from(data) : Float32Array.from(data);
  return new Uint8Array(typed.buffer);
}

/** Writes model.json and weights.bin. @returns path of model.json */
export async function writeGraphModel(
  folder: string,
  graph: TestGraph,
  extra: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const { json, bytes } = modelJson(graph);
  await writeFile(join(folder, "weights.bin"), bytes);
  await writeFile(join(folder, "model.json"), JSON.stringify({ ...json, ...extra }));
  return join(folder, "model.json");
}

export function readTestGraph(graph: TestGraph, options: ReadOptions = {}): Graph {
  const { json, bytes } = modelJson(graph);
  const checked = checkGraphJson(json, "model.json");
  return readGraphModel(checked, decodeWeights(checked.weightsManifest, [bytes], "model.json"), options);
}

interface Fed {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly data: Float32Array | Int32Array | Uint8Array;
}

function feedsOf(graph: TestGraph, seed: number): Map<string, Fed> {
  const random = seeded(seed);
  return new Map(
    Object.entries(graph.inputs).map(
      ([name, { shape: given, dtype = "float32", below = 4, range = [-2, 2] }]) => {
        // Open sizes: two samples, five of anything else.
        const shape = given.map((size, axis) => size ?? (axis === 0 ? 2 : 5));
        const size = shape.reduce((product, dim) => product * dim, 1);
        const [low, high] = range;
        const real = (): number => low + (high - low) * random();
        const whole = (): number => Math.floor(random() * (dtype === "bool" ? 2 : below));
        const data =
          dtype === "float32"
            ? Float32Array.from({ length: size }, real)
            : dtype === "int32"
              ? Int32Array.from({ length: size }, whole)
              : Uint8Array.from({ length: size }, whole);
        return [name, { shape, dtype, data }];
      },
    ),
  );
}

interface Result {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

async function byTfjs(graph: TestGraph, feeds: ReadonlyMap<string, Fed>): Promise<Result[]> {
  const { json, bytes } = modelJson(graph);
  await tf.setBackend("cpu");
  const manifest = json["weightsManifest"] as { weights: tf.io.WeightsManifestEntry[] }[];
  const model = await tf.loadGraphModel(
    tf.io.fromMemory({
      modelTopology: json["modelTopology"] as object,
      weightSpecs: manifest[0]?.weights ?? [],
      weightData: bytes.buffer as ArrayBuffer,
    }),
  );
  const inputs = Object.fromEntries(
    [...feeds].map(([name, { shape, dtype, data }]) => [name, tf.tensor(data, [...shape], dtype)]),
  );
  const names = graph.outputs.map((name) => (name.includes(":") ? name : `${name}:0`));
  const outputs = await model.executeAsync(inputs, names);
  const results = (Array.isArray(outputs) ? outputs : [outputs]).map((tensor) => ({
    shape: [...tensor.shape],
    data: tensor.dataSync() as ArrayLike<number>,
  }));
  model.dispose();
  return results;
}

async function byOnnxRuntime(read: Graph, feeds: ReadonlyMap<string, Fed>): Promise<Result[]> {
  const bytes = floatFile(runPasses(read, FLOAT_PASSES), 21);
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3 });
  const tensors = [...feeds.values()].map(
    ({ shape, dtype, data }) => new ort.Tensor(dtype, data as never, shape),
  );
  const named = Object.fromEntries(read.inputs.map(({ name }, k) => [name, tensors[k] as ort.Tensor]));
  const results = await session.run(named);
  await session.release();
  return read.outputs.map(({ name }) => {
    const { dims, data } = results[name] as ort.Tensor;
    return { shape: dims, data: data as unknown as ArrayLike<number> };
  });
}

/** Largest |tfjs - ORT| relative to the largest |tfjs|, or to 1 where that is larger; shapes have to agree. */
export async function compareGraphModel(
  graph: TestGraph,
  seed = 1,
): Promise<{ difference: number; read: Graph }> {
  const read = readTestGraph(graph);
  verifyGraph(read);
  const feeds = feedsOf(graph, seed);
  const expected = await byTfjs(graph, feeds);
  const got = await byOnnxRuntime(read, feeds);
  let difference = 0;
  expected.forEach(({ shape, data }, k) => {
    const { shape: ours, data: values } = got[k] as Result;
    expect(ours, `shape of ${graph.outputs[k]}`).toEqual(shape);
    read.outputs[k]?.shape.forEach((dim, axis) => {
      expect(typeof dim === "number" ? dim : ours[axis], `declared axis ${axis}`).toBe(ours[axis]);
    });
    let [largest, apart] = [1, 0];
    for (let at = 0; at < data.length; at++) {
      const [want, has] = [Number(data[at]), Number(values[at])];
      if (Object.is(want, has) || (Number.isNaN(want) && Number.isNaN(has))) continue;
      largest = Number.isFinite(want) ? Math.max(largest, Math.abs(want)) : largest;
      const d = Math.abs(want - has);
      apart = Math.max(apart, Number.isNaN(d) ? Number.POSITIVE_INFINITY : d);
    }
    difference = Math.max(difference, apart / largest);
  });
  return { difference, read };
}

export interface OpCase {
  readonly title: string;
  readonly graph: (chance: Chance) => TestGraph;
  readonly seeds?: number;
}

/** Sums of a few hundred products in float32, in another order, and functions that two libraries approximate. */
const TOLERANCE = 1e-5;

/** One test a case, over several random graphs. */
export function testOps(cases: readonly OpCase[]): void {
  for (const { title, graph, seeds = 4 } of cases) {
    test(`${title}: what tfjs computes`, async () => {
      for (let seed = 1; seed <= seeds; seed++) {
        const made = graph(chance(seed * 7919));
        const { difference } = await compareGraphModel(made, seed);
        expect(difference, `seed ${seed}: ${JSON.stringify(made.nodes)}`).toBeLessThan(TOLERANCE);
      }
    });
  }
}
