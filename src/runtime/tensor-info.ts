// What a session says of the inputs and outputs of a graph that qdg computes itself.

import type { Value } from "../graph/graph.js";
import { isUnknownRank, UNKNOWN_DIM } from "../graph/unknown-shape.js";
import type { TensorInfo } from "./runtime.js";

/** Unnamed sizes are "", as with every runtime. */
export function infoOf({ name, dtype, shape }: Value): TensorInfo {
  if (isUnknownRank(shape)) return { name, dtype, shape: [] };
  return { name, dtype, shape: shape.map((dim) => (dim === UNKNOWN_DIM ? "" : dim)) };
}
