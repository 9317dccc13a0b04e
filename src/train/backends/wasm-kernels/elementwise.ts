// Two float tensors element by element, by a vector loop, for the ways in which training broadcasts.

import * as tf from "@tensorflow/tfjs";
import { loopsOf, type PeriodicName } from "./loops.js";
import { allocate, floatsOf, type WasmBackend } from "./heap.js";
import { inRounds, patternOf } from "./rounds.js";

/**
 * `f(a, b)` for float32 tensors of which one is whole and the other is of the same shape, a scalar, or a vector
 * along the last axes (one number a channel); null when they lie otherwise.
 *
 * @param mirrored the loop with its operands exchanged
 */
export function elementwise(
  backend: WasmBackend,
  a: tf.Tensor | undefined,
  b: tf.Tensor | undefined,
  loop: PeriodicName,
  mirrored: PeriodicName,
  dtype: "float32" | "bool",
): tf.Tensor | null {
  if (!a || !b || a.dtype !== "float32" || b.dtype !== "float32") return null;
  const shape = tf.broadcast_util.assertAndGetBroadcastShape(a.shape, b.shape);
  const size = tf.util.sizeFromShape(shape);
  if (size === 0 || !isTail(a.shape, shape) || !isTail(b.shape, shape)) return null;
  if (a.size !== size && b.size !== size) return null;
  const [whole, other, name] = a.size === size ? [a, b, loop] : [b, a, mirrored];
  const out = allocate(backend, shape, dtype);
  // The elements are copied first: the pattern may move the heap.
  const pattern = other.size === size ? other : patternOf(backend, floatsOf(backend, other).slice(), size);
  const run = loopsOf(backend)[name];
  inRounds(backend, size, [whole], [out], [pattern], ([from, into], [base], periods, rounds) => {
    run(from as number, base as number, into as number, periods, rounds);
  });
  return out;
}

/** Whether an operand, without its leading ones, is the last axes of the shape: so that it repeats in memory. */
export function isTail(operand: readonly number[], shape: readonly number[]): boolean {
  const start = operand.findIndex((size) => size !== 1);
  if (start < 0) return true;
  const tail = operand.slice(start);
  return tail.every((size, i) => size === shape[shape.length - tail.length + i]);
}
