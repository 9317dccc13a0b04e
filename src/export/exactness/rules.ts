// What operators do to what is known of their operands, one element at a time: bounds, grids, and at most one rounding.
// An operator without a rule is not proven, never guessed.

import type { Node } from "../../graph/graph.js";
import { intAttribute } from "../../graph/graph.js";
import { kindOf } from "../../graph/node-kinds.js";
import { isPowerOfTwo, roundHalfEven } from "../../quant/affine.js";
import { given, isHeld, type Known, largestOf, together, unproven } from "./known.js";

/** The operands of a node in order; null where one is absent. */
export type Operands = readonly (Known | null)[];

const f = Math.fround;

/** 1.5 * 2^23: a float32 within 2^22 that is added to it is rounded half to even. */
const ROUNDING_SHIFT = 12582912;
const SHIFT_LIMIT = 2 ** 22;

/** Element types as ONNX numbers them -> their range. */
const CAST_RANGES: ReadonlyMap<number, readonly [number, number]> = new Map([
  [1, [-(2 ** 24), 2 ** 24]],
  [2, [0, 255]],
  [3, [-128, 127]],
  [6, [-(2 ** 31), 2 ** 31 - 1]],
]);

/** What a node computes from its operands, fused with nothing. */
export function apply(node: Node, operands: Operands): Known {
  const present = operands.filter((operand) => operand !== null);
  const [a, b] = present;
  if (!a || node.domain !== "") return withoutRule(node, present);
  switch (node.op) {
    case "Relu":
      return clamp(a, given(0, 0, 1), null);
    case "Clip":
      return clamp(a, operands[1] ?? null, operands[2] ?? null);
    case "Round":
      return whole(a, roundHalfEven);
    case "Floor":
      return whole(a, Math.floor);
    case "Ceil":
      return whole(a, Math.ceil);
    case "Cast":
      return cast(a, node);
    case "GreaterOrEqual":
      return { ...given(0, 1, 1), ...together(present) };
    case "Gather":
    case "GatherElements":
      return { ...a, ...together(present) };
    case "ReduceMax":
      return a;
    case "Concat":
      return selected(present);
    case "Max":
      return { ...selected(present), low: Math.max(...present.map(({ low }) => low)) };
    case "Min":
      return { ...selected(present), high: Math.min(...present.map(({ high }) => high)) };
    case "Add":
      return b ? add(a, b, node) : withoutRule(node, present);
    case "Sub":
      return b ? add(a, { ...b, low: -b.high, high: -b.low }, node) : withoutRule(node, present);
    case "Mul":
      return b ? multiply(a, b) : withoutRule(node, present);
    case "Div":
      return b ? divide(a, b) : withoutRule(node, present);
    case "Pad":
      return operands[2] ? selected([a, operands[2]]) : selected([a, given(0, 0, 1)]);
    default:
      return kindOf(node) === "rearranging" ? a : withoutRule(node, present);
  }
}

function withoutRule({ op }: Node, operands: readonly Known[]): Known {
  const { unproven: earlier, sum } = together(operands);
  return unproven(earlier ?? `${op} is computed in real numbers`, sum);
}

/** Elements of any of the operands. */
function selected(operands: readonly Known[]): Known {
  return {
    low: Math.min(...operands.map(({ low }) => low)),
    high: Math.max(...operands.map(({ high }) => high)),
    step: Math.min(...operands.map(({ step }) => step)),
    rounded: operands.some(({ rounded }) => rounded),
    ...together(operands),
  };
}

/** Bounds are constants, so that low and high of each are the same. */
function clamp(x: Known, low: Known | null, high: Known | null): Known {
  const bounds = [low, high].filter((bound) => bound !== null);
  const at = (value: number): number =>
    Math.min(Math.max(value, low?.low ?? Number.NEGATIVE_INFINITY), high?.high ?? Number.POSITIVE_INFINITY);
  return {
    low: at(x.low),
    high: at(x.high),
    step: Math.min(x.step, ...bounds.map(({ step }) => step)),
    rounded: x.rounded,
    ...together([x, ...bounds]),
  };
}

/** A whole number of what is computed the same everywhere is the same everywhere. */
function whole(x: Known, round: (value: number) => number): Known {
  return { ...x, low: round(x.low), high: round(x.high), step: 1, rounded: false };
}

function cast(x: Known, node: Node): Known {
  const range = CAST_RANGES.get(intAttribute(node, "to", 0));
  if (range && x.step === 1 && x.low >= range[0] && x.high <= range[1]) return x;
  // Real numbers stay what they are only as float32.
  if (intAttribute(node, "to", 0) === 1 && x.step > 0 && isHeld(largestOf(x), x.step)) return x;
  return unproven(x.unproven ?? "Cast may change a number", x.sum);
}

function add(a: Known, b: Known, node: Node): Known {
  const facts = together([a, b]);
  const [low, high] = [f(a.low + b.low), f(a.high + b.high)];
  const shift = [a, b].find((each) => each.low === ROUNDING_SHIFT && each.high === ROUNDING_SHIFT);
  const other = shift === a ? b : a;
  if (shift && largestOf(other) <= SHIFT_LIMIT) {
    // A product next to a sum may become one fused operation, with one rounding in the place of two.
    const fusable = other.rounded && node.inputs.some((input) => input?.producer?.op === "Mul");
    const reason = fusable ? "Mul and Add may be fused" : null;
    return {
      low: roundHalfEven(other.low) + ROUNDING_SHIFT,
      high: roundHalfEven(other.high) + ROUNDING_SHIFT,
      step: 1,
      rounded: false,
      ...facts,
      unproven: facts.unproven ?? reason,
    };
  }
  const step = Math.min(a.step, b.step);
  const largest = Math.max(Math.abs(a.low + b.low), Math.abs(a.high + b.high));
  const exact = !a.rounded && !b.rounded && isHeld(largest, step);
  return {
    low,
    high,
    step: exact ? step : 0,
    rounded: !exact,
    ...facts,
    unproven: facts.unproven ?? (a.rounded || b.rounded ? "a sum of numbers that are rounded already" : null),
  };
}

function multiply(a: Known, b: Known): Known {
  const ends = [a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high].map((end) =>
    // 0 times what is not bounded.
    f(Number.isNaN(end) ? 0 : end),
  );
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  const facts = together([a, b]);
  const power = [a, b].find((each) => each.low === each.high && isPowerOfTwo(each.low));
  if (power) {
    // Moves the exponent: nothing is rounded, and the grid moves along.
    const x = power === a ? b : a;
    return { low, high, step: Math.min(1, x.step * Math.abs(power.low)), rounded: x.rounded, ...facts };
  }
  const step = a.step * b.step;
  const exact = !a.rounded && !b.rounded && isHeld(Math.max(Math.abs(low), Math.abs(high)), step);
  return {
    low,
    high,
    step: exact ? step : 0,
    rounded: !exact,
    ...facts,
    unproven:
      facts.unproven ?? (a.rounded || b.rounded ? "a product of numbers that are rounded already" : null),
  };
}

function divide(a: Known, b: Known): Known {
  if (b.low === b.high && isPowerOfTwo(b.low))
    return multiply(a, given(1 / b.low, 1 / b.low, stepOfPower(1 / b.low)));
  const facts = together([a, b]);
  if (b.low <= 0 && b.high >= 0) return unproven(facts.unproven ?? "a quotient by what may be 0", facts.sum);
  const ends = [a.low / b.low, a.low / b.high, a.high / b.low, a.high / b.high].map(f);
  return {
    low: Math.min(...ends),
    high: Math.max(...ends),
    step: 0,
    rounded: true,
    ...facts,
    unproven:
      facts.unproven ?? (a.rounded || b.rounded ? "a quotient of numbers that are rounded already" : null),
  };
}

function stepOfPower(x: number): number {
  return Math.min(1, Math.abs(x));
}
