// Operators of two or more operands, element by element with broadcasting: arithmetic, comparison, logic, bits.
// float32 results are rounded once an operation; integers wrap as their type does.

import { QdgError } from "../base/error.js";
import type { DType, Tensor } from "../base/tensor.js";
import { allocate, sizeOf } from "../base/tensor.js";
import { intAttribute, stringAttribute } from "../graph/graph.js";
import type { Call, Kernel, NumberData } from "./kernel.js";
import { inputAt, invalid, isBig, newTensor, numbersOf, unsupported } from "./kernel.js";
import { broadcastIndex, broadcastShape, sameShape } from "./shapes.js";

type Binary = (a: number, b: number) => number;
type BigBinary = (a: bigint, b: bigint) => bigint;

interface Rule {
  /** On real numbers; the result is rounded to the output's type. */
  readonly real: Binary;
  /** On integers of at most 32 bits; absent: as `real`. */
  readonly integer?: Binary;
  readonly big?: BigBinary;
}

type BinaryName = "Add" | "Sub" | "Mul" | "Div" | "Max" | "Min" | "Pow" | "Mod";

const RULES: { readonly [name in BinaryName]: Rule } = {
  Add: { real: (a, b) => a + b, big: (a, b) => a + b },
  Sub: { real: (a, b) => a - b, big: (a, b) => a - b },
  // Math.imul: the product of two 32-bit integers does not fit a double.
  Mul: { real: (a, b) => a * b, integer: Math.imul, big: (a, b) => a * b },
  Div: { real: (a, b) => a / b, integer: (a, b) => Math.trunc(a / b), big: (a, b) => a / b },
  Max: { real: Math.max, big: (a, b) => (a > b ? a : b) },
  Min: { real: Math.min, big: (a, b) => (a < b ? a : b) },
  Pow: { real: Math.pow },
  Mod: { real: (a, b) => a - Math.floor(a / b) * b, big: (a, b) => ((a % b) + b) % b },
};

/** Mod with fmod: the rest has the sign of the dividend, as in C. */
const REMAINDER: Rule = { real: (a, b) => a % b, big: (a, b) => a % b };

/** Add, Sub, Mul, Div, Pow, Mod: two operands of one type. */
export function binary(op: BinaryName): Kernel {
  return (call) => {
    const rule = op === "Mod" && intAttribute(call.node, "fmod", 0) === 1 ? REMAINDER : RULES[op];
    return [combine(call, rule, inputAt(call, 0), inputAt(call, 1))];
  };
}

/** Max, Min, Sum: any number of operands, from left to right. */
export function variadic(op: "Max" | "Min" | "Add"): Kernel {
  return (call) => {
    let result = inputAt(call, 0);
    for (let i = 1; i < call.inputs.length; i++) result = combine(call, RULES[op], result, inputAt(call, i));
    return [result];
  };
}

/** `fl(sum / n)`, the sum from left to right in float32 (ONNX Mean). */
export const mean: Kernel = (call) => {
  const [sum] = variadic("Add")(call) as [Tensor];
  if (sum.dtype !== "float32") throw unsupported(call, `Mean of ${sum.dtype}`);
  const count = call.inputs.length;
  return [{ ...sum, data: Float32Array.from(sum.data as Float32Array, (x) => x / count) }];
};

function combine(call: Call, rule: Rule, a: Tensor, b: Tensor): Tensor {
  if (a.dtype !== b.dtype) throw invalid(call, `operands of types ${a.dtype} and ${b.dtype}`);
  const shape = resultShape(call, [a, b]);
  const y = newTensor(call, a.dtype, shape) as Tensor;
  if (isBig(a) || isBig(b)) {
    if (!rule.big) throw unsupported(call, `this operator on ${a.dtype}`);
    const left = spread(a, shape) as BigInt64Array;
    const right = spread(b, shape) as BigInt64Array;
    const out = y.data as BigInt64Array;
    for (let i = 0; i < out.length; i++) {
      if (call.node.op === "Div" && right[i] === 0n) throw divisionByZero(call);
      out[i] = rule.big(left[i] as bigint, right[i] as bigint);
    }
    return y;
  }
  const left = spread(a, shape) as NumberData;
  const right = spread(b, shape) as NumberData;
  numbersOf(call, a);
  const real = a.dtype === "float32" || a.dtype === "float64";
  const apply: Binary = real ? rule.real : (rule.integer ?? rule.real);
  const out = y.data as NumberData;
  for (let i = 0; i < out.length; i++) {
    if (!real && right[i] === 0 && (call.node.op === "Div" || call.node.op === "Mod")) {
      throw divisionByZero(call);
    }
    // Storing into the typed array rounds to float32, or wraps an integer.
    out[i] = apply(left[i] as number, right[i] as number);
  }
  return y;
}

function divisionByZero(call: Call): QdgError {
  return new QdgError("runtime", call.node.origin, "integer division by zero");
}

function resultShape(call: Call, operands: readonly Tensor[]): number[] {
  const shape = broadcastShape(operands.map((operand) => operand.shape));
  if (!shape) {
    const got = operands.map((operand) => `[${operand.shape.join(", ")}]`).join(" and ");
    throw invalid(call, `shapes ${got} do not broadcast`);
  }
  return shape;
}

/** The elements of `value` as they stand in a tensor of shape `to`. */
function spread(value: Tensor, to: readonly number[]): Tensor["data"] {
  if (sameShape(value.shape, to)) return value.data;
  if (value.data.length === 1) return allocate(value.dtype, sizeOf(to)).fill(value.data[0] as never);
  const index = broadcastIndex(value.shape, to);
  const data = allocate(value.dtype, index.length);
  for (let i = 0; i < index.length; i++) data[i] = value.data[index[i] as number] as never;
  return data;
}

type ComparisonName = "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual";

const COMPARISONS: {
  readonly [name in ComparisonName]: (a: number | bigint, b: number | bigint) => boolean;
} = {
  Equal: (a, b) => a === b,
  Greater: (a, b) => a > b,
  GreaterOrEqual: (a, b) => a >= b,
  Less: (a, b) => a < b,
  LessOrEqual: (a, b) => a <= b,
};

/** Equal, Greater, GreaterOrEqual, Less, LessOrEqual: to bool. */
export function comparison(op: ComparisonName): Kernel {
  const compare = COMPARISONS[op];
  return (call) => {
    const [a, b] = [inputAt(call, 0), inputAt(call, 1)];
    if (a.dtype !== b.dtype) throw invalid(call, `operands of types ${a.dtype} and ${b.dtype}`);
    if (a.dtype === "float16") throw unsupported(call, "float16 comparison");
    const y = newTensor(call, "bool", resultShape(call, [a, b]));
    const left = spread(a, y.shape);
    const right = spread(b, y.shape);
    for (let i = 0; i < y.data.length; i++) {
      y.data[i] = Number(compare(left[i] as number, right[i] as number));
    }
    return [y];
  };
}

type BitwiseName = "And" | "Or" | "Xor";

const BITWISE: { readonly [name in BitwiseName]: Binary } = {
  And: (a, b) => a & b,
  Or: (a, b) => a | b,
  Xor: (a, b) => a ^ b,
};

/** And, Or, Xor on bool; BitwiseAnd, BitwiseOr, BitwiseXor on integers of at most 32 bits. */
export function bitwise(op: BitwiseName, types: "bool" | "integer"): Kernel {
  const apply = BITWISE[op];
  return (call) => {
    const [a, b] = [inputAt(call, 0), inputAt(call, 1)];
    checkBitType(call, a.dtype, types);
    if (b.dtype !== a.dtype) throw invalid(call, `operands of types ${a.dtype} and ${b.dtype}`);
    return [combine(call, { real: apply, integer: apply }, a, b)];
  };
}

export const bitwiseNot: Kernel = (call) => {
  const x = inputAt(call, 0);
  checkBitType(call, x.dtype, "integer");
  const y = newTensor(call, x.dtype, x.shape) as Tensor;
  for (let i = 0; i < y.data.length; i++) y.data[i] = ~(x.data[i] as number) as never;
  return [y];
};

export const logicalNot: Kernel = (call) => {
  const x = inputAt(call, 0);
  checkBitType(call, x.dtype, "bool");
  const y = newTensor(call, "bool", x.shape);
  for (let i = 0; i < y.data.length; i++) y.data[i] = x.data[i] ? 0 : 1;
  return [y];
};

function checkBitType(call: Call, dtype: DType, types: "bool" | "integer"): void {
  const integers: readonly DType[] = ["int8", "uint8", "int16", "uint16", "int32", "uint32"];
  if (types === "bool" ? dtype !== "bool" : !integers.includes(dtype)) {
    throw unsupported(call, `bits of ${dtype}`);
  }
}

/** `x << n` or `x >> n` of unsigned integers, bits beyond the type dropped (ONNX BitShift). */
export const bitShift: Kernel = (call) => {
  const direction = stringAttribute(call.node, "direction", "");
  const [a, b] = [inputAt(call, 0), inputAt(call, 1)];
  if (a.dtype !== "uint8" && a.dtype !== "uint16" && a.dtype !== "uint32") {
    throw unsupported(call, `BitShift of ${a.dtype}`);
  }
  if (direction !== "LEFT" && direction !== "RIGHT") throw invalid(call, `direction "${direction}"`);
  // A shift by 32 or more leaves nothing; JavaScript would take it modulo 32.
  const shift: Binary =
    direction === "LEFT" ? (x, n) => (n > 31 ? 0 : x << n) : (x, n) => (n > 31 ? 0 : x >>> n);
  return [combine(call, { real: shift, integer: shift }, a, b)];
};

/** `condition ? x : y` (ONNX Where). */
export const where: Kernel = (call) => {
  const [condition, x, y] = [inputAt(call, 0), inputAt(call, 1), inputAt(call, 2)];
  if (condition.dtype !== "bool") throw invalid(call, `condition of type ${condition.dtype}`);
  if (x.dtype !== y.dtype) throw invalid(call, `branches of types ${x.dtype} and ${y.dtype}`);
  const result = newTensor(call, x.dtype, resultShape(call, [condition, x, y])) as Tensor;
  const choose = spread(condition, result.shape);
  const whenTrue = spread(x, result.shape);
  const whenFalse = spread(y, result.shape);
  for (let i = 0; i < result.data.length; i++) {
    result.data[i] = (choose[i] ? whenTrue[i] : whenFalse[i]) as never;
  }
  return [result];
};
