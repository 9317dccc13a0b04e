// A softmax, or its logarithm, that a file spells out in exponentials and their sum becomes one node.

import { type Graph, inputOf, intAttribute, type Node, outputOf, type Value } from "../../graph/graph.js";
import { isUnknownRank } from "../../graph/unknown-shape.js";
import { axesOf } from "../../onnx/shape-facts.js";
import { eitherWay, made } from "./pattern.js";
import { rewrite } from "./rewrite.js";

/**
 * `Exp(x - ReduceMax(x)) / ReduceSum(Exp(x - ReduceMax(x)))`, the sum over one axis, the maximum over that one at least, becomes
 * `Softmax(x)`. What is the same along the axis cancels, so that it may be left out: then the spelled-out one has no number, or fewer
 * digits, for an x whose exponential float32 does not hold, and Softmax has it. The quotient may be a product with the Reciprocal.
 *
 * Of `Log(Softmax(x))`, `x - ReduceLogSumExp(x)` and `x - Log(ReduceSum(Exp(x)))`, over one axis, LogSoftmax is made, with or without the
 * maximum: it has a number where the logarithm would be that of 0.
 */
export function spelledSoftmax(graph: Graph): Graph {
  return rewrite(graph, (node, tools) => {
    const y = outputOf(node);
    if (node.domain !== "" || y.dtype !== "float32") return null;
    const found = quotients(node).map(softmaxOf).find(Boolean);
    if (found) return [tools.node(node, "Softmax", [found.x], y, { axis: found.axis })];
    const logarithm = logarithmOf(node);
    return logarithm && [tools.node(node, "LogSoftmax", [logarithm.x], y, { axis: logarithm.axis })];
  });
}

interface Along {
  readonly x: Value;
  readonly axis: number;
}

function logarithmOf(node: Node): Along | null {
  const softmax = node.op === "Log" ? made(node.inputs[0], "Softmax") : null;
  if (softmax) return { x: inputOf(softmax, 0), axis: intAttribute(softmax, "axis", -1) };
  if (node.op !== "Sub") return null;
  const [x, total] = [inputOf(node, 0), inputOf(node, 1)];
  const whole = made(total, "ReduceLogSumExp");
  const sum = made(made(total, "Log")?.inputs[0], "ReduceSum");
  const from = whole ? inputOf(whole, 0) : made(sum?.inputs[0], "Exp")?.inputs[0];
  const reduction = whole ?? sum;
  if (from !== x || !reduction) return null;
  const [axis, ...others] = reducedAxes(reduction) ?? [];
  return axis === undefined || others.length > 0 ? null : { x: unshifted(x, axis), axis };
}

/** x of `x - m`, m being its maximum over the axis at least; else what is given. */
function unshifted(argument: Value, axis: number): Value {
  const difference = made(argument, "Sub");
  const largest = made(difference?.inputs[1], "ReduceMax");
  const isShifted =
    largest?.inputs[0] === difference?.inputs[0] && largest && reducedAxes(largest)?.includes(axis);
  return difference && isShifted ? inputOf(difference, 0) : argument;
}

type Quotient = readonly [numerator: Value | null | undefined, denominator: Value | null | undefined];

function quotients(node: Node): readonly Quotient[] {
  if (node.op === "Div") return [[node.inputs[0], node.inputs[1]]];
  if (node.op !== "Mul") return [];
  return eitherWay(node).map(([a, b]) => [a, made(b, "Reciprocal")?.inputs[0]]);
}

function softmaxOf([power, total]: Quotient): Along | null {
  const exponential = made(power, "Exp");
  const sum = made(total, "ReduceSum");
  if (!exponential || !sum || sum.inputs[0] !== power) return null;
  const axes = reducedAxes(sum);
  const [axis] = axes ?? [];
  if (axis === undefined || axes?.length !== 1) return null;
  return { x: unshifted(inputOf(exponential, 0), axis), axis };
}

/** The axes that a node reduces and keeps with size 1, counted from the first; null where they are not known. */
function reducedAxes(node: Node): readonly number[] | null {
  const { shape } = inputOf(node, 0);
  if (isUnknownRank(shape) || intAttribute(node, "keepdims", 1) !== 1) return null;
  if (node.inputs[1]) return axesOf(node, shape.length) ?? null;
  return intAttribute(node, "noop_with_empty_axes", 0) === 0 ? shape.map((_, axis) => axis) : null;
}
