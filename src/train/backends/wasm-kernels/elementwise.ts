// Runs a vector loop over two float tensors of which one may repeat, whatever their sizes.

import * as tf from "@tensorflow/tfjs";
import { ROUND, type PeriodicLoop } from "../wasm-simd/elementwise.js";
import { loopsOf, type PeriodicName } from "../wasm-simd/loops.js";
import { addressOf, allocate, boolsOf, floatsOf, type WasmBackend } from "./heap.js";

/** A short operand is laid out over and over up to about so many elements, for loops to be long. */
const LONG = 1024;

/**
 * `f(a, b)` element by element, for float32 tensors of which one is whole and the other is of the same shape, a
 * scalar, or a vector along the last axes (one number a channel); null when they lie otherwise.
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
  const out = allocate(backend, shape, dtype);
  const loops = loopsOf(backend);
  if (a.size === size) run(backend, loops[loop], a, b, out);
  else run(backend, loops[mirrored], b, a, out);
  return out;
}

/** Whether an operand, without its leading ones, is the last axes of the shape: so that it repeats in memory. */
export function isTail(operand: readonly number[], shape: readonly number[]): boolean {
  const start = operand.findIndex((size) => size !== 1);
  if (start < 0) return true;
  const tail = operand.slice(start);
  return tail.every((size, i) => size === shape[shape.length - tail.length + i]);
}

function run(
  backend: WasmBackend,
  loop: PeriodicLoop,
  whole: tf.Tensor,
  other: tf.Tensor,
  out: tf.Tensor,
): void {
  const size = out.size;
  const repeats = ROUND * Math.ceil(LONG / ROUND / other.size);
  const period = other.size === size ? size : Math.min(size, repeats * other.size);
  const pattern = other.size === size ? other : allocate(backend, [period]);
  const scratch = allocate(backend, [3 * ROUND]);
  if (pattern !== other) {
    const [from, into] = [floatsOf(backend, other), floatsOf(backend, pattern)];
    for (let start = 0; start < period; start += from.length) into.set(from, start);
  }
  const [a, b, into, spare] = [whole, pattern, out, scratch].map((tensor) => addressOf(backend, tensor)) as [
    number,
    number,
    number,
    number,
  ];
  const outBytes = out.dtype === "bool" ? 1 : 4;
  const periods = period % ROUND === 0 ? Math.floor(size / period) : 0;
  if (periods > 0) loop(a, b, into, periods, period / ROUND);
  const done = periods * period;
  const rounds = Math.floor((size - done) / ROUND);
  if (rounds > 0) loop(a + done * 4, b, into + done * outBytes, 1, rounds);
  const rest = (size - done) % ROUND;
  if (rest === 0) return;
  // What is left goes through a round of its own, since a whole one would write past the end.
  const heap = new Uint8Array(boolsOf(backend, out).buffer);
  const last = rounds * ROUND;
  heap.copyWithin(spare, a + (done + last) * 4, a + size * 4);
  heap.copyWithin(spare + ROUND * 4, b + last * 4, b + (last + rest) * 4);
  loop(spare, spare + ROUND * 4, spare + 2 * ROUND * 4, 1, 1);
  const result = spare + 2 * ROUND * 4;
  heap.copyWithin(into + (size - rest) * outBytes, result, result + rest * outBytes);
}
