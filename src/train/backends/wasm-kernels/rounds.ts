// Runs a vector loop, which takes whole rounds of elements, over tensors of any size.

import * as tf from "@tensorflow/tfjs";
import { addressOf, allocate, boolsOf, floatsOf, type WasmBackend } from "./heap.js";
import { ROUND } from "./loops.js";

/** A short pattern is laid out over and over up to about so many elements, for loops to be long. */
const LONG = 1024;

/** What a loop goes over: addresses of the tensors at one element, and those of the patterns at their beginning. */
export type Call = (
  tensors: readonly number[],
  patterns: readonly number[],
  periods: number,
  rounds: number,
) => void;

/**
 * Covers `size` elements: whole periods of the patterns, the rounds of the last one, and what is left through a
 * round of its own, since a whole one would write past the end (its surplus elements are 0).
 *
 * @param inputs and outputs: tensors of `size` elements of four bytes, or bool
 * @param patterns tensors of one length, which divides into rounds or is `size`
 */
export function inRounds(
  backend: WasmBackend,
  size: number,
  inputs: readonly tf.Tensor[],
  outputs: readonly tf.Tensor[],
  patterns: readonly tf.Tensor[],
  call: Call,
): void {
  const tensors = [...inputs, ...outputs];
  const scratch = allocate(backend, [(tensors.length + patterns.length) * ROUND]);
  const widths = tensors.map(({ dtype }) => (dtype === "bool" ? 1 : 4));
  const starts = tensors.map((tensor) => addressOf(backend, tensor));
  const bases = patterns.map((pattern) => addressOf(backend, pattern));
  const at = (element: number): number[] => starts.map((start, i) => start + element * (widths[i] as number));

  const period = patterns[0]?.size ?? size;
  const periods = period % ROUND === 0 ? Math.floor(size / period) : 0;
  if (periods > 0) call(starts, bases, periods, period / ROUND);
  const done = periods * period;
  const rounds = Math.floor((size - done) / ROUND);
  if (rounds > 0) call(at(done), bases, 1, rounds);

  const last = done + rounds * ROUND;
  if (last === size) return;
  const spare = floatsOf(backend, scratch).fill(0).byteOffset;
  const slots = [...tensors, ...patterns].map((_, i) => spare + i * ROUND * 4);
  const heap = new Uint8Array(boolsOf(backend, scratch).buffer);
  at(last).forEach((from, i) => {
    if (i < inputs.length)
      heap.copyWithin(slots[i] as number, from, from + (size - last) * (widths[i] as number));
  });
  bases.forEach((base, i) => {
    const from = base + (last - done) * 4;
    heap.copyWithin(slots[tensors.length + i] as number, from, from + (size - last) * 4);
  });
  call(slots.slice(0, tensors.length), slots.slice(tensors.length), 1, 1);
  at(last).forEach((into, i) => {
    const slot = slots[i] as number;
    if (i >= inputs.length) heap.copyWithin(into, slot, slot + (size - last) * (widths[i] as number));
  });
}

/** Elements over and over, as a pattern for tensors of `size` elements, which is a multiple of theirs. */
export function patternOf(backend: WasmBackend, elements: ArrayLike<number>, size: number): tf.Tensor {
  const repeats = ROUND * Math.ceil(LONG / ROUND / elements.length);
  const pattern = allocate(backend, [Math.min(size, repeats * elements.length)]);
  const into = floatsOf(backend, pattern);
  for (let start = 0; start < into.length; start += elements.length) into.set(elements, start);
  return pattern;
}
