// What operators do to what is known of their operands, one element at a time: bounds, grids, and at most one rounding.
// A rule that is not here is no rule: the value counts as not proven.

import { roundHalfEven } from "../../quant/affine.js";
import { kindOf } from "../../graph/node-kinds.js";
import type { Node } from "../../graph/graph.js";
import { given, isHeld, isPowerOfTwo, type Known, largestOf, together, unproven } from "./known.js";

/** The operands that a node has, in order; null where one is absent. */
export type Operands = readonly (Known | null)[];
type Rule = (operands: readonly Known[], node: Node) => Known;

const f = Math.fround;

/** 1.5 * 2^23: adding it to a float32 within 2^22 rounds half to even. */
const ROUNDING_SHIFT = 12582912;
const SHIFT_LIMIT = 2 ** 22;

const RANGES: Readonly<Record<string, readonly [number, number]>> = {
  uint8: [0, 255],
  int8: [-128, 127],
};

/** What a node computes from `operands`, fused with nothing. */
export function apply(node: Node, operands: Operands): Known {
  const present = operands.filter((operand) => operand !== null);
  const [first] = present;
  if (!first || node.domain !== "") return unproven(`${node.op} has no rule`);
  const rule = RULES[node.op] ?? (kindOf(node) === "rearranging" ? moves : undefined);
  return rule ? rule(present, node) : unproven(`${node.op} is computed in real numbers`, together(present).sum);
}

const moves: Rule = ([x]) => x as Known;

/** Elements of any of the operands. */
const selects: Rule = (operands) => ({
  low: Math.min(...operands.map(({ low }) => low)),
  high: Math.max(...operands.map(({ high }) => high)),
  step: Math.min(...operands.map(({ step }) => step)),
  rounded: operands.some(({ rounded }) => rounded),
  ...together(operands),
});

const RULES: Readonly<Record<string, Rule>> = {
  ReduceMax: moves,
  Concat: selects,
  Max: (operands) => ({ ...selects(operands, dummy), low: Math.max(...operands.map(({ low }) => low)) }),
  Min: (operands) => ({ ...selects(operands, dummy), high: Math.min(...operands.map(({ high }) => high)) }),
  Relu: ([x]) => clamp(x as Known, given(0, 0, 1), null),
  Clip: (_, node) => unproven(`${node.op} has no rule`),
  Round: ([x]) => whole(x as Known, roundHalfEven),
  Floor: ([x]) => whole(x as Known, Math.floor),
  Ceil: ([x]) => whole(x as Known, Math.ceil),
  Cast: ([x], node) => cast(x as Known, node),
  Add: ([a, b], node) => add(a as Known, b as Known, node),
  Sub: ([a, b], node) => add(a as Known, negated(b as Known), node),
  Mul: ([a, b]) => multiply(a as Known, b as Known),
  Div: ([a, b]) => divide(a as Known, b as Known),
  GreaterOrEqual: (operands) => ({ ...given(0, 1, 1), ...together(operands) }),
  Gather: ([table, index]) => ({ ...(table as Known), ...together([table as Known, index as Known]) }),
};
