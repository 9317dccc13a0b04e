// A random layers-model quantized, written in every form, and run on every runtime: equal integers are counted
// by name, nearness to the float network in decibels.

import * as tf from "@tensorflow/tfjs";
import { QdgError } from "../../src/base/error.js";
import { expectDType, type Tensor } from "../../src/base/tensor.js";
import { integerFile } from "../../src/export/integer-file.js";
import { quantizedMetadata } from "../../src/export/metadata.js";
import type { ExportOptions } from "../../src/export/options.js";
import type { Feeds } from "../../src/export/arrays.js";
import type { Samples } from "../../src/export/samples.js";
import { floatFile } from "../../src/export/float-file.js";
import { type Graph, type Value } from "../../src/graph/graph.js";
import { HOST_FORMS, storedZeroPoint } from "../../src/lower/form.js";
import { type FormName, FORMS } from "../../src/model/onnx-metadata.js";
import { WITHOUT_WEBGPU_KERNEL } from "../../src/lower/webgpu-kernels.js";
import { decodeModel, encodeModel } from "../../src/onnx/codec.js";
import { withOutputs } from "../../src/onnx/with-outputs.js";
import { quantizedTensors } from "../../src/export/quantized-tensors.js";
import { Sqnr } from "../../src/quant/sqnr.js";
import { readLayersModel } from "../../src/read/layers-model.js";
import { cpuRuntime } from "../../src/runtime/cpu.js";
import { engineRuntime } from "../../src/runtime/engine.js";
import { referenceRuntime } from "../../src/runtime/reference.js";
import type { Session } from "../../src/runtime/runtime.js";
import { wasmRuntime } from "../../src/runtime/wasm.js";
import { webgpuRuntime } from "../../src/runtime/webgpu.js";
import {
  type CompareOptions,
  configsOf,
  parseSaved,
  randomizeWeights,
  saveLayersModel,
  seeded,
} from "./layers-models.js";
import { quantizeWith } from "./quantize-with.js";

const FACTS = { source: "test", layout: "nhwc", preprocessing: null, labels: null } as const;
const SAMPLE_COUNT = 8;

export interface QuantizedComparison {
  /** Quantized tensors compared, over all forms and runtimes. */
  readonly tensors: number;
  /** Tensors that differ from the reference interpreter's of the integer form. */
  readonly mismatches: readonly TensorMismatch[];
  /** Largest difference of an output between runtimes and forms, relative to the largest output. */
  readonly outputDifference: number;
  /** Of the outputs against the float network. */
  readonly sqnrDb: number;
  /** Operators of the integer form. */
  readonly operators: readonly string[];
  /** The files that were run. */
  readonly files: ReadonlyMap<FormName, Uint8Array>;
  /** What the engine says of a file that it does not compute. */
  readonly refusedByEngine: string | null;
}

export interface TensorMismatch {
  /** "form runtime tensor" */
  readonly where: string;
  readonly count: number;
  readonly total: number;
  /** Largest difference. */
  readonly steps: number;
}

export async function compareQuantized(
  model: tf.LayersModel,
  bits: Partial<ExportOptions>,
  options: CompareOptions = {},
): Promise<QuantizedComparison> {
  const random = seeded(options.seed ?? 1);
  if (!options.keepWeights) randomizeWeights(model, random);
  const saved = options.saved ?? (await saveLayersModel(model));
  options.mend?.(configsOf(saved), model);
  const { json, weights } = parseSaved(saved);
  return compareQuantizedGraph(readLayersModel(json, weights, options), bits, options);
}

/**
 * The model with a weighted layer after each output: what no weighted layer follows stays in float and would
 * not be tested.
 */
export function withHeads(model: tf.LayersModel): tf.LayersModel {
  const outputs = model.outputs.map((output) => head(output.shape.length).apply(output) as tf.SymbolicTensor);
  return tf.model({ inputs: model.inputs, outputs });
}

function head(rank: number): tf.layers.Layer {
  if (rank === 4) return tf.layers.conv2d({ filters: 2, kernelSize: 1 });
  return rank === 3 ? tf.layers.conv1d({ filters: 2, kernelSize: 1 }) : tf.layers.dense({ units: 2 });
}

export async function compareQuantizedGraph(
  source: Graph,
  bits: Partial<ExportOptions>,
  options: CompareOptions = {},
): Promise<QuantizedComparison> {
  const samples = randomSamples(source.inputs, options);
  const { graph, float, scales } = await quantizeWith(source, bits, samples);
  const feeds: Feeds[] = [];
  for await (const each of samples.read()) feeds.push(each);
  const tested = feeds.slice(0, 3);
  const runs = new Map<string, Record<string, Tensor>[]>();
  const names = new Set<string>();
  let operators: string[] = [];
  const files = new Map<FormName, Uint8Array>();
  let refusedByEngine: string | null = null;
  // What is left real may have no WebGPU kernel (a log softmax at the end, a table of categories): such a file is refused,
  // as its own test says.
  const isRefused = graph.nodes.some(
    ({ op }) => ["LogSoftmax", "OneHot"].includes(op) && WITHOUT_WEBGPU_KERNEL.has(op),
  );
  for (const form of isRefused ? HOST_FORMS : FORMS) {
    const { bytes, lowered } = integerFile(graph, 21, { form, weights: "packed" }, (result) =>
      quantizedMetadata(FACTS, graph, scales, form, result),
    );
    files.set(form, bytes);
    const proto = decodeModel(bytes);
    if (form === "integer") operators = (proto.graph?.node ?? []).map((node) => node.opType ?? "");
    const tensors = quantizedTensors(proto);
    // A file does not say the zero point of a tensor that only lookups and casts read; the lowering knows.
    const zeroPoints = new Map(
      lowered.integers.map((each) => [
        each.name,
        form === "integer" ? storedZeroPoint(each.quantization) : 0,
      ]),
    );
    const open = encodeModel(withOutputs(proto, tensors));
    const onGpu = form === "webgpu" && options.onGpu === true;
    for (const runtime of [referenceRuntime, cpuRuntime, wasmRuntime, ...(onGpu ? [webgpuRuntime] : [])]) {
      const session = await runtime.open({ bytes: open });
      const results: Record<string, Tensor>[] = [];
      for (const each of tested) results.push(centred(await session.run(each), zeroPoints));
      runs.set(`${form} ${runtime.name}`, results);
      await session.dispose();
    }
    if (form === "integer") {
      const results = await engineResults(open, tested);
      if (results instanceof QdgError) refusedByEngine = results.message;
      else
        runs.set(
          "integer engine",
          results.map((each) => centred(each, zeroPoints)),
        );
    }
    lowered.integers.forEach(({ name }) => names.add(name));
  }
  const reference = runs.get("integer reference") as Record<string, Tensor>[];
  const mismatches: TensorMismatch[] = [];
  let tensors = 0;
  let outputDifference = 0;
  for (const [run, results] of runs) {
    for (const name of names) {
      if (!results[0]?.[name] || !reference[0]?.[name]) continue;
      tensors++;
      const found = countMismatches(reference, results, name);
      if (found.count > 0) mismatches.push({ where: `${run} ${name}`, ...found });
    }
    for (const { name } of graph.outputs) {
      outputDifference = Math.max(
        outputDifference,
        relativeDifference(reference, results, outputName(results, name)),
      );
    }
  }
  const sqnrDb = await signalToNoise(float, tested, reference);
  if (refusedByEngine && process.env["QDG_SHOW_REFUSED"]) console.info(`refused: ${refusedByEngine}`);
  return { tensors, mismatches, outputDifference, sqnrDb, operators, files, refusedByEngine };
}

/** The engine's, or how it refuses a file that has what it does not compute. */
async function engineResults(
  bytes: Uint8Array,
  feeds: readonly Feeds[],
): Promise<Record<string, Tensor>[] | QdgError> {
  let session: Session;
  try {
    session = await engineRuntime.open({ bytes });
  } catch (thrown) {
    if (thrown instanceof QdgError && thrown.code === "unsupported-op") return thrown;
    throw thrown;
  }
  const results: Record<string, Tensor>[] = [];
  for (const each of feeds) results.push(await session.run(each));
  await session.dispose();
  return results;
}

/** Quantized tensors as `q - zeroPoint` in all forms, so that they compare. */
function centred(
  results: Record<string, Tensor>,
  zeroPoints: ReadonlyMap<string, number>,
): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(results).map(([name, result]) => {
      const zeroPoint = zeroPoints.get(name);
      if (zeroPoint === undefined) return [name, result];
      const data = Float32Array.from(result.data as ArrayLike<number>, (q) => q - zeroPoint);
      return [name, { dtype: "float32", shape: result.shape, data }];
    }),
  );
}

function outputName(results: readonly Record<string, Tensor>[], name: string): string {
  return results[0]?.[name] && !results[0][`${name}/output`] ? name : `${name}/output`;
}

function countMismatches(
  expected: readonly Record<string, Tensor>[],
  got: readonly Record<string, Tensor>[],
  name: string,
): Omit<TensorMismatch, "where"> {
  let [count, total, largest] = [0, 0, 0];
  expected.forEach((each, i) => {
    const a = each[name]?.data as Float32Array;
    const b = got[i]?.[name]?.data as Float32Array;
    total += a.length;
    if (a.length !== b.length) count += a.length;
    for (let j = 0; j < a.length; j++) {
      const steps = Math.abs((a[j] as number) - (b[j] as number));
      if (steps === 0) continue;
      count++;
      largest = Math.max(largest, steps);
    }
  });
  return { count, total, steps: largest };
}

function relativeDifference(
  expected: readonly Record<string, Tensor>[],
  got: readonly Record<string, Tensor>[],
  name: string,
): number {
  let difference = 0;
  let magnitude = 0;
  expected.forEach((each, i) => {
    const a = each[name]?.data as Float32Array;
    const b = got[i]?.[name]?.data as Float32Array;
    for (let j = 0; j < a.length; j++) {
      difference = Math.max(difference, Math.abs((a[j] as number) - (b[j] as number)));
      magnitude = Math.max(magnitude, Math.abs(a[j] as number));
    }
  });
  return magnitude === 0 ? difference : difference / magnitude;
}

async function signalToNoise(
  graph: Graph,
  tested: readonly Feeds[],
  results: readonly Record<string, Tensor>[],
): Promise<number> {
  const session = await cpuRuntime.open({ bytes: floatFile(graph, 21) });
  const sqnr = new Sqnr();
  for (const [i, feeds] of tested.entries()) {
    const expected = await session.run(feeds);
    for (const { name } of graph.outputs) {
      const got = results[i]?.[outputName(results, name)] as Tensor;
      sqnr.add(expectDType(expected[name] as Tensor, "float32", name).data, got.data as Float32Array);
    }
  }
  await session.dispose();
  return sqnr.decibels;
}

export function randomSamples(inputs: readonly Value[], options: CompareOptions): Samples {
  return {
    count: SAMPLE_COUNT,
    async *read() {
      const random = seeded((options.seed ?? 1) + 2000);
      for (let i = 0; i < SAMPLE_COUNT; i++) {
        yield Object.fromEntries(inputs.map((input) => [input.name, randomTensor(input, random, options)]));
      }
    },
  };
}

function randomTensor(input: Value, random: () => number, options: CompareOptions): Tensor {
  const shape = input.shape.map((dim) =>
    typeof dim === "number" ? dim : (options.sizes?.[dim] ?? (dim === "N" ? 1 : 5)),
  );
  const size = shape.reduce((product, dim) => product * dim, 1);
  const { integersBelow } = options;
  const next = (): number =>
    integersBelow === undefined ? 4 * random() - 2 : Math.floor(random() * integersBelow);
  return input.dtype === "int32"
    ? { dtype: "int32", shape, data: Int32Array.from({ length: size }, next) }
    : { dtype: "float32", shape, data: Float32Array.from({ length: size }, next) };
}
