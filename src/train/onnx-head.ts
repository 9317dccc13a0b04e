// Writes another head into the graph of a network, where it was found to have it.

import { QdgError } from "../base/error.js";
import { int64, type Tensor, transpose } from "../base/tensor.js";
import {
  type Graph,
  inputOf,
  type Node,
  outputOf,
  replaceUses,
  type Value,
  valuesOf,
} from "../graph/graph.js";
import { GraphBuilder } from "../graph/builder.js";
import { CLASSIFYING, type Head } from "./find-head.js";
import { freshBias, freshKernel, type NewHead } from "./new-head.js";
import { onnxGraph, type OnnxNetwork, onnxNetwork } from "./onnx-network.js";
import { kernelLayout, weightLayout } from "./ops/kernel-layout.js";

/**
 * The softmax stands at the end, where the loss takes what it reads for logits, and gives the output under the name that it had.
 *
 * @throws QdgError `unsupported-model` for features of an unknown number of channels, and what `onnxNetwork` throws
 */
export function networkWithHead(network: OnnxNetwork, head: NewHead): OnnxNetwork {
  const { found, keeps } = head;
  const graph = onnxGraph(network);
  if (found.kind === "features") appendHead(graph, network, head);
  else {
    // That of the copy.
    const end = { ...found, ...placesIn(graph, found) };
    if (!keeps) resize(end, head);
    endInSoftmax(graph, end);
  }
  return onnxNetwork(graph, network.layout, network.userDefinedMetadata);
}

/** The nodes of a head in another copy of its graph. */
function placesIn(graph: Graph, { node, after }: Head): Pick<Head, "node" | "after"> {
  const byOutput = new Map(graph.nodes.map((each) => [outputOf(each).name, each]));
  const same = (each: Node): Node => byOutput.get(outputOf(each).name) as Node;
  return { node: same(node), after: after.map(same) };
}

/** Fresh weights of the right number; what follows is told anew when the graph is read back. */
function resize({ node, classes: before, after }: Head, head: NewHead): void {
  const { classes } = head;
  const weight = inputOf(node, 1);
  const kernel = kernelLayout(node, weight.constant as Tensor<"float32">);
  const fresh = freshKernel(head, weight.name, [...kernel.shape.slice(0, -1), classes]);
  const axis = weight.shape.indexOf(before, node.op === "MatMul" || isPlainGemm(node) ? 1 : 0);
  const shape = (weight.shape as readonly number[]).with(axis, classes);
  node.inputs[1] = renewed(weight, weightLayout(node, shape, fresh.data));
  const rows = [node, ...after.filter(({ op }) => op === "Add")];
  for (const reader of rows) {
    reader.inputs = reader.inputs.map((input, index) => {
      const isBias = input?.constant && (reader !== node || index === 2);
      return isBias ? renewed(input, freshBias(head)) : input;
    });
  }
  for (const { op, inputs } of after) {
    const sizes = op === "Reshape" ? inputs[1]?.constant : undefined;
    if (!sizes) continue;
    const listed = Array.from(sizes.data as BigInt64Array, Number);
    const changed = listed.map((size) => (size === before ? classes : size));
    inputs[1] = renewed(inputs[1] as Value, int64(sizes.shape, changed));
  }
}

function renewed(value: Value, constant: Tensor): Value {
  return { ...value, shape: constant.shape, constant };
}

function isPlainGemm(node: Node): boolean {
  return node.op === "Gemm" && node.attributes["transB"] !== 1;
}

/** Takes out the softmax or sigmoid that is there, and adds a softmax at the end. */
function endInSoftmax(graph: Graph, { after }: Pick<Head, "after">): void {
  const present = after.find(({ op }) => CLASSIFYING.has(op));
  if (present) {
    graph.nodes = graph.nodes.filter((node) => node !== present);
    replaceUses(graph, outputOf(present), inputOf(present, 0));
  }
  const builder = builderOn(graph);
  const end = graph.outputs[0] as Value;
  const flat = end.shape.length === 2 ? end : append(builder, "Flatten", end, "flat", ["N", "?"]);
  const isFree = present && !valuesOf(graph).some(({ name }) => name === outputOf(present).name);
  const name = isFree ? outputOf(present).name : "probabilities";
  graph.outputs = [append(builder, "Softmax", flat, name, flat.shape, { axis: 1 })];
}

/** Global pooling of a map, a Gemm named "classes", a softmax. */
function appendHead(graph: Graph, { layout }: OnnxNetwork, head: NewHead): void {
  const { classes } = head;
  const builder = builderOn(graph);
  let end = graph.outputs[0] as Value;
  const isImage = end.shape.length === 4;
  if (isImage && layout === "nhwc") {
    const [n = "N", h = "?", w = "?", c = "?"] = end.shape;
    end = append(builder, "Transpose", end, "channels_first", [n, c, h, w], { perm: [0, 3, 1, 2] });
  }
  const channels = end.shape[1];
  if (typeof channels !== "number") {
    throw new QdgError("unsupported-model", "model", `gives ${channels} channels, expected a known number`);
  }
  if (isImage) {
    end = append(builder, "GlobalAveragePool", end, "pool", ["N", channels, 1, 1]);
    end = append(builder, "Flatten", end, "features", ["N", channels]);
  }
  const origin = builder.uniqueName("classes");
  const kernel = freshKernel(head, `${origin}/kernel`, [channels, classes]);
  const weights = [
    builder.constant(`${origin}/kernel`, transpose(kernel, [1, 0])),
    builder.constant(`${origin}/bias`, freshBias(head)),
  ];
  const logits = builder.node(
    "Gemm",
    origin,
    [end, ...weights],
    { name: origin, shape: ["N", classes] },
    { transB: 1 },
  );
  graph.outputs = [append(builder, "Softmax", logits, "probabilities", logits.shape, { axis: 1 })];
}

function append(
  builder: GraphBuilder,
  op: string,
  x: Value,
  name: string,
  shape: Value["shape"],
  attributes: Node["attributes"] = {},
): Value {
  return builder.node(op, name, [x], { name, shape }, attributes);
}

/** Goes on with a graph: its names are taken. */
function builderOn(graph: Graph): GraphBuilder {
  const builder = new GraphBuilder(graph.name);
  for (const { name } of valuesOf(graph)) builder.uniqueName(name);
  builder.graph.nodes = graph.nodes;
  return builder;
}
