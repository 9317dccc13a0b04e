// Index arithmetic of row-major tensors: strides and NumPy broadcasting. No data, no operators.

import { sizeOf } from "../base/tensor.js";

/** Elements between neighbours along each axis. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = shape.map(() => 1);
  for (let axis = shape.length - 2; axis >= 0; axis--) {
    strides[axis] = (strides[axis + 1] as number) * (shape[axis + 1] as number);
  }
  return strides;
}

/** The shape that all broadcast to (ONNX multidirectional broadcasting), or null when they do not. */
export function broadcastShape(shapes: readonly (readonly number[])[]): number[] | null {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  const result: number[] = [];
  for (let axis = 0; axis < rank; axis++) {
    let size = 1;
    for (const shape of shapes) {
      const dim = shape[axis - (rank - shape.length)] ?? 1;
      if (dim === 1) continue;
      if (size !== 1 && size !== dim) return null;
      size = dim;
    }
    result.push(size);
  }
  return result;
}

/** For each element of a tensor of shape `to`, the index of the element of `from` that stands there. */
export function broadcastIndex(from: readonly number[], to: readonly number[]): Int32Array {
  const offset = to.length - from.length;
  const own = stridesOf(from);
  const strides = to.map((_, axis) =>
    (from[axis - offset] ?? 1) === 1 ? 0 : (own[axis - offset] as number),
  );
  return walk(to, strides, 0);
}

/**
 * `index[i0, i1, ...] = start + sum of i_a * strides[a]` over all of `shape`, in row-major order. Slices,
 * transpositions and broadcasts are all such walks over their input.
 */
export function walk(shape: readonly number[], strides: readonly number[], start: number): Int32Array {
  const size = sizeOf(shape);
  const index = new Int32Array(size);
  const position = shape.map(() => 0);
  let from = start;
  for (let i = 0; i < size; i++) {
    index[i] = from;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis] as number;
      position[axis] = (position[axis] as number) + 1;
      if ((position[axis] as number) < (shape[axis] as number)) break;
      from -= (strides[axis] as number) * (shape[axis] as number);
      position[axis] = 0;
    }
  }
  return index;
}

/** A shape around an axis: `[outer, size, inner]` with outer * size * inner elements. */
export function around(shape: readonly number[], axis: number): [outer: number, size: number, inner: number] {
  return [sizeOf(shape.slice(0, axis)), shape[axis] ?? 1, sizeOf(shape.slice(axis + 1))];
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dim, axis) => dim === b[axis]);
}
