// Finds the quantized activations of a file by looking at the file alone, never at what its writer remembers.

import { QdgError } from "../base/error.js";
import type { Graph, Node, Value } from "../graph/graph.js";
import { consumers, valuesOf } from "../graph/graph.js";
import { dataIn } from "../onnx/external-data.js";
import type { ModelProto } from "../onnx/model-proto.js";
import { type ListedIntegers, readOnnxMetadata } from "../model/onnx-metadata.js";
import { modelToGraph } from "../onnx/to-graph.js";

export interface QuantizedTensor {
  readonly name: string;
  /** The node that computes it, as the file calls it. */
  readonly layer: string;
  /** float32 in the float form. */
  readonly dtype: "uint8" | "int8" | "float32";
  /** Bits that hold the integers it may take. */
  readonly bits: number;
  /** null where the file does not say it as a constant. */
  readonly scale: number | null;
  readonly zeroPoint: number | null;
}

/**
 * The quantized activations in topological order. In the integer form: bytes that depend on an input and
 * that something other than a Clip reads, or that the model gives out, but not the steps within a table. In the float form: the values that
 * its metadata lists (`qdg.quantized`: [name, qmin, qmax], integers without their zero point).
 *
 * @param folder the folder of the file, for tensors kept in other files
 */
export function quantizedTensors(model: ModelProto, folder?: string): QuantizedTensor[] {
  const graph = modelToGraph(model, folder === undefined ? {} : { external: dataIn(folder) });
  const { quantized } = readOnnxMetadata(model.metadataProps ?? [], "ONNX model");
  return quantized ? floatTensors(graph, quantized) : integerTensors(graph);
}

const NARROW: ReadonlySet<string> = new Set(["int8", "uint8", "int4", "uint4"]);

/** Whether anything of a file is quantized, weights alone too: computed or stored integers of at most 8 bits, or its list. */
export function isQuantized(model: ModelProto): boolean {
  if (readOnnxMetadata(model.metadataProps ?? [], "ONNX model").quantized !== null) return true;
  const graph = modelToGraph(model);
  const inputs = new Set(graph.inputs);
  return valuesOf(graph).some((value) => NARROW.has(value.dtype) && !inputs.has(value));
}

function floatTensors(graph: Graph, list: readonly ListedIntegers[]): QuantizedTensor[] {
  const listed = new Map(list.map(([name, low, high]) => [name, [low, high] as const]));
  const found: QuantizedTensor[] = [];
  for (const node of graph.nodes) {
    for (const { name } of node.outputs) {
      const range = listed.get(name);
      if (!range) continue;
      found.push({
        name,
        layer: node.origin,
        dtype: "float32",
        bits: bitsFor(range[0], range[1]),
        scale: null,
        zeroPoint: 0,
      });
    }
  }
  if (found.length !== listed.size) {
    const names = new Set(found.map(({ name }) => name));
    const missing = [...listed.keys()].find((name) => !names.has(name));
    throw new QdgError("invalid-onnx", "metadata qdg.quantized", `lists ${missing}, which no node computes`);
  }
  return found;
}

function integerTensors(graph: Graph): QuantizedTensor[] {
  const uses = consumers(graph);
  const outputs = new Set(graph.outputs);
  const computed = computedValues(graph);
  const parameters = parametersOf(graph, uses);
  const found: QuantizedTensor[] = [];
  for (const node of graph.nodes) {
    for (const value of node.outputs) {
      if ((value.dtype !== "uint8" && value.dtype !== "int8") || !computed.has(value)) continue;
      const readers = uses.get(value) ?? [];
      const read = readers.some((reader) => reader.op !== "Clip") && !isWithinTable(node, readers);
      if (!read && !outputs.has(value)) continue;
      const [scale, zeroPoint] = parameters.get(value) ?? [null, null];
      const { name, dtype } = value;
      found.push({ name, layer: node.origin, dtype, bits: bitsOf(value), scale, zeroPoint });
    }
  }
  return found;
}

/** Steps on the way through a table (`graph/passes/flat-tables.ts`): the same bytes as before it, or after it, in another order. */
function isWithinTable({ op, inputs }: Node, readers: readonly Node[]): boolean {
  const next = new Set(readers.map((reader) => reader.op)).size === 1 ? readers[0] : undefined;
  if (op === "GatherElements") return next?.op === "Reshape";
  if (op === "Reshape") return next?.op === "Transpose" && inputs[0]?.producer?.op === "GatherElements";
  return op === "Transpose" && next?.op === "Cast" && next.outputs[0]?.dtype === "int32";
}

/** Values that depend on an input: the rest is weights on their way out of storage. */
function computedValues(graph: Graph): ReadonlySet<Value> {
  const computed = new Set<Value>(graph.inputs);
  for (const node of graph.nodes) {
    // The shape of a value is no activation.
    if (node.op === "Shape" || !node.inputs.some((input) => input && computed.has(input))) continue;
    for (const output of node.outputs) computed.add(output);
  }
  return computed;
}

type Parameters = readonly [scale: number | null, zeroPoint: number | null];

/** Scale and zero point of bytes: from their QuantizeLinear on, or back from where they become real again. */
function parametersOf(
  graph: Graph,
  uses: ReadonlyMap<Value, readonly Node[]>,
): ReadonlyMap<Value, Parameters> {
  const found = new Map<Value, Parameters>();
  for (const node of graph.nodes) {
    const [output] = node.outputs;
    const [input] = node.inputs;
    if (!output) continue;
    const own = node.op === "QuantizeLinear" ? stated(node) : input && found.get(input);
    if (own && output.dtype === (node.op === "QuantizeLinear" ? output.dtype : input?.dtype)) {
      found.set(output, own);
    }
  }
  for (const node of [...graph.nodes].reverse()) {
    const [output] = node.outputs;
    if (!output || found.has(output)) continue;
    for (const reader of uses.get(output) ?? []) {
      const result = reader.outputs[0];
      const known =
        reader.op === "DequantizeLinear"
          ? stated(reader)
          : reader.op === "Cast" && result?.dtype === "float32"
            ? statedPlainly(result, uses)
            : result?.dtype === output.dtype && found.get(result);
      if (known) {
        found.set(output, known);
        break;
      }
    }
  }
  return found;
}

function stated(node: Node): Parameters {
  const scale = node.inputs[1]?.constant?.data;
  const zero = node.inputs[2];
  return [
    scale?.length === 1 ? Number(scale[0]) : null,
    zero ? (zero.constant?.data.length === 1 ? Number(zero.constant.data[0]) : null) : 0,
  ];
}

/** Of bytes that a Cast, a Sub unless the zero point is 0, and a Mul unless integers are what is wanted make real. */
function statedPlainly(cast: Value, uses: ReadonlyMap<Value, readonly Node[]>): Parameters {
  const byConstant = (value: Value, op: string): Node | undefined =>
    uses
      .get(value)
      ?.find(
        (node) => node.op === op && node.inputs[0] === value && node.inputs[1]?.constant?.data.length === 1,
      );
  const sub = byConstant(cast, "Sub");
  const mul = byConstant(sub?.outputs[0] ?? cast, "Mul");
  return [mul ? stated(mul)[0] : null, sub ? stated(sub)[0] : 0];
}

/** From the last Clip on the way of the bytes; 8 without one. */
function bitsOf(value: Value): number {
  let at: Value | null | undefined = value;
  while (at?.producer) {
    const { producer }: Value = at;
    if (producer?.op === "Clip") {
      const [, low, high] = producer.inputs;
      const signed = value.dtype === "int8";
      return bitsFor(boundOf(low, signed ? -128 : 0), boundOf(high, signed ? 127 : 255));
    }
    if (producer?.op === "QuantizeLinear" || producer?.inputs[0]?.dtype !== value.dtype) break;
    at = producer.inputs[0];
  }
  return 8;
}

function boundOf(input: Value | null | undefined, otherwise: number): number {
  return input?.constant ? Number(input.constant.data[0]) : otherwise;
}

function bitsFor(low: number, high: number): number {
  return Math.max(1, Math.ceil(Math.log2(high - low + 1)));
}
