// What rules of shapes read off a node: numbers of constant inputs and attributes, axes counted from either end.

import type { Dim, Node } from "../graph/graph.js";
import { UNKNOWN_DIM } from "../graph/unknown-shape.js";

export type Shape = readonly Dim[];

/** undefined where it cannot be told simply. */
export type ShapeRule = (node: Node, x: Shape, index: number) => Shape | undefined;

export function ints(node: Node, name: string): readonly number[] | undefined {
  const value = node.attributes[name];
  return Array.isArray(value) && value.every((item) => typeof item === "number") ? value : undefined;
}

/** The numbers of a constant int64 input. */
export function constants(node: Node, input: number): readonly number[] | undefined {
  const tensor = node.inputs[input]?.constant;
  return tensor?.dtype === "int64" ? Array.from(tensor.data as BigInt64Array, Number) : undefined;
}

export function axisOf(axis: unknown, rank: number): number | undefined {
  if (typeof axis !== "number") return undefined;
  const positive = axis < 0 ? axis + rank : axis;
  return positive >= 0 && positive < rank ? positive : undefined;
}

/** @param input that lists them */
export function axesOf(node: Node, rank: number, input = 1): readonly number[] | undefined {
  const axes = constants(node, input)?.map((axis) => axisOf(axis, rank));
  return axes?.every((axis) => axis !== undefined) ? axes : undefined;
}

export function product(dims: Shape): Dim {
  let result = 1;
  for (const dim of dims) {
    if (typeof dim === "string") return dims.length === 1 ? dim : UNKNOWN_DIM;
    result *= dim;
  }
  return result;
}

/** As many open sizes as an input lists that is computed; undefined where not even that is known. */
export function openShape(node: Node, input: number): Shape | undefined {
  const [count, ...others] = node.inputs[input]?.shape ?? [];
  return typeof count === "number" && others.length === 0
    ? Array.from({ length: count }, () => UNKNOWN_DIM)
    : undefined;
}
