// Functions that let a part of what is negative through, spelled out in several nodes, become PRelu, and LeakyRelu where the
// part is the same everywhere: that one is a table of integers.

import type { Tensor } from "../../base/tensor.js";
import { type Graph, inputOf, type Node, outputOf, type Value } from "../../graph/graph.js";
import { clipRange } from "../../graph/node-kinds.js";
import { eitherWay, made, numberOf } from "./pattern.js";
import { sameShape } from "./remove-identities.js";
import { rewrite } from "./rewrite.js";

/**
 * | spelled out | becomes |
 * |---|---|
 * | `Relu(x) + s * Min(x, 0)`, `Relu(x) - s * Relu(-x)`, `Relu(x) + s * (x - Abs(x)) / 2` | PRelu, slope s |
 * | `Max(x, s * x)`, s at most 1 | PRelu, slope s |
 * | `Where(x > 0, x, s * x)`, `Where(x < 0, s * x, x)`, 0 for `s * x` too; with `>=` and `<=` as well | PRelu, slope s |
 * | PRelu with one slope for all | LeakyRelu, Relu of slope 0 |
 *
 * The slope is constant and finite, and what comes out has the shape of x. A Clip from or to 0, and Max(x, 0), stand for Relu and Min.
 */
export function spelledLeaks(graph: Graph): Graph {
  return rewrite(graph, (node, tools) => {
    const y = outputOf(node);
    if (node.domain !== "" || y.dtype !== "float32") return null;
    const found = leakOf(node);
    if (!found) return null;
    const { x, slope } = found;
    if (!sameShape(x.shape, y.shape) || slope.shape.length > x.shape.length) return null;
    const numbers = slope.data as Float32Array;
    const [first] = numbers;
    if (first === undefined || !numbers.every(Number.isFinite)) return null;
    if (numbers.every((number) => number === 0)) return [tools.node(node, "Relu", [x], y)];
    if (numbers.every((number) => number === first)) {
      return [tools.node(node, "LeakyRelu", [x], y, { alpha: { float: first } })];
    }
    if (node.op === "PRelu") return null;
    return [tools.node(node, "PRelu", [x, tools.constant(`${y.name}/slope`, slope)], y)];
  });
}

interface Leak {
  readonly x: Value;
  readonly slope: Tensor;
}

function leakOf(node: Node): Leak | null {
  switch (node.op) {
    case "PRelu": {
      const slope = inputOf(node, 1).constant;
      return slope?.dtype === "float32" ? { x: inputOf(node, 0), slope } : null;
    }
    case "Max":
      return node.inputs.length === 2 ? slanted(node) : null;
    case "Add":
      return sumOf(eitherWay(node), 1);
    case "Where":
      return chosen(node);
    case "Sub":
      return sumOf(eitherWay(node).slice(0, 1), -1);
    default:
      return null;
  }
}

/** Comparisons with 0, and whether they hold above it. At 0 itself both branches give 0. */
const ABOVE: Readonly<Record<string, boolean>> = {
  Greater: true,
  GreaterOrEqual: true,
  Less: false,
  LessOrEqual: false,
};

/** `Where(x > 0, x, s * x)` */
function chosen(node: Node): Leak | null {
  let condition = node.inputs[0]?.producer;
  let isTurned = false;
  for (; condition?.op === "Not"; condition = condition.inputs[0]?.producer) isTurned = !isTurned;
  const above = condition && ABOVE[condition.op];
  if (!condition || above === undefined) return null;
  const [a, b] = [inputOf(condition, 0), inputOf(condition, 1)];
  const x = numberOf(b) === 0 ? a : numberOf(a) === 0 ? b : null;
  if (!x) return null;
  // 0 < x is x > 0.
  const holdsAbove = (x === a ? above : !above) !== isTurned;
  const [positive, negative] = holdsAbove
    ? [node.inputs[1], node.inputs[2]]
    : [node.inputs[2], node.inputs[1]];
  if (positive !== x || !negative) return null;
  if (numberOf(negative) === 0) return { x, slope: scaledBy(ONE, 0) };
  const product = made(negative, "Mul");
  for (const [factor, { constant }] of product ? eitherWay(product) : [])
    if (factor === x && constant?.dtype === "float32") return { x, slope: constant };
  return null;
}

/** `Max(x, s * x)` */
function slanted(node: Node): Leak | null {
  for (const [x, scaled] of eitherWay(node)) {
    const product = made(scaled, "Mul");
    for (const [factor, slope] of product ? eitherWay(product) : []) {
      const { constant } = slope;
      if (factor !== x || constant?.dtype !== "float32") continue;
      if ((constant.data as Float32Array).every((s) => s <= 1)) return { x, slope: constant };
    }
  }
  return null;
}

function sumOf(operands: readonly (readonly [Value, Value])[], sign: 1 | -1): Leak | null {
  for (const [positive, other] of operands) {
    const part = negativePart(other);
    if (part && rectified(positive) === part.x) return { x: part.x, slope: scaledBy(part.slope, sign) };
  }
  return null;
}

/** Factors around what is negative: a sign, a half and the slope are three. */
const MOST_FACTORS = 4;

/** `factor * Min(x, 0)`, as products of any of its spellings. */
function negativePart(value: Value | null | undefined, factors = MOST_FACTORS): Leak | null {
  const lower = capped(value);
  if (lower) return { x: lower, slope: ONE };
  const rectifier = made(rectified(value), "Neg");
  if (rectifier) return { x: inputOf(rectifier, 0), slope: scaledBy(ONE, -1) };
  const difference = made(value, "Sub");
  const absolute = made(difference?.inputs[1], "Abs");
  if (difference && absolute) {
    const x = inputOf(difference, 0);
    return absolute.inputs[0] === x ? { x, slope: scaledBy(ONE, 2) } : null;
  }
  if (factors === 0) return null;
  const inner = (of: Value | null | undefined): Leak | null => negativePart(of, factors - 1);
  const negated = made(value, "Neg");
  if (negated) return times(inner(negated.inputs[0]), scaledBy(ONE, -1));
  const division = made(value, "Div");
  const divisor = numberOf(division?.inputs[1]);
  if (division && divisor !== null) {
    // Only of what divides exactly: 1 / 3 times x is not x / 3.
    return Math.log2(Math.abs(divisor)) % 1 === 0
      ? times(inner(division.inputs[0]), scaledBy(ONE, 1 / divisor))
      : null;
  }
  const product = made(value, "Mul");
  for (const [part, { constant }] of product ? eitherWay(product) : []) {
    if (constant?.dtype !== "float32" || part.constant) continue;
    return times(inner(part), constant);
  }
  return null;
}

const ONE: Tensor = { dtype: "float32", shape: [], data: Float32Array.of(1) };

/** A slope times another, of which one is one number; null for two of many. */
function times(part: Leak | null, by: Tensor): Leak | null {
  if (!part) return null;
  const { x, slope } = part;
  if (by.data.length === 1 && slope.data.length !== 1)
    return { x, slope: scaledBy(slope, Number(by.data[0])) };
  return slope.data.length === 1 ? { x, slope: scaledBy(by, Number(slope.data[0])) } : null;
}

function scaledBy({ shape, data }: Tensor, by: number): Tensor {
  return { dtype: "float32", shape, data: (data as Float32Array).map((number) => number * by) };
}

/** x of `Relu(x)` */
function rectified(value: Value | null | undefined): Value | null {
  const node = made(value, "Relu") ?? made(value, "Clip");
  const range = node && clipRange(node);
  if (node && range) return range[0] === 0 && range[1] === Number.POSITIVE_INFINITY ? inputOf(node, 0) : null;
  return besideZero(made(value, "Max"));
}

/** x of `Min(x, 0)` */
function capped(value: Value | null | undefined): Value | null {
  const node = made(value, "Clip");
  const range = node && clipRange(node);
  if (node && range) return range[0] === Number.NEGATIVE_INFINITY && range[1] === 0 ? inputOf(node, 0) : null;
  return besideZero(made(value, "Min"));
}

function besideZero(node: Node | null): Value | null {
  if (node?.inputs.length !== 2) return null;
  for (const [x, other] of eitherWay(node)) if (numberOf(other) === 0) return x;
  return null;
}
