// Activation functions that files spell out in several nodes become one node each, so that they are one table of integers.

import { floatAttribute, type Graph, type Node, outputOf, type Value } from "../../graph/graph.js";
import { clipRange } from "../../graph/node-kinds.js";
import { besideNumber, dividedBy, eitherWay, isAbout, made, numberOf } from "./pattern.js";
import { rewrite, type RewriteTools } from "./rewrite.js";

/**
 * | spelled out | becomes |
 * |---|---|
 * | `x * Sigmoid(x)` | qdg.Swish |
 * | `Clip(x + 3, 0, 6) / 6` | HardSigmoid, alpha 1 / 6, beta 0.5 |
 * | `x * HardSigmoid(x)` of these, `x * Clip(x + 3, 0, 6) / 6` | HardSwish |
 * | `x * Tanh(Softplus(x))` | Mish |
 * | `x / 2 * (1 + Erf(x / sqrt(2)))`, the factors in any order | Gelu |
 * | `x / 2 * (1 + Tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)))` | Gelu, approximate "tanh" |
 *
 * Factors may be divisors of the inverse. What else reads the values between keeps them.
 */
export function spelledActivations(graph: Graph): Graph {
  return rewrite(graph, (node, tools) => {
    if (node.domain !== "" || outputOf(node).dtype !== "float32") return null;
    if (node.op === "Swish") return swish(node, tools);
    const y = outputOf(node);
    const clipped = dividedBy(y, 6);
    if (clipped) {
      const x = shiftedClip(clipped);
      if (x) return [tools.node(node, "HardSigmoid", [x], y, HARD_SIGMOID)];
    }
    for (const { op, match, attributes = {}, domain = "" } of PRODUCTS) {
      const x = match(node);
      if (x) return [tools.node(node, op, [x], y, attributes, domain)];
    }
    return null;
  });
}

const HARD_SIGMOID = { alpha: { float: Math.fround(1 / 6) }, beta: { float: 0.5 } };

interface Product {
  readonly op: string;
  readonly domain?: "" | "qdg";
  readonly attributes?: Readonly<Record<string, string>>;
  /** The argument, where a node computes the function. */
  readonly match: (node: Node) => Value | null;
}

const PRODUCTS: readonly Product[] = [
  {
    op: "Swish",
    domain: "qdg",
    match: (node) => gated(node, (gate) => made(gate, "Sigmoid")?.inputs[0] ?? null),
  },
  { op: "HardSwish", match: hardSwish },
  {
    op: "Mish",
    match: (node) =>
      gated(node, (gate) => made(made(gate, "Tanh")?.inputs[0], "Softplus")?.inputs[0] ?? null),
  },
  { op: "Gelu", match: (node) => halved(node, erfGate) },
  { op: "Gelu", attributes: { approximate: "tanh" }, match: (node) => halved(node, tanhGate) },
];

/** ONNX's own, of opset 24, is qdg's for alpha = 1. */
function swish(node: Node, tools: RewriteTools): readonly Node[] | null {
  const [x = null] = node.inputs;
  return floatAttribute(node, "alpha", 1) === 1
    ? [tools.node(node, "Swish", [x], outputOf(node), {}, "qdg")]
    : null;
}

/** x of `x * gate(x)`. */
function gated(node: Node, argument: (gate: Value) => Value | null): Value | null {
  if (node.op !== "Mul") return null;
  for (const [x, gate] of eitherWay(node)) if (argument(gate) === x) return x;
  return null;
}

/** x of `Clip(x + 3, 0, 6)`. */
function shiftedClip(value: Value): Value | null {
  const clip = made(value, "Clip");
  const range = clip && clipRange(clip);
  if (!clip || !range || range[0] !== 0 || range[1] !== 6) return null;
  return besideNumber(made(clip.inputs[0], "Add"), 3);
}

function hardSwish(node: Node): Value | null {
  const byGate = gated(node, (gate) => {
    const sigmoid = made(gate, "HardSigmoid");
    if (!sigmoid) return null;
    const [alpha, beta] = [floatAttribute(sigmoid, "alpha", 0.2), floatAttribute(sigmoid, "beta", 0.5)];
    return isAbout(alpha, 1 / 6) && beta === 0.5 ? (sigmoid.inputs[0] ?? null) : null;
  });
  if (byGate) return byGate;
  const product = made(dividedBy(outputOf(node), 6), "Mul");
  return product && gated(product, shiftedClip);
}

/** x of `x / 2 * (1 + gate(x))`, wherever the half stands. */
function halved(node: Node, argument: (gate: Value) => Value | null): Value | null {
  const gateOf = (value: Value): Value | null => {
    const gate = besideNumber(made(value, "Add"), 1);
    return gate && argument(gate);
  };
  const whole = dividedBy(outputOf(node), 2);
  if (whole) {
    const product = made(whole, "Mul");
    return product && gated(product, gateOf);
  }
  if (node.op !== "Mul") return null;
  for (const [a, b] of eitherWay(node)) {
    const x = gateOf(b);
    if (x && dividedBy(a, 2) === x) return x;
    const half = dividedBy(b, 2);
    if (half && gateOf(half) === a) return a;
  }
  return null;
}

function erfGate(gate: Value): Value | null {
  return dividedBy(made(gate, "Erf")?.inputs[0], Math.SQRT2);
}

function tanhGate(gate: Value): Value | null {
  const inner = besideNumber(made(made(gate, "Tanh")?.inputs[0], "Mul"), Math.sqrt(2 / Math.PI));
  const sum = made(inner, "Add");
  if (!sum) return null;
  for (const [x, term] of eitherWay(sum)) {
    const cube = besideNumber(made(term, "Mul"), 0.044715);
    if (cube && isCube(cube, x)) return x;
  }
  return null;
}

function isCube(value: Value, x: Value): boolean {
  const power = made(value, "Pow");
  if (power) return power.inputs[0] === x && numberOf(power.inputs[1]) === 3;
  const product = made(value, "Mul");
  return (
    product !== null &&
    eitherWay(product).some(([a, b]) => {
      const square = made(b, "Mul");
      return a === x && square !== null && square.inputs[0] === x && square.inputs[1] === x;
    })
  );
}
