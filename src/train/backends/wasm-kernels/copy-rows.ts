// Copies of many runs of elements inside the WebAssembly heap: what slicing and concatenating come down to.

import type * as tf from "@tensorflow/tfjs";
import { wordsOf, type WasmBackend } from "./heap.js";

/** Below this a loop is faster than a call. */
const SHORT = 8;

/** Elements: where the first run begins, and how far the next one lies from it. */
export interface Runs {
  readonly start: number;
  readonly step: number;
}

/** Copies `count` runs of `length` elements of four bytes from one tensor to another. */
export function copyRows(
  backend: WasmBackend,
  source: tf.Tensor,
  from: Runs,
  target: tf.Tensor,
  into: Runs,
  count: number,
  length: number,
): void {
  const read = wordsOf(backend, source);
  const written = wordsOf(backend, target);
  const heap = new Int32Array(read.buffer);
  const begin = read.byteOffset / 4 + from.start;
  const aim = written.byteOffset / 4 + into.start;
  for (let i = 0; i < count; i++) {
    const a = begin + i * from.step;
    const b = aim + i * into.step;
    if (length >= SHORT) heap.copyWithin(b, a, a + length);
    else for (let k = 0; k < length; k++) heap[b + k] = heap[a + k] as number;
  }
}
