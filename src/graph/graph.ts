// Graph, Node and Value: a network as ONNX operators, with quantization as an annotation on values.
// Values are held by reference, nodes are in topological order. Nothing here knows protobuf or tfjs.

import type { DType, Tensor } from "../base/tensor.js";
import { QdgError } from "../base/error.js";
import type { Quantization } from "../quant/spec.js";

/** A size, or the name of one that is known only at run time ("N", "H", "W"). */
export type Dim = number | string;

export type Attribute = number | string | Tensor | readonly number[] | readonly string[] | FloatAttribute;

/** A float attribute: a plain number stands for an int, as ONNX tells the two apart. */
export interface FloatAttribute {
  readonly float: number;
}

export interface Value {
  /** Unique in its graph. The output of a tfjs layer bears the layer's name. */
  name: string;
  dtype: DType;
  shape: readonly Dim[];
  /** The node that computes it; absent for inputs and constants. */
  producer?: Node;
  constant?: Tensor;
  /**
   * A constant stands for `constant * factors[k]` along `axis`. Batch normalization folds in here and not
   * into `constant`, so that the integers of a quantized weight are those of training: the factor goes
   * into the scale.
   */
  channelFactor?: ChannelFactor;
  /** Integers that stand for this value, once placed and found. Lowering writes them out. */
  quantization?: Quantization;
  /** Of a quantized constant whose integers were chosen: they are not its nearest. In its order, from zero point 0. */
  integers?: Int32Array;
}

export interface ChannelFactor {
  readonly axis: number;
  readonly factors: Float32Array;
}

export interface Node {
  /** The name of the ONNX operator, or of one of qdg's own when `domain` is "qdg". */
  op: string;
  domain: "" | "qdg";
  attributes: Readonly<Record<string, Attribute>>;
  /** null: an optional input that is left out. */
  inputs: (Value | null)[];
  outputs: Value[];
  /** The tfjs layer (or ONNX node) that it came from. */
  origin: string;
}

export interface Graph {
  name: string;
  inputs: Value[];
  outputs: Value[];
  nodes: Node[];
}

/** Node -> nodes that read its value, in order; one entry a use. */
export function consumers(graph: Graph): Map<Value, Node[]> {
  const uses = new Map<Value, Node[]>();
  for (const node of graph.nodes) {
    for (const input of node.inputs) {
      if (input === null) continue;
      const list = uses.get(input);
      if (list) list.push(node);
      else uses.set(input, [node]);
    }
  }
  return uses;
}

/** The input at `index`. @throws QdgError `invalid-graph` when it is left out */
export function inputOf(node: Node, index: number): Value {
  const value = node.inputs[index];
  if (!value) {
    throw new QdgError("invalid-graph", `${node.origin} (${node.op})`, `input ${index} is missing`);
  }
  return value;
}

/** The first output. */
export function outputOf(node: Node): Value {
  const value = node.outputs[0];
  if (!value) throw new QdgError("invalid-graph", `${node.origin} (${node.op})`, "has no output");
  return value;
}

/** All values, each once: inputs, then constants and outputs in the order of the nodes. */
export function valuesOf(graph: Graph): Value[] {
  const values = new Set<Value>(graph.inputs);
  for (const node of graph.nodes) {
    for (const input of node.inputs) if (input) values.add(input);
    for (const output of node.outputs) values.add(output);
  }
  for (const output of graph.outputs) values.add(output);
  return [...values];
}

/**
 * A copy whose nodes and values can be changed; tensors are shared, they are never written to.
 * Passes work on a copy, so that their input stays what it was.
 */
export function cloneGraph(graph: Graph): Graph {
  const values = new Map<Value, Value>();
  const copyOf = (value: Value): Value => {
    let copy = values.get(value);
    if (!copy) {
      const { producer: _, ...rest } = value;
      copy = rest;
      values.set(value, copy);
    }
    return copy;
  };
  const inputs = graph.inputs.map(copyOf);
  const nodes = graph.nodes.map((node) => {
    const copy: Node = {
      ...node,
      inputs: node.inputs.map((input) => input && copyOf(input)),
      outputs: node.outputs.map(copyOf),
    };
    for (const output of copy.outputs) output.producer = copy;
    return copy;
  });
  return { name: graph.name, inputs, nodes, outputs: graph.outputs.map(copyOf) };
}

/** Makes every reader of `from`, outputs of the graph among them, read `to`. */
export function replaceUses(graph: Graph, from: Value, to: Value): void {
  for (const node of graph.nodes) {
    node.inputs = node.inputs.map((input) => (input === from ? to : input));
  }
  graph.outputs = graph.outputs.map((output) => (output === from ? to : output));
}

/** Removes nodes whose outputs nobody reads. */
export function removeDeadNodes(graph: Graph): void {
  const live = new Set<Value>(graph.outputs);
  const kept: Node[] = [];
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i] as Node;
    if (!node.outputs.some((output) => live.has(output))) continue;
    for (const input of node.inputs) if (input) live.add(input);
    kept.push(node);
  }
  graph.nodes = kept.reverse();
}

export function intAttribute(node: Node, name: string, otherwise: number): number {
  const value = node.attributes[name];
  if (value === undefined) return otherwise;
  if (typeof value !== "number") throw wrongAttribute(node, name, "an int");
  return value;
}

export function intsAttribute(node: Node, name: string): readonly number[] | undefined {
  const value = node.attributes[name];
  if (value === undefined) return undefined;
  if (!Array.isArray(value) || value.some((item) => typeof item !== "number")) {
    throw wrongAttribute(node, name, "a list of ints");
  }
  return value as readonly number[];
}

export function floatAttribute(node: Node, name: string, otherwise: number): number {
  const value = node.attributes[name];
  if (value === undefined) return otherwise;
  if (typeof value !== "object" || !("float" in value)) throw wrongAttribute(node, name, "a float");
  return value.float;
}

export function stringAttribute(node: Node, name: string, otherwise: string): string {
  const value = node.attributes[name];
  if (value === undefined) return otherwise;
  if (typeof value !== "string") throw wrongAttribute(node, name, "a string");
  return value;
}

function wrongAttribute(node: Node, name: string, expected: string): QdgError {
  const got = JSON.stringify(node.attributes[name]);
  return new QdgError(
    "invalid-graph",
    `${node.origin} (${node.op})`,
    `attribute ${name}: got ${got}, expected ${expected}`,
  );
}
