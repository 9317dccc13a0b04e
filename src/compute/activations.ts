// Functions of one element in float32: the value is computed in double and rounded once, unless ONNX Runtime
// is known to round in between where that reaches a quantized result (LeakyRelu, PRelu: one product).

import type { Tensor } from "../base/tensor.js";
import { roundHalfEven } from "../quant/affine.js";
import type { Node } from "../graph/graph.js";
import { floatAttribute, stringAttribute } from "../graph/graph.js";
import type { Call, Kernel } from "./kernel.js";
import { float32At, inputAt, isBig, newTensor, numbersAt, unsupported } from "./kernel.js";
import { broadcastIndex } from "./shapes.js";

type Unary = (x: number) => number;

const sigmoid: Unary = (x) => 1 / (1 + Math.exp(-x));
/** log(1 + e^x), without overflow */
const softplus: Unary = (x) => (x > 0 ? x + Math.log1p(Math.exp(-x)) : Math.log1p(Math.exp(x)));

/** The functions of one element that this file computes. */
export type UnaryName =
  | "LeakyRelu"
  | "Elu"
  | "Selu"
  | "Sigmoid"
  | "HardSigmoid"
  | "HardSwish"
  | "Tanh"
  | "Softplus"
  | "Softsign"
  | "ThresholdedRelu"
  | "Gelu"
  | "Mish"
  | "Swish"
  | "Erf"
  | "Exp"
  | "Log"
  | "Sqrt"
  | "Reciprocal"
  | "Floor"
  | "Ceil"
  | "Round"
  | "Sin"
  | "Cos"
  | "Tan"
  | "Asin"
  | "Acos"
  | "Atan"
  | "Sinh"
  | "Cosh"
  | "Asinh"
  | "Acosh"
  | "Atanh";

/** Each by the attributes of its node, with ONNX's defaults. */
const FUNCTIONS: { readonly [name in UnaryName]: (node: Node) => Unary } = {
  LeakyRelu: (node) => scaleNegative(floatAttribute(node, "alpha", Math.fround(0.01))),
  Elu: (node) => {
    const alpha = floatAttribute(node, "alpha", 1);
    return (x) => (x > 0 ? x : alpha * Math.expm1(x));
  },
  Selu: (node) => {
    const alpha = floatAttribute(node, "alpha", Math.fround(1.67326319217681884765625));
    const gamma = floatAttribute(node, "gamma", Math.fround(1.05070102214813232421875));
    return (x) => gamma * (x > 0 ? x : alpha * Math.expm1(x));
  },
  Sigmoid: () => sigmoid,
  HardSigmoid: (node) => {
    const alpha = floatAttribute(node, "alpha", Math.fround(0.2));
    const beta = floatAttribute(node, "beta", 0.5);
    return (x) => Math.max(0, Math.min(1, Math.fround(Math.fround(alpha * x) + beta)));
  },
  HardSwish: () => (x) => x * Math.max(0, Math.min(1, x / 6 + 0.5)),
  Tanh: () => Math.tanh,
  Softplus: () => softplus,
  Softsign: () => (x) => x / (1 + Math.abs(x)),
  ThresholdedRelu: (node) => {
    const alpha = floatAttribute(node, "alpha", 1);
    return (x) => (x > alpha ? x : 0);
  },
  Gelu: (node) => {
    if (stringAttribute(node, "approximate", "none") === "tanh") {
      return (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
    }
    return (x) => 0.5 * x * (1 + erf(x / Math.SQRT2));
  },
  Mish: () => (x) => x * Math.tanh(softplus(x)),
  Swish: (node) => {
    const alpha = floatAttribute(node, "alpha", 1);
    return (x) => x * sigmoid(alpha * x);
  },
  Erf: () => erf,
  Exp: () => Math.exp,
  Log: () => Math.log,
  Sqrt: () => Math.sqrt,
  Reciprocal: () => (x) => 1 / x,
  Floor: () => Math.floor,
  Ceil: () => Math.ceil,
  Round: () => roundHalfEven,
  Sin: () => Math.sin,
  Cos: () => Math.cos,
  Tan: () => Math.tan,
  Asin: () => Math.asin,
  Acos: () => Math.acos,
  Atan: () => Math.atan,
  Sinh: () => Math.sinh,
  Cosh: () => Math.cosh,
  Asinh: () => Math.asinh,
  Acosh: () => Math.acosh,
  Atanh: () => Math.atanh,
};

/** A float32 function of one element by its ONNX name. */
export function unary(op: UnaryName): Kernel {
  return (call) => {
    const x = float32At(call, 0);
    const apply = FUNCTIONS[op](call.node);
    const y = newTensor(call, "float32", inputAt(call, 0).shape);
    for (let i = 0; i < x.length; i++) y.data[i] = apply(x[i] as number);
    return [y];
  };
}

function scaleNegative(slope: number): Unary {
  return (x) => (x >= 0 ? x : x * slope);
}

/** Relu, Neg, Abs, Sign: on floats and on integers of at most 32 bits. */
export function signed(op: "Relu" | "Neg" | "Abs" | "Sign"): Kernel {
  const functions: Record<typeof op, Unary> = {
    Relu: (x) => Math.max(x, 0),
    Neg: (x) => -x,
    Abs: Math.abs,
    Sign: Math.sign,
  };
  return (call) => {
    const value = inputAt(call, 0);
    if (isBig(value)) throw unsupported(call, `${op} of ${value.dtype}`);
    const x = numbersAt(call, 0);
    const y = newTensor(call, value.dtype, value.shape) as Tensor;
    for (let i = 0; i < x.length; i++) y.data[i] = functions[op](x[i] as number) as never;
    return [y];
  };
}

/** `x >= 0 ? x : fl(x * slope)`; the slope broadcasts to x (ONNX PRelu). */
export const prelu: Kernel = (call) => {
  const x = float32At(call, 0);
  const slope = float32At(call, 1);
  const { shape } = inputAt(call, 0);
  const index = broadcastIndex(inputAt(call, 1).shape, shape);
  const y = newTensor(call, "float32", shape);
  for (let i = 0; i < x.length; i++) {
    const value = x[i] as number;
    y.data[i] = value >= 0 ? value : value * (slope[index[i] as number] as number);
  }
  return [y];
};

/** `min(max(x, low), high)`, a bound left out does nothing; every type of at most 32 bits (ONNX Clip). */
export const clipOperator: Kernel = (call) => {
  const value = inputAt(call, 0);
  const x = numbersAt(call, 0);
  const low = boundOf(call, 1, Number.NEGATIVE_INFINITY);
  const high = boundOf(call, 2, Number.POSITIVE_INFINITY);
  const y = newTensor(call, value.dtype, value.shape) as Tensor;
  for (let i = 0; i < x.length; i++) {
    // In this order ONNX defines low > high: the result is high.
    y.data[i] = Math.min(Math.max(x[i] as number, low), high) as never;
  }
  return [y];
};

function boundOf(call: Call, index: number, otherwise: number): number {
  return call.inputs[index] ? Number(numbersAt(call, index)[0]) : otherwise;
}

/**
 * The error function to 1e-15: a Taylor series near 0, beyond it the continued fraction of erfc
 * (Abramowitz and Stegun 7.1.6 and 7.1.14).
 */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (a > 6) return Math.sign(x);
  if (a < 2.5) {
    let term = a;
    let sum = a;
    for (let n = 1; Math.abs(term) > 1e-17 * sum; n++) {
      term *= (2 * a * a) / (2 * n + 1);
      sum += term;
    }
    return (Math.sign(x) * 2 * Math.exp(-a * a) * sum) / Math.sqrt(Math.PI);
  }
  let fraction = 0;
  for (let n = 60; n >= 1; n--) fraction = n / 2 / (a + fraction);
  return Math.sign(x) * (1 - Math.exp(-a * a) / (Math.sqrt(Math.PI) * (a + fraction)));
}
