// A tfjs graph-model as a graph: nodes and weights in, ONNX operators out. Pure: no file is touched here.

import { QdgError } from "../../base/error.js";
import type { Graph, Value } from "../../graph/graph.js";
import { nameDims } from "../dims.js";
import { GraphWriter } from "../graph-writer.js";
import type { Held } from "../held.js";
import type { ReadOptions } from "../layers-model.js";
import { normalize } from "../normalize/pipeline.js";
import type { Weights } from "../weights.js";
import { Attributes } from "./attributes.js";
import { OpCall } from "./call.js";
import { dilationsOfBlocks } from "./dilations.js";
import { type GraphJson, type GraphNode, inOrder, type Port, type Source } from "./graph-json.js";
import { OPS } from "./ops.js";
import { type GraphTensor, tensorOf } from "./tensors.js";

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
  const fed = new Set(written.inputs.map(({ source }) => source.node));
  checkOperators(written, fed, where);
  const needed = inOrder(written, fed, where);
  checkWeights(written, weights);
  const json = dilationsOfBlocks(written, needed, weights);
  const order = inOrder(json, fed, where);
  const writer = new GraphWriter("model");
  const moves = options.layout === "nchw";
  const tensors = new Map<string, readonly GraphTensor[]>();
  const inputs = json.inputs.map((port, index) => declareInput(port, index, json, writer, moves));
  json.inputs.forEach(({ source }, i) => tensors.set(source.node, [tensorOf(inputs[i] as Held)]));
  const names = json.outputs.map(({ name }) => writer.builder.uniqueName(name));
  const tensorAt = ({ node, output }: Source): GraphTensor => {
    const tensor = tensors.get(node)?.[output];
    if (tensor) return tensor;
    throw new QdgError("invalid-model", node, `output ${output} is read, which the node does not have`);
  };
  for (const node of order) {
    if (tensors.has(node.name)) continue;
    tensors.set(node.name, emit(node, node.inputs.map(tensorAt), weights, writer));
  }
  json.outputs.forEach(({ source }, i) => {
    const { held } = tensorAt(source);
    const rank = held.value.shape.length;
    const value = moves && rank > 3 ? writer.channelsFirst(held) : writer.asIs(held);
    declareOutput(value, names[i] as string, writer);
  });
  return normalize(writer.finish());
}

function emit(
  node: GraphNode,
  inputs: readonly GraphTensor[],
  weights: Weights,
  writer: GraphWriter,
): readonly GraphTensor[] {
  const where = `${node.name} (${node.op})`;
  if (node.op === "Const") {
    const weight = weights.get(node.name);
    if (!weight) {
      throw new QdgError(
        "invalid-weights",
        node.name,
        "is a constant of the graph that the weights manifest lacks; convert the model again",
      );
    }
    return [tensorOf({ value: writer.builder.constant(node.name, weight), layout: "as-is" })];
  }
  const emitOp = OPS.get(node.op);
  if (!emitOp) throw new QdgError("internal", where, "is no operator of the list");
  const attributes = new Attributes(node.attributes, where);
  const result = emitOp(new OpCall(node, inputs, attributes, writer));
  attributes.finish();
  return "held" in result ? [result] : result;
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
    if (op !== "Const" && !OPS.has(op)) {
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
function checkWeights({ nodes }: GraphJson, weights: Weights): void {
  const left = [...weights.keys()].filter((name) => nodes.get(name)?.op !== "Const");
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
