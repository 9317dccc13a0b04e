// A tfjs tensor as the graph holds it: in tfjs's own order of axes, or with the channels (tfjs's last axis)
// moved to axis 1 as ONNX's spatial operators want them. No nodes are made here.

import type { Dim, Value } from "../graph/graph.js";

export type Layout = "as-is" | "channels-first";

/** `value` has tfjs's shape, or tfjs's shape with the last axis moved to 1. Below rank 3 both are one. */
export interface Held {
  readonly value: Value;
  readonly layout: Layout;
}

/** Where each axis of the channels-first order comes from: [0, r-1, 1, ..., r-2]. */
export function toChannelsFirst(rank: number): number[] {
  if (rank < 3) return Array.from({ length: rank }, (_, axis) => axis);
  return [0, rank - 1, ...Array.from({ length: rank - 2 }, (_, i) => i + 1)];
}

/** Where each axis of tfjs's order comes from: [0, 2, ..., r-1, 1]. */
export function toAsIs(rank: number): number[] {
  if (rank < 3) return Array.from({ length: rank }, (_, axis) => axis);
  return [0, ...Array.from({ length: rank - 2 }, (_, i) => i + 2), 1];
}

export function permute<T>(list: readonly T[], permutation: readonly number[]): T[] {
  return permutation.map((axis) => list[axis] as T);
}

export function rankOf(held: Held): number {
  return held.value.shape.length;
}

/** The shape that tfjs would give. */
export function tfjsShape(held: Held): readonly Dim[] {
  const { shape } = held.value;
  return held.layout === "as-is" ? shape : permute(shape, toAsIs(shape.length));
}

/** Where an axis of tfjs's shape (0..r-1) stands in the value's shape. */
export function heldAxis(held: Held, tfjsAxis: number): number {
  return held.layout === "as-is" ? tfjsAxis : toChannelsFirst(rankOf(held)).indexOf(tfjsAxis);
}
