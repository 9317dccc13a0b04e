// A tfjs graph-model as a graph: nodes and weights in, ONNX operators out. Pure: no file is touched here.

import { QdgError } from "../../base/error.js";
import type { Graph, Value } from "../../graph/graph.js";
import type { LearnedQuantizers } from "../../quant/learned.js";
import { nameDims } from "../dims.js";
import { GraphWriter } from "../graph-writer.js";
import type { Held } from "../held.js";
import type { ReadOptions } from "../layers-model.js";
import { normalize } from "../normalize/pipeline.js";
import type { Weights } from "../weights.js";
import { Attributes } from "./attributes.js";
import { dilationsOfBlocks } from "./dilations.js";
import { learnedRanges } from "./fake-quantized.js";
import { checkFunctions, type GraphFunctions } from "./functions.js";
import { type GraphJson, type GraphNode, inOrder, MAX_NODES, type Port } from "./graph-json.js";
import { loopsOf } from "./loops.js";
import { OPS } from "./ops.js";
import { tensorOf } from "./tensors.js";
import { CONTROL_OPS, Trace } from "./trace.js";

/** Nodes that a message names of one operator. */
const SHOWN_NODES = 3;

/**
 * Reads a graph-model. Graph inputs and outputs are those of the signature, by its names and in its order; the value that
 * a node gives is named as the node, values within it `node/what`. Unknown sizes are N (batch), H, W, L, D and formulas of
 * these.
 *
 * @throws QdgError `invalid-model`, `invalid-weights`; `unsupported-op` with all nodes whose operators are not read, or
 * with the node and the attribute that cannot be computed exactly
 */
export function readGraphModel(
  written: GraphJson,
  weights: Weights,
  options: ReadOptions = {},
  where = "model.json",
): Graph {
  return readGraphModelWithRanges(written, weights, options, where).graph;
}

/** The same, and the ranges of fake quantization in it as learned scales. @throws QdgError the same, and as `learnedRanges` */
export function readGraphModelWithRanges(
  written: GraphJson,
  weights: Weights,
  options: ReadOptions,
  where: string,
): { readonly graph: Graph; readonly learned: LearnedQuantizers | null } {
  const fed = new Set(written.inputs.map(({ source }) => source.node));
  const { json: looped, loops } = loopsOf(written, where);
  checkOperators(looped, fed, where);
  const needed = inOrder(looped, fed, where);
  const functions = checkFunctions(written.library, MAX_NODES, where);
  checkWeights(written, functions, weights);
  const json = dilationsOfBlocks(looped, needed, weights);
  const writer = new GraphWriter("model");
  const moves = options.layout === "nchw";
  const inputs = json.inputs.map((port, index) => declareInput(port, index, json, writer, moves));
  const given = new Map(json.inputs.map(({ source }, i) => [source.node, [tensorOf(inputs[i] as Held)]]));
  const names = json.outputs.map(({ name }) => writer.builder.uniqueName(name));
  const trace = new Trace(writer, weights, functions, loops, where);
  const outputs = json.outputs.map(({ source }) => source);
  const tensorAt = trace.run({ nodes: json.nodes, given }, outputs);
  json.outputs.forEach(({ source }, i) => {
    const { held, list } = tensorAt(source);
    if (list)
      throw new QdgError("unsupported-op", source.node, "is an output and a list of tensors; stack it");
    const rank = held.value.shape.length;
    const value = moves && rank > 3 ? writer.channelsFirst(held) : writer.asIs(held);
    declareOutput(value, names[i] as string, writer);
  });
  const graph = normalize(writer.finish());
  return { graph, learned: learnedRanges(graph, writer.ranges, needed) };
}

/** All at once: who converts a model wants to know what stands in the way, not what comes first. */
function checkOperators(json: GraphJson, fed: ReadonlySet<string>, where: string): void {
  const unknown = new Map<string, string[]>();
  const seen = new Set<string>();
  const stack = json.outputs.map(({ source }) => source.node);
  for (let name = stack.pop(); name !== undefined; name = stack.pop()) {
    if (seen.has(name)) continue;
    seen.add(name);
    if (fed.has(name)) continue;
    const { op, inputs } = json.nodes.get(name) as GraphNode;
    if (op === "Placeholder") {
      throw new QdgError(
        "invalid-model",
        where,
        `the outputs need ${name}, which the signature does not name`,
      );
    }
    if (op !== "Const" && !OPS.has(op) && !CONTROL_OPS.has(op)) {
      const names = unknown.get(op);
      if (names) names.push(name);
      else unknown.set(op, [name]);
    }
    for (const { node } of inputs) stack.push(node);
  }
  if (unknown.size === 0) return;
  const lines = [...unknown].map(([op, names]) => {
    const shown = names.slice(0, SHOWN_NODES).join(", ");
    const more = names.length > SHOWN_NODES ? ` and ${names.length - SHOWN_NODES} more` : "";
    return `${op} (${shown}${more})`;
  });
  throw new QdgError(
    "unsupported-op",
    where,
    `has operators that qdg does not read: ${lines.join("; ")}; cut the model before them, or build it without them`,
  );
}

/** @throws QdgError `invalid-weights` for a weight that is no constant of the graph */
function checkWeights({ nodes }: GraphJson, functions: GraphFunctions, weights: Weights): void {
  const graphs = [nodes, ...[...functions.values()].map((each) => each.nodes)];
  const constants = new Set(
    graphs.flatMap((all) => [...all.values()].filter(({ op }) => op === "Const")).map(({ name }) => name),
  );
  const left = [...weights.keys()].filter((name) => !constants.has(name));
  if (left.length === 0) return;
  const more = left.length > SHOWN_NODES ? ` and ${left.length - SHOWN_NODES} more` : "";
  throw new QdgError(
    "invalid-weights",
    left.slice(0, SHOWN_NODES).join(", ") + more,
    "no constant of the graph has this name; topology and weights are of two models",
  );
}

function declareInput(
  { name, source, shape: stated }: Port,
  index: number,
  { nodes }: GraphJson,
  writer: GraphWriter,
  moves: boolean,
): Held {
  const node = nodes.get(source.node) as GraphNode;
  const where = `${node.name} (${node.op})`;
  const attributes = new Attributes(node.attributes, where);
  const shape = attributes.shape("shape") ?? stated;
  if (!shape) {
    throw new QdgError(
      "unsupported-model",
      where,
      "is an input of unknown rank; convert the model with a signature that says its shape",
    );
  }
  const dtype = attributes.dtype("dtype", "float32");
  return writer.input(name, nameDims(shape, index, false), dtype, moves && shape.length > 3);
}

/** ONNX wants outputs that are computed and named once each. */
function declareOutput(value: Value, name: string, { builder, graph }: GraphWriter): void {
  if (value.producer && !graph.outputs.includes(value)) {
    value.name = name;
    builder.output(value);
    return;
  }
  const declared = { name, shape: value.shape, dtype: value.dtype };
  const output = builder.node("Identity", value.name, [value], declared);
  output.name = name;
  builder.output(output);
}
