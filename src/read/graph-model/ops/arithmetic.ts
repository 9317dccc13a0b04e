// Arithmetic of two tensors, element by element, broadcast against each other.

import type { Attribute, Value } from "../../../graph/graph.js";
import { type Emit, type OpCall, type OpFamily } from "../call.js";
import { operandsOf } from "../operands.js";
import { sizeArithmetic } from "../sizes.js";
import { type GraphTensor, tensorOf } from "../tensors.js";

/** What adds the nodes of a binary operator: a, b and `say`, which adds one of the result's shape. */
type Body = (a: Value, b: Value, say: Say, call: OpCall) => Value;
type Say = (
  op: string,
  inputs: readonly Value[],
  what: string,
  dtype?: Value["dtype"],
  attributes?: Readonly<Record<string, Attribute>>,
) => Value;

export function binary(body: Body): Emit {
  return (call) => {
    const { values, layout, shape } = operandsOf(call, ofOneType(call, [call.input(0), call.input(1)]));
    const [a, b] = values as [Value, Value];
    const say: Say = (op, inputs, what, dtype, attributes = {}) =>
      call.node(op, inputs, what, shape, attributes, dtype ? { dtype } : {});
    const numbers = sizeArithmetic(call.op, call.input(0).numbers, call.input(1).numbers);
    return call.result(body(a, b, say, call), layout, shape.length < 2 ? numbers : null);
  };
}

/** Integers beside reals become reals, as tfjs has it. */
export function ofOneType(call: OpCall, tensors: readonly GraphTensor[]): readonly GraphTensor[] {
  const types = new Set(tensors.map(({ held }) => held.value.dtype));
  if (types.size < 2) return tensors;
  const dtype = types.has("float32") ? "float32" : "int32";
  return tensors.map(({ held: { value, layout }, numbers }, i) =>
    tensorOf({ value: call.cast(value, dtype, `cast_${i}`), layout }, numbers),
  );
}

function plain(op: string): Emit {
  return binary((a, b, say) => say(op, [a, b], ""));
}

/** Rounded down. ONNX rounds integers towards 0: one less where they differ in sign and something is left. */
function floorDiv(a: Value, b: Value, say: Say, what: string, call: OpCall): Value {
  if (a.dtype === "float32") return say("Floor", [say("Div", [a, b], "quotient")], what);
  const quotient = say("Div", [a, b], "quotient");
  const rest = say("Sub", [a, say("Mul", [quotient, b], "product")], "rest");
  const zero = call.scalar("zero", 0, "int32");
  const isWhole = say("Equal", [rest, zero], "is_whole", "bool");
  const restBelow = say("Less", [rest, zero], "rest_below_zero", "bool");
  const below = say("Less", [b, zero], "below_zero", "bool");
  const differ = say("Xor", [restBelow, below], "signs_differ", "bool");
  const less = say("And", [say("Not", [isWhole], "has_rest", "bool"), differ], "less", "bool");
  return say("Sub", [quotient, call.cast(less, "int32", "one_less")], what);
}

/** The rest has the divisor's sign. */
function floorMod(a: Value, b: Value, say: Say, call: OpCall): Value {
  if (a.dtype !== "float32") return say("Mod", [a, b], "");
  const zero = call.scalar("zero", 0);
  const rest = say("Mod", [a, b], "rest", "float32", { fmod: 1 });
  const less = say("Less", [a, zero], "less", "bool");
  const below = say("Less", [b, zero], "below_zero", "bool");
  const differ = say("Xor", [less, below], "signs_differ", "bool");
  const wrapped = say("Mod", [say("Add", [rest, b], "sum"), b], "wrapped", "float32", { fmod: 1 });
  return say("Where", [differ, wrapped, rest], "", "float32");
}

/** The angle of (b, a): `atan(a / b)`, turned by half a circle where b is below 0. */
function angle(a: Value, b: Value, say: Say, call: OpCall): Value {
  const zero = call.scalar("zero", 0);
  const half = call.scalar("half_circle", Math.PI);
  const turn = say(
    "Where",
    [say("Less", [a, zero], "below", "bool"), call.node("Neg", [half], "back", []), half],
    "turn",
    "float32",
  );
  const right = say("Atan", [say("Div", [a, b], "slope")], "right");
  const left = say("Add", [right, turn], "left");
  const quarter = say(
    "Mul",
    [call.node("Sign", [a], "side", a.shape), call.scalar("quarter", Math.PI / 2)],
    "upright",
  );
  const isLeft = say("Less", [b, zero], "is_left", "bool");
  const isUpright = say("Equal", [b, zero], "is_upright", "bool");
  const lying = say("Where", [isLeft, left, right], "lying", "float32");
  return say("Where", [isUpright, quarter, lying], "", "float32");
}

const division: Emit = binary((a, b, say, call) =>
  a.dtype === "float32" ? say("Div", [a, b], "") : floorDiv(a, b, say, "", call),
);

export const ARITHMETIC_OPS: OpFamily = {
  Add: plain("Add"),
  AddV2: plain("Add"),
  Atan2: binary((a, b, say, call) => angle(a, b, say, call)),
  BiasAdd: (call) => {
    call.attributes.choice("data_format", ["NHWC"], "NHWC");
    return plain("Add")(call);
  },
  AddN(call) {
    const { values, layout, shape } = operandsOf(call, call.inputs);
    const [first, ...rest] = values;
    if (!first) return call.failModel("has no inputs");
    if (first.dtype === "float32" && values.length > 2) {
      return call.result(call.node("Sum", values, "", shape), layout);
    }
    const add = (sum: Value, next: Value, i: number): Value =>
      call.node("Add", [sum, next], i === rest.length - 1 ? "" : `sum_${i}`, shape);
    return call.result(rest.reduce(add, first), layout);
  },
  Sub: plain("Sub"),
  Mul: plain("Mul"),
  Div: division,
  RealDiv: division,
  DivNoNan: binary((a, b, say, call) => {
    const zero = call.scalar("zero", 0, b.dtype);
    const quotient = say("Div", [a, b], "quotient");
    const isZero = call.node("Equal", [b, zero], "is_zero", b.shape, {}, { dtype: "bool" });
    return say("Where", [isZero, zero, quotient], "", a.dtype);
  }),
  FloorDiv: binary((a, b, say, call) => floorDiv(a, b, say, "", call)),
  FloorMod: binary((a, b, say, call) => floorMod(a, b, say, call)),
  Mod: binary((a, b, say, call) => floorMod(a, b, say, call)),
  Maximum: plain("Max"),
  Minimum: plain("Min"),
  Pow: plain("Pow"),
  SquaredDifference: binary((a, b, say) => {
    const difference = say("Sub", [a, b], "difference");
    return say("Mul", [difference, difference], "");
  }),
};
