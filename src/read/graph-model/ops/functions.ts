// Functions of one element.

import { sizeOf, type Tensor, transpose } from "../../../base/tensor.js";
import type { Attribute, Value } from "../../../graph/graph.js";
import { type Held, toChannelsFirst } from "../../held.js";
import { type Emit, type OpCall, type OpFamily } from "../call.js";
import { operandsOf } from "../operands.js";
import { constantOf } from "../tensors.js";

/** The nodes of `f(x)`; the last one is named "". */
type Body = (x: Value, call: OpCall) => Value;

/** Of real numbers: integers are cast, as in tfjs. */
function unary(body: Body): Emit {
  return (call) => {
    const { value, layout } = call.real(0);
    return call.result(body(value, call), layout);
  };
}

function plain(op: string, attributes: Readonly<Record<string, Attribute>> = {}): Emit {
  return unary((x, call) => call.node(op, [x], "", x.shape, attributes));
}

/** The same operator for integers as well. */
function anyType(op: string): Emit {
  return (call) => {
    const { value, layout } = call.input(0).held;
    return call.result(call.node(op, [value], "", value.shape), layout);
  };
}

function then(x: Value, call: OpCall, op: string, what: string, ...more: readonly Value[]): Value {
  return call.node(op, [x, ...more], what, x.shape);
}

export function clip(x: Value, call: OpCall, low: number, high: number, what = ""): Value {
  const bounds = [call.scalar(`${what}min`, low), call.scalar(`${what}max`, high)];
  return call.node("Clip", [x, ...bounds], what, x.shape);
}

/** `x < 0 ? alpha * x : x`; alpha is broadcast to x. */
export function prelu(held: Held, alphaInput: number, call: OpCall, what = ""): Value {
  const alpha = call.input(alphaInput);
  const constant = constantOf(alpha);
  const { value, layout } = held;
  const rank = value.shape.length;
  if (!constant || constant.shape.length > rank) return call.fail("alpha: got no constant, which qdg needs");
  return call.node(
    "PRelu",
    [value, slope(call, constant, layout === "as-is" ? null : rank)],
    what,
    value.shape,
  );
}

/** ONNX broadcasts the slope as numpy does; with channels first its axes have to move along. */
function slope(call: OpCall, constant: Tensor, channelsFirstRank: number | null): Value {
  if (channelsFirstRank === null || sizeOf(constant.shape) === 1) return call.constant("alpha", constant);
  const shape = [...Array<number>(channelsFirstRank - constant.shape.length).fill(1), ...constant.shape];
  const moved = transpose({ ...constant, shape }, toChannelsFirst(channelsFirstRank));
  return call.constant("alpha", { ...moved, shape: moved.shape.slice(1) });
}

const isNan: Emit = unary((x, call) => call.node("IsNaN", [x], "", x.shape, {}, { dtype: "bool" }));
const isInf: Emit = unary((x, call) => call.node("IsInf", [x], "", x.shape, {}, { dtype: "bool" }));

export const FUNCTION_OPS: OpFamily = {
  Abs: anyType("Abs"),
  Acos: plain("Acos"),
  Acosh: plain("Acosh"),
  Asin: plain("Asin"),
  Asinh: plain("Asinh"),
  Atan: plain("Atan"),
  Atanh: plain("Atanh"),
  Ceil: plain("Ceil"),
  Cos: plain("Cos"),
  Cosh: plain("Cosh"),
  ClipByValue: unary((x, call) =>
    clip(x, call, call.number(1, "least value"), call.number(2, "greatest value")),
  ),
  Elu: plain("Elu", { alpha: { float: 1 } }),
  Erf: plain("Erf"),
  Exp: plain("Exp"),
  Expm1: unary((x, call) => then(then(x, call, "Exp", "exp"), call, "Sub", "", call.scalar("one", 1))),
  Floor: plain("Floor"),
  IsFinite: unary((x, call) => {
    const bool = { dtype: "bool" } as const;
    const nan = call.node("IsNaN", [x], "nan", x.shape, {}, bool);
    const infinite = call.node("IsInf", [x], "infinite", x.shape, {}, bool);
    return call.node("Not", [call.node("Or", [nan, infinite], "either", x.shape)], "", x.shape);
  }),
  IsInf: isInf,
  IsNan: isNan,
  LeakyRelu: unary((x, call) => {
    const alpha = call.attributes.number("alpha", 0.2);
    return call.node("LeakyRelu", [x], "", x.shape, { alpha: { float: alpha } });
  }),
  Log: plain("Log"),
  Log1p: unary((x, call) => then(then(x, call, "Add", "sum", call.scalar("one", 1)), call, "Log", "")),
  Neg: anyType("Neg"),
  Prelu(call) {
    const held = call.real(0);
    return call.result(prelu(held, 1, call), held.layout);
  },
  Reciprocal: plain("Reciprocal"),
  Relu: plain("Relu"),
  Relu6: unary((x, call) => clip(x, call, 0, 6)),
  Round: plain("Round"),
  Rsqrt: unary((x, call) => then(then(x, call, "Sqrt", "root"), call, "Reciprocal", "")),
  Selu: plain("Selu"),
  Sigmoid: plain("Sigmoid"),
  Sign: anyType("Sign"),
  Sin: plain("Sin"),
  Sinh: plain("Sinh"),
  Softplus: plain("Softplus"),
  Sqrt: plain("Sqrt"),
  Square(call) {
    const { values, layout, shape } = operandsOf(call, [call.input(0), call.input(0)]);
    return call.result(call.node("Mul", values, "", shape), layout);
  },
  Tan: plain("Tan"),
  Tanh: plain("Tanh"),
};
