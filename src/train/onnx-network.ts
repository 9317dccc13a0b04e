// A network that training writes as an ONNX file, whether it came from one or from a graph-model: a Graph whose weights
// have names. What the file would not give back as it was written is refused before anything is trained.

import { writeFileAtomic } from "../base/atomic-file.js";
import { QdgError } from "../base/error.js";
import type { Tensor } from "../base/tensor.js";
import { floatFile } from "../export/float-file.js";
import { floatMetadata } from "../export/metadata.js";
import { cloneGraph, type Graph, valuesOf } from "../graph/graph.js";
import { QUANTIZED_PASSES, runPasses } from "../graph/passes/pipelines.js";
import { quantizerSites } from "../graph/place-quantizers.js";
import { UNKNOWN_DIM } from "../graph/unknown-shape.js";
import { preprocessingToJson } from "../image/preprocessing.js";
import type { Layout } from "../image/to-tensor.js";
import { layersModelMetadata } from "../model/layers-model-metadata.js";
import { decodeModel } from "../onnx/codec.js";
import { DEFAULT_OPSET } from "../onnx/opset.js";
import { openModel } from "../open/open-model.js";
import { learnedToJson, parseLearned } from "../quant/learned.js";
import { readOnnx } from "../read/onnx/read-onnx.js";
import { checkWeights } from "./check-weights.js";
import { checkOperators } from "./execute.js";
import { kernelLayout, weightLayout } from "./ops/kernel-layout.js";
import { batchOf, withOpenBatch } from "./open-batch.js";
import { trainedConstants, withOwnVectors } from "./trained-constants.js";

export interface OnnxNetwork {
  /** As its file reads back. Its constants are the weights as they were first. */
  readonly graph: Graph;
  /** Of the image that it takes. */
  readonly layout: Layout;
  /** By the names of the graph's constants, in the layout of tfjs's kernels. */
  readonly weights: ReadonlyMap<string, Tensor<"float32">>;
  /** What is known beside the network; preprocessing, labels and learned scales are its `qdg`, as in a model.json. */
  readonly userDefinedMetadata: Readonly<Record<string, unknown>> | null;
}

/**
 * Reads a graph-model or an ONNX file in real numbers, or with quantizers in it.
 *
 * @param onWarning told what is odd about the file although it can be read
 * @throws QdgError what `openModel` and {@link onnxNetwork} throw; `unsupported-model` where nothing tells which axis
 * of its input are the channels
 */
export async function loadOnnxNetwork(
  given: string,
  onWarning: (warning: string) => void = () => undefined,
): Promise<OnnxNetwork> {
  const { path, graph, facts, learned, warnings } = await openModel(given);
  warnings.forEach(onWarning);
  const { layout, preprocessing, labels } = facts;
  if (layout === null) {
    const shapes = graph.inputs.map(({ name, shape }) => `${name} [${shape.join(", ")}]`).join(" and ");
    throw new QdgError(
      "unsupported-model",
      path,
      `has the input ${shapes}, expected one of images, of 3 channels on axis 1 or on the last; export the model with such an input`,
    );
  }
  const qdg = learnedToJson({
    quantizers: learned?.quantizers ?? new Map(),
    ...(learned?.byBits && { byBits: learned.byBits }),
    ...(preprocessing && { preprocessing: preprocessingToJson(preprocessing) }),
    ...(labels && { labels }),
  });
  return onnxNetwork(graph, layout, { qdg });
}

/**
 * The network of a graph for any number of images, with weights of its own for each layer.
 *
 * @throws QdgError `unsupported-layer` naming the nodes that training does not compute, and what `trainedConstants`
 * throws; `unsupported-model` where a file of it would not have its quantizers at the same values
 */
export function onnxNetwork(
  source: Graph,
  layout: Layout,
  userDefinedMetadata: OnnxNetwork["userDefinedMetadata"],
): OnnxNetwork {
  checkOperators(source);
  const graph = withOwnVectors(readBack(withOpenBatch(source)));
  const [sites, again] = [graph, readBack(graph)].map(sitesOf) as [string[], string[]];
  const index = sites.findIndex((ids, i) => ids !== again[i]);
  if (index >= 0 || sites.length !== again.length) {
    throw new QdgError(
      "unsupported-model",
      graph.name,
      `its quantizer at ${sites[index] ?? again[sites.length]} would not be found in the file that is written; quantize the trained model with qdg-export --calibration`,
    );
  }
  const weights = new Map<string, Tensor<"float32">>();
  for (const [{ name, constant }, { reader, isKernel }] of trainedConstants(graph)) {
    const weight = constant as Tensor<"float32">;
    weights.set(name, isKernel ? { dtype: "float32", ...kernelLayout(reader, weight) } : weight);
  }
  return { graph, layout, weights, userDefinedMetadata };
}

/** The graph with the weights of the network as they stand. */
export function onnxGraph({ graph, weights }: OnnxNetwork): Graph {
  const copy = cloneGraph(graph);
  for (const [value, { reader, isKernel }] of trainedConstants(copy)) {
    const weight = weights.get(value.name);
    if (!weight) throw new QdgError("internal", value.name, "is no weight of the network");
    value.constant = isKernel ? weightLayout(reader, value.shape as number[], weight.data) : weight;
  }
  return copy;
}

/**
 * Writes the network as a float ONNX file that says its learned scales, preprocessing and labels in its metadata.
 *
 * @throws QdgError `exists` without `force`; `invalid-weights` as `checkWeights`; `io`
 */
export async function saveOnnxNetwork(
  path: string,
  network: OnnxNetwork,
  { force = false }: { readonly force?: boolean } = {},
): Promise<void> {
  checkWeights(network.weights);
  const graph = onnxGraph(network);
  const facts = { source: null, layout: network.layout, ...layersModelMetadata(network, path) };
  // Also where there are none: it says that the file is a model to export, and not an exported one.
  const learned = parseLearned(network.userDefinedMetadata) ?? { quantizers: new Map() };
  const bytes = floatFile(graph, DEFAULT_OPSET, floatMetadata(facts, graph, learned));
  await writeFileAtomic(path, bytes, { force });
}

/** What is read of the file of a graph. Shapes are told anew from that of the input. */
export function readBack(graph: Graph): Graph {
  const copy = cloneGraph(graph);
  const batch = batchOf(copy);
  for (const output of copy.outputs) {
    output.shape = output.shape.map((_, axis) => (axis === 0 ? batch : UNKNOWN_DIM));
  }
  return { ...readOnnx(decodeModel(floatFile(copy, DEFAULT_OPSET)), graph.name), name: graph.name };
}

function sitesOf(graph: Graph): string[] {
  return quantizerSites(runPasses(graph, QUANTIZED_PASSES)).map(({ ids }) => ids.join(", "));
}

/** What tells two networks apart whose weights have the same names and shapes. */
export function structureOf({ graph, layout }: OnnxNetwork): string {
  const constants = valuesOf(graph).flatMap(({ name, dtype, shape, constant }) =>
    constant && constant.dtype !== "float32" ? [[name, dtype, shape, Array.from(constant.data, String)]] : [],
  );
  const nodes = graph.nodes.map(({ op, attributes, inputs, outputs }) => [
    op,
    attributes,
    inputs.map((input) => input?.name),
    outputs.map(({ name }) => name),
  ]);
  return JSON.stringify([layout, graph.inputs.map(({ name, shape }) => [name, shape]), nodes, constants]);
}
