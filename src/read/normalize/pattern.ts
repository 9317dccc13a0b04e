// What patterns of several nodes are matched with: operands in either order, constants of one number.

import type { Node, Value } from "../../graph/graph.js";

/** The node that computes a value, if it is this operator of ONNX. */
export function made(value: Value | null | undefined, op: string): Node | null {
  const node = value?.producer;
  return node?.op === op && node.domain === "" ? node : null;
}

/** The one number of a float32 constant of any rank; null for anything else. */
export function numberOf(value: Value | null | undefined): number | null {
  const constant = value?.constant;
  return constant?.dtype === "float32" && constant.data.length === 1 ? Number(constant.data[0]) : null;
}

/** Whether two numbers are one, as far as float32 tells: exporters write 1 / 6 and 0.16666667 alike. */
export function isAbout(got: number | null, wanted: number): boolean {
  return got !== null && Math.abs(got - wanted) <= 1e-6 * Math.max(1, Math.abs(wanted));
}

/** Both orders of two operands. */
export function eitherWay(node: Node): readonly (readonly [Value, Value])[] {
  const [a, b] = node.inputs;
  return a && b
    ? [
        [a, b],
        [b, a],
      ]
    : [];
}

/** The operand beside a constant of about this number; null where there is none. */
export function besideNumber(node: Node | null, wanted: number): Value | null {
  if (!node) return null;
  for (const [x, other] of eitherWay(node)) if (isAbout(numberOf(other), wanted)) return x;
  return null;
}

/** What stands in `x / n` or `x * (1 / n)`. */
export function dividedBy(value: Value | null | undefined, n: number): Value | null {
  const division = made(value, "Div");
  if (division) return isAbout(numberOf(division.inputs[1]), n) ? (division.inputs[0] ?? null) : null;
  return besideNumber(made(value, "Mul"), 1 / n);
}
