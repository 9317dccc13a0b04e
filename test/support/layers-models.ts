// Models for tests: tfjs models with random weights that leave nothing neutral, saved as model.json in memory
// or in a folder, and the comparison of tfjs (the oracle) with ONNX Runtime on our float export.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import * as ort from "onnxruntime-node";
import type { Graph } from "../../src/graph/graph.js";
import { expandComposites } from "../../src/graph/passes/expand-composites.js";
import { foldFlattenTranspose } from "../../src/graph/passes/fold-flatten-transpose.js";
import { keepPads } from "../../src/graph/passes/keep-pads.js";
import { encodeModel } from "../../src/onnx/codec.js";
import { graphToModel } from "../../src/onnx/from-graph.js";
import { readLayersModel, type ReadOptions } from "../../src/read/layers-model.js";
import { checkModelJson, type ModelJson } from "../../src/read/model-json.js";
import { decodeWeights, type Weights } from "../../src/read/weights.js";

export interface SavedModel {
  /** What model.json holds, as parsed JSON. */
  readonly json: Record<string, unknown>;
  /** The bytes of its one weight shard. */
  readonly weights: Uint8Array;
}

/** A generator of numbers in [0, 1), the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Random weights everywhere: statistics that are not 0 and 1, gammas of both signs, biases that are not 0. */
export function randomizeWeights(model: tf.LayersModel, random: () => number): void {
  for (const weight of model.weights) {
    const size = weight.shape.reduce<number>((product, dim) => product * (dim ?? 1), 1);
    const name = weight.originalName;
    const fanIn = Math.max(1, size / (weight.shape.at(-1) ?? 1));
    const spread = /kernel/.test(name) ? 1.5 / Math.sqrt(fanIn) : 1;
    const values = Float32Array.from({ length: size }, () =>
      /moving_variance/.test(name) ? 0.2 + 2 * random() : (2 * random() - 1) * spread,
    );
    const tensor = tf.tensor(values, weight.shape as number[]);
    weight.write(tensor);
    tensor.dispose();
  }
}

/** The model as tfjs saves it, in memory. */
export async function saveLayersModel(model: tf.LayersModel): Promise<SavedModel> {
  let saved: SavedModel | undefined;
  await model.save(
    tf.io.withSaveHandler(async (artifacts) => {
      const data = artifacts.weightData;
      const parts = data === undefined ? [] : Array.isArray(data) ? data : [data];
      const weights = Buffer.concat(parts.map((part) => new Uint8Array(part)));
      saved = {
        json: structuredClone({
          format: "layers-model",
          modelTopology: artifacts.modelTopology,
          weightsManifest: [{ paths: ["weights.bin"], weights: artifacts.weightSpecs }],
          ...(artifacts.userDefinedMetadata ? { userDefinedMetadata: artifacts.userDefinedMetadata } : {}),
        }),
        weights: new Uint8Array(weights),
      };
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: "JSON" } };
    }),
  );
  if (!saved) throw new Error("tfjs saved nothing");
  return saved;
}

/** Writes model.json and weights.bin to a new folder; the caller removes it. */
export async function saveToFolder(saved: SavedModel): Promise<{ folder: string; path: string }> {
  const folder = await mkdtemp(join(tmpdir(), "qdg-model-"));
  await writeFile(join(folder, "model.json"), JSON.stringify(saved.json));
  await writeFile(join(folder, "weights.bin"), saved.weights);
  return { folder, path: join(folder, "model.json") };
}

export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}

/** What {@link readLayersModel} takes, of a saved model. */
export function parseSaved(saved: SavedModel): { json: ModelJson; weights: Weights } {
  const json = checkModelJson(saved.json, "model.json");
  return { json, weights: decodeWeights(json.weightsManifest, [saved.weights], "model.json") };
}

/** The float export: plain ONNX operators, transposes folded. */
export function floatBytes(graph: Graph): Uint8Array {
  const lowered = keepPads(foldFlattenTranspose(expandComposites(graph)));
  return encodeModel(graphToModel(lowered, { opset: 21, irVersion: 10, producerVersion: "test" }));
}

export interface CompareOptions extends ReadOptions {
  /** Sizes for the open dimensions of the inputs, by name; N is 2 when absent. */
  readonly sizes?: Readonly<Record<string, number>>;
  /** Integers below this feed inputs instead of reals. */
  readonly integersBelow?: number;
  readonly seed?: number;
  /** The saved model to read instead of what tfjs saves, for configs that tfjs does not write itself. */
  readonly saved?: SavedModel;
  /** Mends the configs of the model's layers where tfjs saves them wrong. */
  readonly mend?: (configs: Record<string, unknown>[], model: tf.LayersModel) => void;
  /** Leave the weights as they are. */
  readonly keepWeights?: boolean;
  /** Run the WebGPU form on the webgpu runtime too, which every node of it must have a kernel for. */
  readonly onGpu?: boolean;
}

export interface Comparison {
  readonly graph: Graph;
  /** Largest |tfjs - ORT| over all outputs. */
  readonly difference: number;
  /** Largest |tfjs|: with 0 the comparison says nothing. */
  readonly magnitude: number;
}

/** Feeds random inputs to tfjs and to ONNX Runtime on our float export of the same saved model. */
export async function compareFloat(model: tf.LayersModel, options: CompareOptions = {}): Promise<Comparison> {
  const random = seeded(options.seed ?? 1);
  if (!options.keepWeights) randomizeWeights(model, random);
  const saved = options.saved ?? (await saveLayersModel(model));
  options.mend?.(configsOf(saved), model);
  const { json, weights } = parseSaved(saved);
  return compareGraph(model, readLayersModel(json, weights, options), options);
}

/** The configs of the outermost layers of a saved model but its inputs, to be changed. */
export function configsOf(saved: SavedModel): Record<string, unknown>[] {
  const { modelTopology } = saved.json as {
    modelTopology: { config: { layers: { class_name: string; config: Record<string, unknown> }[] } };
  };
  return modelTopology.config.layers.flatMap((layer) =>
    layer.class_name === "InputLayer" ? [] : [layer.config],
  );
}

/** The same for a graph that is there already. */
export async function compareGraph(
  model: tf.LayersModel,
  graph: Graph,
  options: CompareOptions = {},
): Promise<Comparison> {
  const random = seeded((options.seed ?? 1) + 1000);
  const session = await ort.InferenceSession.create(floatBytes(graph), { logSeverityLevel: 3 });
  const feeds: Record<string, ort.Tensor> = {};
  const tensors: tf.Tensor[] = [];
  graph.inputs.forEach((input, index) => {
    const declared = input.shape.map((dim) =>
      typeof dim === "number" ? dim : (options.sizes?.[dim] ?? (dim === "N" ? 2 : 5)),
    );
    const rank = declared.length;
    const moved = options.layout === "nchw" && model.inputs[index]?.shape.at(-1) !== input.shape.at(-1);
    const size = declared.reduce((product, dim) => product * dim, 1);
    const values = Float32Array.from({ length: size }, () =>
      options.integersBelow === undefined ? 4 * random() - 2 : Math.floor(random() * options.integersBelow),
    );
    const integer = input.dtype === "int32";
    feeds[input.name] = integer
      ? new ort.Tensor("int32", Int32Array.from(values), declared)
      : new ort.Tensor("float32", values, declared);
    const fed = tf.tensor(
      integer ? Int32Array.from(values) : values,
      declared,
      integer ? "int32" : "float32",
    );
    tensors.push(
      moved ? tf.transpose(fed, [0, ...Array.from({ length: rank - 2 }, (_, i) => i + 2), 1]) : fed,
    );
  });
  const predicted = model.predict(tensors.length === 1 ? (tensors[0] as tf.Tensor) : tensors, {
    batchSize: 64,
  });
  const expected = Array.isArray(predicted) ? predicted : [predicted];
  const results = await session.run(feeds);
  let difference = 0;
  let magnitude = 0;
  graph.outputs.forEach((output, index) => {
    const got = results[output.name] as ort.Tensor;
    let want = expected[index] as tf.Tensor;
    const rank = want.shape.length;
    const same = (shape: readonly number[]): boolean =>
      shape.length === got.dims.length && shape.every((dim, axis) => dim === got.dims[axis]);
    const declaresChannelsFirst = options.layout === "nchw" && rank > 2;
    if (declaresChannelsFirst) {
      want = tf.transpose(want, [0, rank - 1, ...Array.from({ length: rank - 2 }, (_, i) => i + 1)]);
    }
    if (!same(want.shape))
      throw new Error(`${output.name}: got shape [${got.dims.join()}], tfjs has [${want.shape.join()}]`);
    checkDeclared(output.name, output.shape, got.dims);
    const a = want.dataSync();
    const b = got.data as Float32Array;
    for (let i = 0; i < a.length; i++) {
      difference = Math.max(difference, distance(a[i] as number, Number(b[i])));
      magnitude = Math.max(magnitude, Math.abs(a[i] as number));
    }
  });
  await session.release();
  tf.dispose([...tensors, ...expected]);
  return { graph, difference, magnitude };
}

/** Infinite where one is not a number, so that NaN never counts as equal. */
function distance(a: number, b: number): number {
  const d = Math.abs(a - b);
  return Number.isNaN(d) ? Number.POSITIVE_INFINITY : d;
}

function checkDeclared(name: string, declared: readonly (number | string)[], got: readonly number[]): void {
  declared.forEach((dim, axis) => {
    if (typeof dim === "number" && dim !== got[axis]) {
      throw new Error(`${name}: declared shape [${declared.join()}], ORT gives [${got.join()}]`);
    }
  });
}
