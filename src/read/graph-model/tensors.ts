// A tensor of a graph-model while it is read: the value of the graph that holds it and, of a short list of integers, what
// its numbers are, also where a number is the size of something that only run time knows.

import { QdgError } from "../../base/error.js";
import { sizeOf, type Tensor } from "../../base/tensor.js";
import type { Dim } from "../../graph/graph.js";
import { formatShape } from "../dims.js";
import { type Held, tfjsShape } from "../held.js";

export interface GraphTensor {
  readonly held: Held;
  /** The elements of an int32 tensor of one axis at most; null where they are not known. */
  readonly numbers: readonly Dim[] | null;
  /** Of a TensorList: its elements, null where none was set. What is held is nothing then. */
  readonly list?: readonly (GraphTensor | null)[];
}

/** Lists of sizes and axes are shorter. */
const MOST_NUMBERS = 4096;

/** The tensor that `held` holds; the numbers of a constant are its own. */
export function tensorOf(held: Held, numbers: readonly Dim[] | null = null): GraphTensor {
  const { constant, shape } = held.value;
  const short = constant?.dtype === "int32" && shape.length < 2 && constant.data.length <= MOST_NUMBERS;
  return { held, numbers: short ? Array.from(constant.data as Int32Array) : numbers };
}

export function shapeOfTensor({ held }: GraphTensor): readonly Dim[] {
  return tfjsShape(held);
}

export function constantOf({ held }: GraphTensor): Tensor | undefined {
  return held.value.constant;
}

/** The result of a broadcast, numpy's rule. @throws QdgError `invalid-model` where shapes do not go together */
export function broadcastShapes(shapes: readonly (readonly Dim[])[], where: string): readonly Dim[] {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    let dim: Dim = 1;
    for (const shape of shapes) {
      const other = shape[axis - rank + shape.length] ?? 1;
      const both = broadcastDims(dim, other);
      if (both === null) {
        throw new QdgError(
          "invalid-model",
          where,
          `got shapes ${shapes.map(formatShape).join(" and ")}, which do not go together`,
        );
      }
      dim = both;
    }
    return dim;
  });
}

/** Of a size and a name the size, since a name may be 1 but then the model would be none of that size. */
function broadcastDims(a: Dim, b: Dim): Dim | null {
  if (a === b || b === 1) return a;
  if (a === 1 || typeof a === "string") return b;
  return typeof b === "string" ? a : null;
}

/** How many elements a shape has, where all sizes are known. */
export function knownSize(shape: readonly Dim[]): number | null {
  return shape.every((dim) => typeof dim === "number") ? sizeOf(shape) : null;
}
