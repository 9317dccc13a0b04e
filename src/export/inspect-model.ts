// What is in a model before it is exported: its inputs and outputs, its layers, and what of it would not become integers or
// would not run on a GPU. Reads only; what cannot be read is an error that says all of it.

import { sizeOf } from "../base/tensor.js";
import type { Dim, Graph, Node, Value } from "../graph/graph.js";
import { inputOf, outputOf, valuesOf } from "../graph/graph.js";
import { floatTail, kindOf } from "../graph/node-kinds.js";
import { FILE_PASSES, QUANTIZED_PASSES, runPasses } from "../graph/passes/pipelines.js";
import { hasWebgpuKernel } from "../lower/webgpu-kernels.js";
import { openModel } from "../open/open-model.js";
import { bitsLearned } from "../quant/learned-bits.js";
import type { TensorDescription } from "./inspect.js";

export interface ModelLayer {
  readonly layer: string;
  readonly op: string;
  readonly weightShape: readonly number[];
  readonly outputShape: readonly Dim[];
  readonly weightCount: number;
}

export interface ModelInspection {
  readonly path: string;
  readonly inputs: readonly TensorDescription[];
  readonly outputs: readonly TensorDescription[];
  /** Order of the axes of images; null where nobody says it. */
  readonly layout: string | null;
  /** Whether the model says how images become its input. */
  readonly hasPreprocessing: boolean;
  /** How many classes it names; null where it names none. */
  readonly labels: number | null;
  /** How many quantizers have scales that training has found; 0 without any. Of a network for several bits those of the most. */
  readonly learnedQuantizers: number;
  /** The bits that a network was trained for that has scales of its own for each of several; else none. */
  readonly learnedBits: readonly number[];
  /** Numbers in all constants. */
  readonly weightCount: number;
  /** Operator -> how many nodes, of the float network as it is exported. */
  readonly operators: Readonly<Record<string, number>>;
  /** Layers with weights, in order. */
  readonly layers: readonly ModelLayer[];
  /** Operator -> layers that run in real numbers between quantizers; what comes after the last weights is none of them. */
  readonly inFloat: Readonly<Record<string, readonly string[]>>;
  /** Operator -> layers that no file for webgpu may have. */
  readonly notOnWebgpu: Readonly<Record<string, readonly string[]>>;
  readonly warnings: readonly string[];
}

/**
 * @param given a model.json, an ONNX file, or the folder of one
 * @throws QdgError what {@link openModel} throws: of a graph-model with operators that are not read, all of their nodes
 */
export async function inspectModel(given: string): Promise<ModelInspection> {
  const { path, graph: source, facts, learned, warnings } = await openModel(given);
  const learnedBits = bitsLearned(learned);
  const graph = runPasses(source, QUANTIZED_PASSES);
  const tail = floatTail(graph);
  const real = graph.nodes.filter((node) => kindOf(node) === "float" && !tail.has(node));
  // What becomes integers is written in other operators there.
  const kept = new Set([...real, ...tail].map(({ origin }) => origin));
  const written = runPasses(graph, FILE_PASSES).nodes.filter(({ origin }) => kept.has(origin));
  const operators = new Map<string, number>();
  for (const { op } of graph.nodes) operators.set(op, (operators.get(op) ?? 0) + 1);
  return {
    path,
    inputs: graph.inputs.map(describe),
    outputs: graph.outputs.map(describe),
    layout: facts.layout,
    hasPreprocessing: facts.preprocessing !== null,
    labels: facts.labels?.length ?? null,
    learnedQuantizers: (learned?.byBits?.get(learnedBits.at(-1) ?? 0) ?? learned)?.quantizers.size ?? 0,
    learnedBits,
    weightCount: weightCount(graph),
    operators: Object.fromEntries([...operators].sort((a, b) => b[1] - a[1])),
    layers: graph.nodes.flatMap(layerOf),
    inFloat: byOperator(real),
    notOnWebgpu: byOperator(written.filter((node) => !hasWebgpuKernel(node))),
    warnings,
  };
}

function describe({ name, dtype, shape }: Value): TensorDescription {
  return { name, dtype, shape };
}

function weightCount(graph: Graph): number {
  return valuesOf(graph).reduce((sum, { constant }) => sum + (constant ? sizeOf(constant.shape) : 0), 0);
}

function layerOf(node: Node): ModelLayer[] {
  const kind = kindOf(node);
  if (kind !== "weighted" && kind !== "lookup") return [];
  const weight = inputOf(node, kind === "lookup" ? 0 : 1).constant;
  if (!weight) return [];
  const { origin: layer, op } = node;
  const { shape } = weight;
  return [{ layer, op, weightShape: shape, outputShape: outputOf(node).shape, weightCount: sizeOf(shape) }];
}

function byOperator(nodes: readonly Node[]): Record<string, string[]> {
  const layers = new Map<string, Set<string>>();
  for (const { op, origin } of nodes) layers.set(op, (layers.get(op) ?? new Set()).add(origin));
  return Object.fromEntries([...layers].map(([op, names]) => [op, [...names]]));
}
