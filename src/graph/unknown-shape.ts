// How a Graph that was raised from a file says that it does not know a shape. Graphs that qdg builds itself
// have shapes everywhere.

import type { Dim } from "./graph.js";

/** A dimension of which not even a name is known. No name of a dimension is ever this. */
export const UNKNOWN_DIM = "?";

/** The only "dimension" of a shape of unknown rank. [] is a scalar, never "not known". */
export const UNKNOWN_RANK = "...";

export const UNKNOWN_SHAPE: readonly Dim[] = [UNKNOWN_RANK];

export function isUnknownRank(shape: readonly Dim[]): boolean {
  return shape[0] === UNKNOWN_RANK;
}
