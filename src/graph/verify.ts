// The rules that every Graph keeps, as a check: run after each reader and pass. Looks at structure only; whether
// an operator's inputs make sense is the reader's and the runtime's to say.

import { QdgError } from "../base/error.js";
import type { Tensor } from "../base/tensor.js";
import { allocate, sizeOf } from "../base/tensor.js";
import { checkBits, qmax, qmin } from "../quant/spec.js";
import type { Graph, Node, Value } from "./graph.js";
import { UNKNOWN_RANK } from "./unknown-shape.js";

/**
 * Checks that
 * - names of values are unique and not empty; inputs have neither producer nor constant;
 * - every node's inputs are inputs, constants or outputs of nodes before it, each output has that node as its
 *   producer and is computed once; outputs of the graph are there and named once;
 * - dimensions are whole numbers >= 0 or names; a constant has its value's type and shape and fills it;
 * - a channelFactor stands on a constant, on one of its axes, with a finite factor for each index;
 * - quantization has 2..8 bits and a finite scale other than 0 and a zero point for each index of its axis,
 *   and chosen integers are one an element, within its range.
 *
 * @throws QdgError `invalid-graph` (`invalid-quantization` for bits) naming the value or the node
 */
export function verifyGraph(graph: Graph): void {
  const names = new Map<string, Value>();
  const computed = new Set<Value>();
  const later = new Set<Value>(graph.nodes.flatMap((node) => node.outputs));
  const nodes = new Set<Node>();
  const meet = (value: Value): void => {
    if (names.get(value.name) === value) return;
    if (value.name === "") throw invalid("a value", "has no name");
    if (names.has(value.name)) throw invalid(value.name, "two values have this name, expected one");
    names.set(value.name, value);
    verifyValue(value);
  };

  for (const input of graph.inputs) {
    if (input.constant) throw invalid(input.name, "is an input and a constant, expected one of them");
    if (input.producer) throw invalid(input.name, `is an input and computed by ${titleOf(input.producer)}`);
    if (computed.has(input)) throw invalid(input.name, "is there twice among the inputs");
    meet(input);
    computed.add(input);
  }
  for (const node of graph.nodes) {
    if (nodes.has(node)) throw invalid(titleOf(node), "stands twice among the nodes");
    nodes.add(node);
    node.inputs.forEach((input, index) => {
      if (!input) return;
      meet(input);
      if (input.constant) {
        if (input.producer)
          throw invalid(input.name, `is a constant and computed by ${titleOf(input.producer)}`);
      } else if (!computed.has(input)) {
        const why = later.has(input) ? "is computed only later" : "is neither input, constant nor computed";
        throw invalid(titleOf(node), `input ${index}: ${input.name} ${why}`);
      }
    });
    if (node.outputs.length === 0) throw invalid(titleOf(node), "has no output");
    for (const output of node.outputs) {
      if (output.constant) throw invalid(output.name, `is a constant and computed by ${titleOf(node)}`);
      if (computed.has(output)) throw invalid(output.name, `is computed twice, again by ${titleOf(node)}`);
      if (output.producer !== node) {
        const got = output.producer ? titleOf(output.producer) : "none";
        throw invalid(output.name, `names ${got} as its producer, expected ${titleOf(node)}`);
      }
      meet(output);
      computed.add(output);
    }
  }
  const outputs = new Set<Value>();
  for (const output of graph.outputs) {
    if (!output.constant && !computed.has(output))
      throw invalid(output.name, "is an output that nothing computes");
    if (outputs.has(output))
      throw invalid(output.name, "is there twice among the outputs; put an Identity between");
    outputs.add(output);
    meet(output);
  }
}

function verifyValue(value: Value): void {
  for (const dim of value.shape) {
    const valid = typeof dim === "number" ? Number.isSafeInteger(dim) && dim >= 0 : dim !== "";
    if (!valid || (dim === UNKNOWN_RANK && value.shape.length > 1)) {
      throw invalid(
        value.name,
        `has shape [${value.shape.join(", ")}], expected whole numbers >= 0 or names`,
      );
    }
  }
  if (value.constant) verifyConstant(value, value.constant);
  verifyChannelFactor(value);
  verifyQuantization(value);
}

function verifyConstant(value: Value, constant: Tensor): void {
  if (constant.dtype !== value.dtype || constant.shape.join() !== value.shape.join()) {
    throw invalid(
      value.name,
      `is ${value.dtype} [${value.shape.join(", ")}], but its constant is ${constant.dtype} [${constant.shape.join(", ")}]`,
    );
  }
  if (constant.data.length !== sizeOf(constant.shape)) {
    throw invalid(value.name, `has ${constant.data.length} elements, expected ${sizeOf(constant.shape)}`);
  }
  const expected = allocate(constant.dtype, 0).constructor.name;
  const got = constant.data.constructor.name;
  if (got !== expected) throw invalid(value.name, `has its elements in a ${got}, expected a ${expected}`);
}

function verifyChannelFactor(value: Value): void {
  const { channelFactor } = value;
  if (!channelFactor) return;
  if (!value.constant) throw invalid(value.name, "has a channelFactor, which only constants may have");
  const size = value.shape[channelFactor.axis];
  if (size === undefined) {
    throw invalid(
      value.name,
      `has a channelFactor on axis ${channelFactor.axis}, expected 0..${value.shape.length - 1}`,
    );
  }
  if (channelFactor.factors.length !== size) {
    throw invalid(value.name, `has ${channelFactor.factors.length} factors, expected ${size}`);
  }
  channelFactor.factors.forEach((factor, k) => {
    if (!Number.isFinite(factor))
      throw invalid(value.name, `factor[${k}]: got ${factor}, expected a finite number`);
  });
}

function verifyQuantization(value: Value): void {
  if (!value.quantization) {
    if (value.integers) throw invalid(value.name, "has integers without a quantization");
    return;
  }
  const { spec, params } = value.quantization;
  checkBits(spec.bits, value.name);
  const channels = spec.axis === null ? 1 : value.shape[spec.axis];
  if (typeof channels !== "number") {
    throw invalid(value.name, `is quantized along axis ${spec.axis}, expected an axis of a fixed size`);
  }
  if (params.scale.length !== channels || params.zeroPoint.length !== channels) {
    throw invalid(
      value.name,
      `has ${params.scale.length} scales and ${params.zeroPoint.length} zero points, expected ${channels}`,
    );
  }
  params.scale.forEach((scale, k) => {
    if (!Number.isFinite(scale) || scale === 0) {
      throw invalid(value.name, `scale[${k}]: got ${scale}, expected a finite number other than 0`);
    }
  });
  const { constant, integers } = value;
  if (!integers) return;
  if (integers.length !== constant?.data.length) {
    throw invalid(value.name, `has ${integers.length} integers, expected ${constant?.data.length ?? 0}`);
  }
  const [low, high] = [qmin(spec), qmax(spec)];
  const bad = integers.find((q) => q < low || q > high);
  if (bad !== undefined) throw invalid(value.name, `has the integer ${bad}, expected ${low}..${high}`);
}

function titleOf(node: Node): string {
  return `${node.origin} (${node.op})`;
}

function invalid(where: string, what: string): QdgError {
  return new QdgError("invalid-graph", where, what);
}
