// A softmax that a file spells out in exponentials and their sum becomes one node.

import { type Graph, inputOf, intAttribute, type Node, outputOf, type Value } from "../../graph/graph.js";
import { isUnknownRank } from "../../graph/unknown-shape.js";
import { axesOf } from "../../onnx/shape-facts.js";
import { eitherWay, made } from "./pattern.js";
import { rewrite } from "./rewrite.js";

/**
 * `Exp(x - ReduceMax(x)) / ReduceSum(Exp(x - ReduceMax(x)))`, the sum over one axis, the maximum over that one at least, becomes
 * `Softmax(x)`. What is the same along the axis cancels, so that it may be left out: then the spelled-out one has no number, or fewer
 * digits, for an x whose exponential float32 does not hold, and Softmax has it. The quotient may be a product with the Reciprocal.
 */
export function spelledSoftmax(graph: Graph): Graph {
  return rewrite(graph, (node, tools) => {
    const y = outputOf(node);
    if (node.domain !== "" || y.dtype !== "float32") return null;
    const found = quotients(node).map(softmaxOf).find(Boolean);
    return found ? [tools.node(node, "Softmax", [found.x], y, { axis: found.axis })] : null;
  });
}

type Quotient = readonly [numerator: Value | null | undefined, denominator: Value | null | undefined];

function quotients(node: Node): readonly Quotient[] {
  if (node.op === "Div") return [[node.inputs[0], node.inputs[1]]];
  if (node.op !== "Mul") return [];
  return eitherWay(node).map(([a, b]) => [a, made(b, "Reciprocal")?.inputs[0]]);
}

function softmaxOf([power, total]: Quotient): { readonly x: Value; readonly axis: number } | null {
  const exponential = made(power, "Exp");
  const sum = made(total, "ReduceSum");
  if (!exponential || !sum || sum.inputs[0] !== power) return null;
  const axes = reducedAxes(sum);
  const [axis] = axes ?? [];
  if (axis === undefined || axes?.length !== 1) return null;
  const argument = inputOf(exponential, 0);
  const difference = made(argument, "Sub");
  const largest = made(difference?.inputs[1], "ReduceMax");
  const isShifted =
    largest?.inputs[0] === difference?.inputs[0] && largest && reducedAxes(largest)?.includes(axis);
  return { x: difference && isShifted ? inputOf(difference, 0) : argument, axis };
}

/** The axes that a node reduces and keeps with size 1, counted from the first; null where they are not known. */
function reducedAxes(node: Node): readonly number[] | null {
  const { shape } = inputOf(node, 0);
  if (isUnknownRank(shape) || intAttribute(node, "keepdims", 1) !== 1) return null;
  if (node.inputs[1]) return axesOf(node, shape.length) ?? null;
  return intAttribute(node, "noop_with_empty_axes", 0) === 0 ? shape.map((_, axis) => axis) : null;
}
