// Writes qdg's own composite operators as plain ONNX ones, for files that stay in float. Quantized files
// have tables instead.

import { float32 } from "../../base/tensor.js";
import type { Attribute, Graph, Node, Value } from "../graph.js";
import { cloneGraph, floatAttribute, inputOf, outputOf } from "../graph.js";
import { REQUANTIZE } from "../node-kinds.js";

/**
 * - `Swish(x) = x * Sigmoid(x)`
 * - `GeneralRelu(x) = x < threshold ? negative_slope * (x - threshold) : min(x, max_value)`
 * - `Requantize(x) = x`
 *
 * Inner values are named `y/...` after the output y, which keeps its name. Other operators of qdg's own are
 * calls of functions that the file brings along, and stay.
 */
export function expandComposites(graph: Graph): Graph {
  const result = cloneGraph(graph);
  result.nodes = result.nodes.flatMap((node) => {
    if (node.domain !== "qdg") return [node];
    if (node.op === "Swish") return expandSwish(node);
    if (node.op === "GeneralRelu") return expandGeneralRelu(node);
    if (node.op === REQUANTIZE) return [last(node, "Identity", [inputOf(node, 0)])];
    return [node];
  });
  return result;
}

function expandSwish(node: Node): Node[] {
  const x = inputOf(node, 0);
  const gate = part(node, "Sigmoid", [x], "sigmoid");
  return [gate, last(node, "Mul", [x, outputOf(gate)])];
}

function expandGeneralRelu(node: Node): Node[] {
  const x = inputOf(node, 0);
  const max = floatAttribute(node, "max_value", Number.POSITIVE_INFINITY);
  const slope = floatAttribute(node, "negative_slope", 0);
  const threshold = floatAttribute(node, "threshold", 0);
  const nodes: Node[] = [];
  const add = (op: string, inputs: readonly (Value | null)[], what: string, dtype?: "bool"): Value => {
    const added = part(node, op, inputs, what, dtype);
    nodes.push(added);
    return outputOf(added);
  };
  const level = scalar(node, "threshold", threshold);
  const upper = Number.isFinite(max) ? add("Min", [x, scalar(node, "max_value", max)], "upper") : x;
  const shifted = add("Sub", [x, level], "shifted");
  const lower = add("Mul", [shifted, scalar(node, "negative_slope", slope)], "lower");
  const below = add("Less", [x, level], "below", "bool");
  return [...nodes, last(node, "Where", [below, lower, upper])];
}

function scalar(node: Node, what: string, x: number): Value {
  const constant = float32([], [x]);
  return { name: `${outputOf(node).name}/${what}`, dtype: "float32", shape: [], constant };
}

function part(
  node: Node,
  op: string,
  inputs: readonly (Value | null)[],
  what: string,
  dtype: "float32" | "bool" = "float32",
): Node {
  const { name, shape } = outputOf(node);
  const output: Value = { name: `${name}/${what}`, dtype, shape };
  return made(node, op, inputs, output);
}

function last(node: Node, op: string, inputs: readonly (Value | null)[]): Node {
  return made(node, op, inputs, outputOf(node));
}

function made(node: Node, op: string, inputs: readonly (Value | null)[], output: Value): Node {
  const attributes: Readonly<Record<string, Attribute>> = {};
  const result: Node = {
    op,
    domain: "",
    attributes,
    inputs: [...inputs],
    outputs: [output],
    origin: node.origin,
  };
  output.producer = result;
  return result;
}
