// Sizes of tensors, known or named: what a layer makes of a size, as numbers or as the text of a formula.
// No nodes here.

import type { Dim } from "../graph/graph.js";

/** A tfjs shape: null stands for a size known only at run time. */
export type TfjsShape = readonly (number | null)[];

/**
 * Names for the unknown sizes of an input: N for the batch; L, HW or DHW for its space. Sizes of two
 * inputs are named apart (`H_1`), since nothing says that they agree; the batch is one for all.
 *
 * @param index of the input in the model
 * @param channelsFirst whether the channel axis is 1 in tfjs's own shape
 */
export function nameDims(shape: TfjsShape, index: number, channelsFirst: boolean): Dim[] {
  const spatial = { 3: "L", 4: "HW", 5: "DHW" }[shape.length];
  return shape.map((dim, axis) => {
    if (dim !== null) return dim;
    if (axis === 0) return "N";
    const suffix = index === 0 ? "" : `_${index}`;
    const letter = spatial?.[axis - (channelsFirst ? 2 : 1)];
    return `${letter ?? `D${axis}`}${suffix}`;
  });
}

/** `f(dim)` for a number, the text of `formula` around the name otherwise. */
export function mapDim(dim: Dim, f: (size: number) => number, formula: (name: string) => string): Dim {
  return typeof dim === "number" ? f(dim) : formula(dim);
}

export function plus(dim: Dim, n: number): Dim {
  if (n === 0) return dim;
  return mapDim(
    dim,
    (size) => size + n,
    (name) => (n > 0 ? `${name}+${n}` : `${name}-${-n}`),
  );
}

export function times(dim: Dim, n: number): Dim {
  return n === 1
    ? dim
    : mapDim(
        dim,
        (size) => size * n,
        (name) => `${n}*(${name})`,
      );
}

export function ceilDiv(dim: Dim, n: number): Dim {
  return n === 1
    ? dim
    : mapDim(
        dim,
        (size) => Math.ceil(size / n),
        (name) => `ceil((${name})/${n})`,
      );
}

/** The product of sizes; null when one is only named. */
export function product(dims: readonly Dim[]): number | null {
  let size = 1;
  for (const dim of dims) {
    if (typeof dim !== "number") return null;
    size *= dim;
  }
  return size;
}

/**
 * The product of sizes as a size: `36*(N)` where one is only named. Runtimes take two sizes of one name for
 * equal, so each product has a name of its own.
 */
export function productDim(dims: readonly Dim[]): Dim {
  const names = dims.filter((dim) => typeof dim === "string");
  const known = product(dims.filter((dim) => typeof dim === "number")) ?? 1;
  return names.length === 0 ? known : times(names.join("*"), known);
}

export function isStatic(dims: readonly Dim[]): dims is readonly number[] {
  return dims.every((dim) => typeof dim === "number");
}

export function formatShape(shape: readonly (Dim | null)[]): string {
  return `[${shape.map((dim) => dim ?? "null").join(", ")}]`;
}

/**
 * The size of a broadcast of two sizes, numpy's rule; two names, or a name and a number, are taken to
 * agree. Null when they do not.
 */
export function broadcastDim(a: Dim, b: Dim): Dim | null {
  if (a === 1) return b;
  if (b === 1 || a === b) return a;
  if (typeof a === "string") return b;
  return typeof b === "string" ? a : null;
}
