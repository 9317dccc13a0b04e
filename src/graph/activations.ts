// The functions of one element that a graph may hold, in float64: what tables of 256 integers are built
// from, and what their float forms are judged by. No tensors here.

import type { Node } from "./graph.js";
import { floatAttribute, stringAttribute } from "./graph.js";
import { REQUANTIZE } from "./node-kinds.js";

/** What ONNX gives an activation when the attribute is absent. */
const SELU_ALPHA = 1.67326319217681884765625;
const SELU_GAMMA = 1.05070102214813232421875;

/**
 * The exact function of a node that maps each element by itself, or null for any other node. Attributes and
 * constant bounds are rounded to float32 as they are stored in a file.
 *
 * | op | y |
 * |---|---|
 * | Identity | `x` |
 * | Relu | `max(x, 0)` |
 * | Clip (constant bounds) | `min(max(x, low), high)` |
 * | LeakyRelu | `x < 0 ? alpha * x : x` |
 * | PRelu (one constant slope) | `x < 0 ? slope * x : x` |
 * | ThresholdedRelu | `x > alpha ? x : 0` |
 * | Elu | `x < 0 ? alpha * (exp(x) - 1) : x` |
 * | Selu | `gamma * (x <= 0 ? alpha * (exp(x) - 1) : x)` |
 * | Sigmoid | `1 / (1 + exp(-x))` |
 * | HardSigmoid | `min(max(alpha * x + beta, 0), 1)` |
 * | HardSwish | `x * min(max(x / 6 + 1 / 2, 0), 1)` |
 * | Tanh | `tanh(x)` |
 * | Softplus | `log(1 + exp(x))` |
 * | Softsign | `x / (1 + abs(x))` |
 * | Gelu "none" | `x * erfc(-x / sqrt(2)) / 2` |
 * | Gelu "tanh" | `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)))` |
 * | Mish | `x * tanh(log(1 + exp(x)))` |
 * | Exp, Sqrt | `exp(x)`, `sqrt(x)` |
 * | qdg.Requantize | `x` |
 * | qdg.Swish | `x / (1 + exp(-x))` |
 * | qdg.GeneralRelu | `x < threshold ? negative_slope * (x - threshold) : min(x, max_value)` |
 */
export function scalarActivation(node: Node): ((x: number) => number) | null {
  if (node.domain === "qdg") return compositeActivation(node);
  switch (node.op) {
    case "Identity":
      return (x) => x;
    case "Relu":
      return (x) => Math.max(x, 0);
    case "Clip":
      return clip(node);
    case "LeakyRelu":
      return leaky(attribute(node, "alpha", 0.01));
    case "PRelu": {
      const slope = node.inputs[1]?.constant;
      return slope?.data.length === 1 ? leaky(Number(slope.data[0])) : null;
    }
    case "ThresholdedRelu": {
      const threshold = attribute(node, "alpha", 1);
      return (x) => (x > threshold ? x : 0);
    }
    case "Elu": {
      const alpha = attribute(node, "alpha", 1);
      return (x) => (x < 0 ? alpha * Math.expm1(x) : x);
    }
    case "Selu": {
      const alpha = attribute(node, "alpha", SELU_ALPHA);
      const gamma = attribute(node, "gamma", SELU_GAMMA);
      return (x) => gamma * (x <= 0 ? alpha * Math.expm1(x) : x);
    }
    case "HardSigmoid": {
      const alpha = attribute(node, "alpha", 0.2);
      const beta = attribute(node, "beta", 0.5);
      return (x) => Math.min(Math.max(alpha * x + beta, 0), 1);
    }
    case "Gelu":
      return stringAttribute(node, "approximate", "none") === "tanh" ? geluTanh : gelu;
    default:
      return PLAIN.get(node.op) ?? null;
  }
}

const PLAIN: ReadonlyMap<string, (x: number) => number> = new Map([
  ["Sigmoid", sigmoid],
  ["Tanh", Math.tanh],
  ["HardSwish", (x: number): number => x * Math.min(Math.max(x / 6 + 0.5, 0), 1)],
  ["Softplus", softplus],
  ["Softsign", (x: number): number => x / (1 + Math.abs(x))],
  ["Mish", (x: number): number => x * Math.tanh(softplus(x))],
  ["Exp", Math.exp],
  ["Sqrt", Math.sqrt],
]);

function compositeActivation(node: Node): ((x: number) => number) | null {
  if (node.op === "Swish") return (x) => x * sigmoid(x);
  if (node.op === REQUANTIZE) return (x) => x;
  if (node.op !== "GeneralRelu") return null;
  const max = attribute(node, "max_value", Number.POSITIVE_INFINITY);
  const slope = attribute(node, "negative_slope", 0);
  const threshold = attribute(node, "threshold", 0);
  return (x) => (x < threshold ? slope * (x - threshold) : Math.min(x, max));
}

function attribute(node: Node, name: string, otherwise: number): number {
  return Math.fround(floatAttribute(node, name, otherwise));
}

function clip(node: Node): ((x: number) => number) | null {
  const bound = (index: number, otherwise: number): number | null => {
    const value = node.inputs[index];
    if (!value) return otherwise;
    return value.constant?.data.length === 1 ? Number(value.constant.data[0]) : null;
  };
  const low = bound(1, Number.NEGATIVE_INFINITY);
  const high = bound(2, Number.POSITIVE_INFINITY);
  return low === null || high === null ? null : (x) => Math.min(Math.max(x, low), high);
}

function leaky(slope: number): (x: number) => number {
  return (x) => (x < 0 ? slope * x : x);
}

function sigmoid(x: number): number {
  return x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));
}

/** For large x the exponential of -x alone keeps the digits. */
function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

function gelu(x: number): number {
  return (x * erfc(-x / Math.SQRT2)) / 2;
}

function geluTanh(x: number): number {
  return (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

/** Above this the continued fraction converges faster than the series loses digits. */
const ERFC_SWITCH = 2.5;

/**
 * The complementary error function to about 1e-15:
 * `1 - 2 / sqrt(pi) * exp(-x^2) * sum 2^n x^(2n+1) / (1 * 3 * ... * (2n+1))` for small x, and for large ones
 * the continued fraction `exp(-x^2) / sqrt(pi) / (x + (1/2) / (x + 1 / (x + (3/2) / ...)))`.
 */
export function erfc(x: number): number {
  if (x < 0) return 2 - erfc(-x);
  if (x < ERFC_SWITCH) {
    let term = x;
    let sum = x;
    for (let n = 1; Math.abs(term) > 1e-17 * sum; n++) {
      term *= (2 * x * x) / (2 * n + 1);
      sum += term;
    }
    return 1 - (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
  }
  let fraction = x;
  for (let n = 60; n >= 1; n--) fraction = x + n / 2 / fraction;
  return Math.exp(-x * x) / (Math.sqrt(Math.PI) * fraction);
}
