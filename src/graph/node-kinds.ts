// What quantization needs to know of an operator: the one table that placing and lowering both read.

import type { Graph, Node, Value } from "./graph.js";
import { consumers, inputOf, intAttribute, outputOf, stringAttribute } from "./graph.js";
import type { Quantization } from "../quant/spec.js";

/**
 * - `weighted`: a sum of products with a constant weight; an integer kernel, or exact sums in float
 * - `lookup`: reads rows of a constant table (Embedding)
 * - `rectifier`: clamps between constants of which 0 is one or between; an integer clip
 * - `unary`: any other function of one element; a table of 256 integers
 * - `same-scale`: operands and result stand on one scale, integers are only selected (Concat, Max, Min)
 * - `shared-operands`: operands stand on one scale, the result has its own (Add, Sum, Mean)
 * - `product`: Mul, MatMul of two computed values; every scale its own
 * - `pool`: an average; the result has a scale of its own
 * - `rearranging`: moves or selects elements; the integers of its input pass through
 * - `float`: computed in real numbers between quantizers
 */
export type NodeKind =
  | "weighted"
  | "lookup"
  | "rectifier"
  | "unary"
  | "same-scale"
  | "shared-operands"
  | "product"
  | "pool"
  | "rearranging"
  | "float";

/** qdg's own operator `y = x`, y with a quantizer of its own. */
export const REQUANTIZE = "Requantize";

type KindRule = NodeKind | ((node: Node) => NodeKind);

/** By operator; what is not here runs in float. */
const KIND_BY_OP: Readonly<Record<string, KindRule>> = {
  Conv: constantWeight,
  ConvTranspose: constantWeight,
  Gemm: constantWeight,
  MatMul: (node) => {
    if (!node.inputs[1]?.constant) return "product";
    return node.inputs[1].shape.length === 2 ? "weighted" : "float";
  },
  Gather: (node) => (node.inputs[0]?.constant ? "lookup" : "float"),
  Clip: (node) => {
    const range = clipRange(node);
    return range && range[0] <= 0 && range[1] > 0 ? "rectifier" : "unary";
  },
  Relu: "rectifier",
  LeakyRelu: "unary",
  Elu: "unary",
  Selu: "unary",
  Sigmoid: "unary",
  HardSigmoid: "unary",
  HardSwish: "unary",
  Tanh: "unary",
  Softplus: "unary",
  Softsign: "unary",
  ThresholdedRelu: "unary",
  Gelu: "unary",
  Mish: "unary",
  Swish: "unary",
  GeneralRelu: "unary",
  [REQUANTIZE]: "unary",
  Concat: unlessConstant("same-scale"),
  Max: unlessConstant("same-scale"),
  Min: unlessConstant("same-scale"),
  Add: unlessConstant("shared-operands"),
  Sum: unlessConstant("shared-operands"),
  Mean: unlessConstant("shared-operands"),
  Mul: unlessConstant("product"),
  AveragePool: "pool",
  GlobalAveragePool: "pool",
  MaxPool: "rearranging",
  GlobalMaxPool: "rearranging",
  Transpose: "rearranging",
  Reshape: "rearranging",
  Flatten: "rearranging",
  Squeeze: "rearranging",
  Unsqueeze: "rearranging",
  Slice: "rearranging",
  Pad: "rearranging",
  Expand: "rearranging",
  Tile: "rearranging",
  Identity: "rearranging",
  Resize: (node) => (stringAttribute(node, "mode", "nearest") === "nearest" ? "rearranging" : "float"),
};

/** The operators that quantization knows by name. */
export const QUANTIZED_OPERATORS: readonly string[] = Object.keys(KIND_BY_OP);

function constantWeight(node: Node): NodeKind {
  return node.inputs[1]?.constant ? "weighted" : "float";
}

/** A constant operand (Rescaling, a scalar factor) has no scale to share. */
function unlessConstant(kind: NodeKind): (node: Node) => NodeKind {
  return (node) => (node.inputs.some((input) => input?.constant) ? "float" : kind);
}

export function kindOf(node: Node): NodeKind {
  const rule = (Object.hasOwn(KIND_BY_OP, node.op) && KIND_BY_OP[node.op]) || "float";
  return typeof rule === "string" ? rule : rule(node);
}

/** `[low, high]` of a Relu or Clip with constant bounds; null when they are computed. */
export function clipRange(node: Node): readonly [number, number] | null {
  if (node.op === "Relu") return [0, Number.POSITIVE_INFINITY];
  if (node.op !== "Clip") return null;
  const bound = (index: number, otherwise: number): number | null => {
    const value = node.inputs[index];
    if (!value) return otherwise;
    return value.constant ? Number(value.constant.data[0]) : null;
  };
  const low = bound(1, Number.NEGATIVE_INFINITY);
  const high = bound(2, Number.POSITIVE_INFINITY);
  return low === null || high === null ? null : [low, high];
}

/** The inputs that carry activations, in order: constants and shapes are left out. */
export function activationInputs(node: Node): Value[] {
  const inputs =
    kindOf(node) === "lookup" || kindOf(node) === "rearranging" || kindOf(node) === "rectifier"
      ? node.inputs.slice(0, 1)
      : node.inputs;
  return inputs.filter((input): input is Value => input !== null && input !== undefined && !input.constant);
}

/** Whether `node`'s output is never negative when its inputs are not (`nonNegative`). */
export function isNonNegative(node: Node, nonNegative: (value: Value) => boolean): boolean {
  switch (node.op) {
    case "Relu":
    case "Sigmoid":
    case "HardSigmoid":
    case "Softplus":
    case "Softmax":
      return true;
    case "Clip": {
      const range = clipRange(node);
      return range !== null && range[0] >= 0;
    }
    case "ThresholdedRelu":
      return true;
    case "Pad":
    case "Concat":
    case "Max":
    case "Min":
    case "Add":
    case "Sum":
    case "Mean":
    case "Mul":
    case "AveragePool":
    case "GlobalAveragePool":
    case "MaxPool":
    case "GlobalMaxPool":
    case "Transpose":
    case "Reshape":
    case "Flatten":
    case "Squeeze":
    case "Unsqueeze":
    case "Slice":
    case "Expand":
    case "Tile":
    case "Identity":
    case REQUANTIZE:
    case "Resize":
      return activationInputs(node).every(nonNegative) && activationInputs(node).length > 0;
    default:
      return false;
  }
}

/**
 * The rectifier that can be one with the node that computes `value`: its only reader, and `value` is no
 * output of the graph.
 */
export function onlyRectifier(
  graph: Graph,
  uses: ReadonlyMap<Value, readonly Node[]>,
  value: Value,
): Node | null {
  const readers = uses.get(value) ?? [];
  const [reader] = readers;
  if (readers.length !== 1 || !reader || graph.outputs.includes(value)) return null;
  return kindOf(reader) === "rectifier" && inputOf(reader, 0) === value ? reader : null;
}

/** The quantization that a sum goes into: its own, or that of the rectifier that alone reads it. */
export function quantizerAfter(
  graph: Graph,
  uses: ReadonlyMap<Value, readonly Node[]>,
  sum: Value,
): Quantization | null {
  if (sum.quantization) return sum.quantization;
  const rectifier = onlyRectifier(graph, uses, sum);
  return (rectifier && outputOf(rectifier).quantization) ?? null;
}

/**
 * Nodes after the last sums that training quantizes: nothing weighted, and all readers are such nodes or
 * outputs of the graph. They run in float and their values have no quantizer.
 */
export function floatTail(graph: Graph): ReadonlySet<Node> {
  const uses = consumers(graph);
  const tail = new Set<Node>();
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i] as Node;
    if (kindOf(node) === "weighted" || kindOf(node) === "lookup") continue;
    const readers = node.outputs.flatMap((output) => uses.get(output) ?? []);
    if (readers.every((reader) => tail.has(reader))) tail.add(node);
  }
  return tail;
}

/**
 * Whether a convolution has one filter of one channel for each channel. [K, 1, R, S] alone can also be many filters
 * of one channel, and as many groups as filters can hold several channels each.
 */
export function isDepthwise(node: Node): boolean {
  const group = intAttribute(node, "group", 1);
  const [filters, channels] = node.inputs[1]?.shape ?? [];
  return node.op === "Conv" && group > 1 && filters === group && channels === 1;
}

/** A depthwise convolution of one element a channel: batch normalization that could not fold. */
export function isScaling(node: Node): boolean {
  return (
    isDepthwise(node) &&
    inputOf(node, 1)
      .shape.slice(2)
      .every((dim) => dim === 1)
  );
}
