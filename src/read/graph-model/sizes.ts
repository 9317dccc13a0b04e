// Arithmetic on sizes, of which some are known by name only: what a model computes of shapes, as numbers or formulas.

import type { Dim } from "../../graph/graph.js";
import { mapDim, plus, productDim } from "../dims.js";

type Arithmetic = (a: Dim, b: Dim) => Dim | null;

/** By TensorFlow operator; null where the result has no formula. */
export const SIZE_ARITHMETIC: Readonly<Record<string, Arithmetic>> = {
  Add: added,
  AddV2: added,
  Sub: (a, b) => {
    if (a === b) return 0;
    return typeof b === "number" ? plus(a, -b) : null;
  },
  Mul: (a, b) => productDim([a, b]),
  FloorDiv: divided,
  RealDiv: divided,
  Div: divided,
  Maximum: (a, b) => (a === b ? a : numeric(a, b, Math.max)),
  Minimum: (a, b) => (a === b ? a : numeric(a, b, Math.min)),
};

function added(a: Dim, b: Dim): Dim | null {
  if (typeof b === "number") return plus(a, b);
  return typeof a === "number" ? plus(b, a) : null;
}

/** Rounded down, as tfjs divides integers. */
function divided(a: Dim, b: Dim): Dim | null {
  if (a === b && a !== 0) return 1;
  if (typeof b !== "number" || b <= 0) return null;
  if (b === 1) return a;
  return mapDim(
    a,
    (size) => Math.floor(size / b),
    (name) => `floor((${name})/${b})`,
  );
}

function numeric(a: Dim, b: Dim, f: (a: number, b: number) => number): Dim | null {
  return typeof a === "number" && typeof b === "number" ? f(a, b) : null;
}

/** Element by element, a list of one against any; null where one of the results has no formula. */
export function sizeArithmetic(
  op: string,
  a: readonly Dim[] | null,
  b: readonly Dim[] | null,
): readonly Dim[] | null {
  const arithmetic = Object.hasOwn(SIZE_ARITHMETIC, op) ? SIZE_ARITHMETIC[op] : undefined;
  if (!arithmetic || !a || !b) return null;
  const length = Math.max(a.length, b.length);
  if ([a, b].some((list) => list.length !== length && list.length !== 1)) return null;
  const results = Array.from({ length }, (_, i) =>
    arithmetic(a[a.length === 1 ? 0 : i] as Dim, b[b.length === 1 ? 0 : i] as Dim),
  );
  return results.every((dim) => dim !== null) ? results : null;
}

/** Of a range of a size: from `begin` to `end` by `step`. */
export function rangeSize(begin: number, end: number, step: number): number {
  return Math.max(0, Math.ceil((end - begin) / step));
}
