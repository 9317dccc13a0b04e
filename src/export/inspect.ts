// What is in an ONNX file: any valid one for the outline, one of qdg's for the table of layers. Reads only.

import { dirname, join } from "node:path";
import { errorText, QdgError } from "../base/error.js";
import { readBytes } from "../base/read-bytes.js";
import { temporaryFolder } from "../base/temporaries.js";
import { sizeOf, type Tensor } from "../base/tensor.js";
import type { Dim, Graph, Node, Value } from "../graph/graph.js";
import { inputOf, outputOf, valuesOf } from "../graph/graph.js";
import { isUnknownRank } from "../graph/unknown-shape.js";
import { SHIFT_FUNCTION } from "../lower/shift-function.js";
import { type OnnxMetadata, readOnnxMetadata } from "../model/onnx-metadata.js";
import { decodeModel } from "../onnx/codec.js";
import { dataIn } from "../onnx/external-data.js";
import type { ModelProto, TensorProto, ValueInfoProto } from "../onnx/model-proto.js";
import { resultShape } from "../onnx/result-shape.js";
import { modelToGraph } from "../onnx/to-graph.js";
import { dataTypeName } from "../onnx/data-type.js";
import { isExactInFloat32 } from "../quant/bias.js";
import { withExternalData } from "../onnx/whole-model.js";
import { onnxPath } from "../read/model-path.js";
import { inSingle } from "../read/onnx/half.js";
import { readOnnx } from "../read/onnx/read-onnx.js";
import { isFloatModel } from "../read/onnx/unsupported.js";
import { cpuRuntime } from "../runtime/cpu.js";
import { planOf } from "../runtime/reference/plan.js";
import type { ModelSource } from "../runtime/runtime.js";
import { layerExactness } from "./exactness/layers.js";

export interface LayerInspection {
  readonly layer: string;
  readonly op: string;
  readonly weightShape: readonly number[];
  readonly outputShape: readonly Dim[];
  /** null in a float layer */
  readonly weightBits: number | null;
  /** Of the quantized output; null when it is real. */
  readonly activationBits: number | null;
  readonly weightCount: number;
  /** Of the initializers that the weight is made from, scales apart. */
  readonly weightBytes: number;
  /** Least and greatest scale of the weight's channels; null in a float layer. */
  readonly weightScale: readonly [number, number] | null;
  /** The integer kernel that ONNX Runtime takes for it; null when it runs in float or was not looked at. */
  readonly kernel: string | null;
  /** No partial sum is larger; null in a float layer. */
  readonly accumulatorBound: number | null;
  /** Whether the bound is below 2^24, so that float32 computes the same sums. */
  readonly exactInFloat32: boolean | null;
}

export interface Inspection {
  readonly path: string;
  readonly sizeBytes: number;
  readonly producer: string;
  readonly irVersion: number;
  readonly opsets: Readonly<Record<string, number>>;
  readonly inputs: readonly TensorDescription[];
  readonly outputs: readonly TensorDescription[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly functions: readonly string[];
  /** Operator -> how many nodes, of the file as it is written. */
  readonly operators: Readonly<Record<string, number>>;
  /** Operator -> how many nodes, as ONNX Runtime optimized it for the CPU; null when it was not loaded. */
  readonly optimizedOperators: Readonly<Record<string, number>> | null;
  readonly initializerBytes: number;
  readonly layers: readonly LayerInspection[];
  /** What could not be looked at, and why. */
  readonly notes: readonly string[];
}

export interface TensorDescription {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly Dim[];
}

/**
 * @param given the file, or a folder with one .onnx file
 * @param runtime load the file with ONNX Runtime to see what fuses
 * @throws QdgError `not-found`, `invalid-onnx`; `unsupported-model` for a file of another kind
 */
export async function inspectFile(
  given: string,
  options: { readonly runtime?: boolean } = {},
): Promise<Inspection> {
  const path = await onnxPath(given, "inspect");
  return inspect(await readBytes(path), path, { path }, options.runtime ?? true);
}

/**
 * {@link inspectFile} of a file that is not written yet: all its tensors are in it.
 *
 * @param path where it will be
 * @throws QdgError `invalid-onnx`
 */
export async function inspectBytes(
  bytes: Uint8Array,
  path: string,
  options: { readonly runtime?: boolean } = {},
): Promise<Inspection> {
  return inspect(bytes, path, { bytes }, options.runtime ?? true);
}

async function inspect(
  bytes: Uint8Array,
  path: string,
  source: ModelSource,
  runtime: boolean,
): Promise<Inspection> {
  const model = decodeModel(bytes, path);
  const notes: string[] = [];
  let graph: Graph | null = null;
  let constants: ReadonlyMap<Value, Tensor> = new Map();
  let refused = false;
  const isFloat = isFloatModel(model);
  try {
    if (isFloat) {
      // As an export reads it, or the reasons why it does not.
      const single = inSingle(decodeModel(withExternalData(bytes, path), path));
      if (single.warning !== null) notes.push(single.warning);
      graph = readOnnx(single.model, path);
      constants = new Map(
        valuesOf(graph).flatMap((value) => (value.constant ? [[value, value.constant]] : [])),
      );
    } else {
      graph = modelToGraph(model, { external: dataIn(dirname(path)) });
      ({ constants } = planOf(graph));
      completeShapes(graph, constants);
    }
  } catch (thrown) {
    notes.push(
      `${isFloat ? "an export refuses it, and layers are" : "layers are"} not listed: ${errorText(thrown)}`,
    );
    refused = !(thrown instanceof QdgError && thrown.code.startsWith("unsupported"));
  }
  let optimized: ModelProto | null = null;
  if (refused) notes.push("what fuses is not known: what contradicts itself is not handed to ONNX Runtime");
  else if (runtime) {
    try {
      optimized = await optimizedModel(source);
    } catch (thrown) {
      notes.push(`what fuses is not known: ${errorText(thrown)}`);
    }
  }
  const metadata = Object.fromEntries(
    (model.metadataProps ?? []).map(({ key = "", value = "" }) => [key, value]),
  );
  const bits = bitsOf(model, path, notes);
  const kernels = kernelsOf(optimized);
  const bounds = graph && !isFloat ? boundsOf(model, dirname(path), notes) : new Map<string, number>();
  return {
    path,
    sizeBytes: bytes.length,
    producer: [model.producerName, model.producerVersion].filter(Boolean).join(" "),
    irVersion: Number(model.irVersion ?? 0),
    opsets: Object.fromEntries(
      (model.opsetImport ?? []).map((each) => [each.domain || "ai.onnx", Number(each.version ?? 0)]),
    ),
    inputs: describeAll(model.graph?.input ?? []),
    outputs: describeAll(model.graph?.output ?? []),
    metadata,
    functions: (model.functions ?? []).map(({ domain = "", name = "" }) => `${domain}.${name}`),
    operators: countOperators(model),
    optimizedOperators: optimized && countOperators(optimized),
    initializerBytes: (model.graph?.initializer ?? []).reduce((sum, each) => sum + dataBytes(each), 0),
    layers: graph ? graph.nodes.flatMap((node) => inspectLayer(node, constants, bits, kernels, bounds)) : [],
    notes,
  };
}

function inspectLayer(
  node: Node,
  constants: ReadonlyMap<Value, Tensor>,
  bits: ReadonlyMap<string, readonly [number, number]>,
  kernels: ReadonlyMap<string, string>,
  bounds: ReadonlyMap<string, number>,
): LayerInspection[] {
  if (!["Conv", "ConvTranspose", "Gemm", "MatMul"].includes(node.op)) return [];
  const weight = inputOf(node, 1);
  const integers = integersOf(weight, constants);
  const tensor = constants.get(weight) ?? integers?.tensor;
  if (!tensor) return [];
  const [weightBits, activationBits] = bits.get(node.origin) ?? [];
  const kernel = kernels.get(node.origin) ?? null;
  const bound = bounds.get(node.origin) ?? null;
  return [
    {
      layer: node.origin,
      op: node.op,
      weightShape: tensor.shape,
      outputShape: outputOf(node).shape,
      weightBits: weightBits ?? null,
      activationBits: activationBits || null,
      weightCount: sizeOf(tensor.shape),
      weightBytes: bytesBehind(weight),
      weightScale: integers && range(integers.scale),
      kernel: kernel?.startsWith("Q") || kernel?.includes("Integer") ? kernel : null,
      accumulatorBound: bound,
      exactInFloat32: bound === null ? null : isExactInFloat32(bound),
    },
  ];
}

/** Layer -> the bound of its integer sums, the larger where it is called twice; by the arithmetic of certificates. */
function boundsOf(model: ModelProto, folder: string, notes: string[]): Map<string, number> {
  const bounds = new Map<string, number>();
  try {
    for (const { layer, accumulatorBound: bound } of layerExactness(model, folder)) {
      if (bound !== null) bounds.set(layer, Math.max(bound, bounds.get(layer) ?? 0));
    }
  } catch (thrown) {
    notes.push(`how large sums get is not known: ${errorText(thrown)}`);
  }
  return bounds;
}

/** Weights behind functions have shapes only once they are computed, and so has what comes after them. */
function completeShapes(graph: Graph, constants: ReadonlyMap<Value, Tensor>): void {
  for (const node of graph.nodes) {
    for (const [index, output] of node.outputs.entries()) {
      const constant = constants.get(output);
      if (constant) output.shape = constant.shape;
      else if (isUnknownRank(output.shape)) output.shape = resultShape(node, index);
    }
  }
}

/**
 * Layer -> the operator that ONNX Runtime runs for it. A fused node's name is the layer's and `_token_7`; a node
 * without a name is its output's layer.
 */
function kernelsOf(optimized: ModelProto | null): Map<string, string> {
  const kernels = new Map<string, string>();
  for (const { name: given, opType = "", output } of optimized?.graph?.node ?? []) {
    // A Softmax without a name is known by its output, which a layer may be named as.
    if (!/Conv|Gemm|MatMul/.test(opType)) continue;
    const name = given || (output?.[0] ?? "");
    const layer = name.replace(/_token_\d+$/, "");
    if (name === layer || !kernels.has(layer)) kernels.set(layer, opType);
  }
  return kernels;
}

interface ConstantIntegers {
  readonly tensor: Tensor;
  readonly scale: ArrayLike<number>;
}

/** What a DequantizeLinear makes a constant from, with the scale of a weight's own integers; null for any other value. */
function integersOf(value: Value, constants: ReadonlyMap<Value, Tensor>): ConstantIntegers | null {
  const node = value.producer;
  if (node?.op !== "DequantizeLinear") return null;
  const tensor = constants.get(inputOf(node, 0));
  const scale = constants.get(inputOf(node, 1));
  if (!tensor || !scale) return null;
  const shift = inputOf(node, 0).producer;
  const places = shift?.op === SHIFT_FUNCTION ? Number(constants.get(inputOf(shift, 1))?.data[0]) : 0;
  return { tensor, scale: (scale.data as Float32Array).map((each) => each * 2 ** places) };
}

/** Bytes of the matrices and planes that a weight is computed from; scales and shapes are not counted. */
function bytesBehind(value: Value): number {
  if (value.constant) {
    const { data, dtype } = value.constant;
    if (dtype === "int4" || dtype === "uint4") return Math.ceil(data.length / 2);
    return data.byteLength;
  }
  const first = value.producer?.inputs[0];
  return first ? bytesBehind(first) : 0;
}

function range(values: ArrayLike<number>): readonly [number, number] {
  let [least, greatest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < values.length; i++) {
    least = Math.min(least, values[i] as number);
    greatest = Math.max(greatest, values[i] as number);
  }
  return [least, greatest];
}

/** The file as ONNX Runtime rewrites it for the CPU. */
async function optimizedModel(source: ModelSource): Promise<ModelProto> {
  const folder = await temporaryFolder("qdg-inspect-");
  const optimizedModelPath = join(folder.path, "optimized.onnx");
  try {
    const session = await cpuRuntime.open(source, { optimizedModelPath });
    await session.dispose();
    return decodeModel(await readBytes(optimizedModelPath), "optimized model");
  } finally {
    await folder.remove();
  }
}

/** Here as everywhere a damaged fact is told; what else is in the file is shown all the same. */
function bitsOf(model: ModelProto, path: string, notes: string[]): NonNullable<OnnxMetadata["bits"]> {
  try {
    return readOnnxMetadata(model.metadataProps ?? [], path).bits ?? new Map();
  } catch (thrown) {
    notes.push(errorText(thrown));
    return new Map();
  }
}

function countOperators(model: ModelProto): Record<string, number> {
  const counts = new Map<string, number>();
  for (const { opType = "", domain = "" } of model.graph?.node ?? []) {
    const name = domain === "" || domain === "ai.onnx" ? opType : `${domain}.${opType}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return Object.fromEntries([...counts].sort((a, b) => b[1] - a[1]));
}

function describeAll(infos: readonly ValueInfoProto[]): TensorDescription[] {
  return infos.map(({ name = "", type }) => ({
    name,
    dtype: type?.tensorType ? dataTypeName(type.tensorType.elemType).toLowerCase() : "not a tensor",
    shape: (type?.tensorType?.shape?.dim ?? []).map((dim) =>
      dim.dimValue === undefined ? (dim.dimParam ?? "?") : Number(dim.dimValue),
    ),
  }));
}

function dataBytes(proto: TensorProto): number {
  const typed = [proto.floatData, proto.int32Data, proto.int64Data, proto.doubleData, proto.uint64Data];
  const strings = (proto.stringData ?? []).reduce((sum, text) => sum + text.length, 0);
  return (
    (proto.rawData?.length ?? 0) + strings + typed.reduce((sum, data) => sum + (data?.byteLength ?? 0), 0)
  );
}
