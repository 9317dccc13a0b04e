// All trainables as one flat array: weights first, then scales, then zero points. Moves numbers between it and
// the variables, and knows no method. One flat array because methods then are a few plain loops.

import * as tf from "@tensorflow/tfjs";
import { QdgError } from "../../base/error.js";
import type { Evaluated, Role, Trainable } from "../objective.js";

/** Numbers from `start` up to, not with, `end`. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

interface Segment extends Range {
  readonly trainable: Trainable;
  /** In the list of the objective. */
  readonly index: number;
}

const ORDER: readonly Role[] = ["weight", "scale", "zero-point"];

export class TrainableVector {
  readonly length: number;
  readonly weights: Range;
  readonly scales: Range;
  readonly zeroPoints: Range;
  readonly #segments: readonly Segment[];

  /** @throws QdgError `internal` for a name that comes twice, or a variable that is not float32 */
  constructor(trainables: readonly Trainable[]) {
    const segments: Segment[] = [];
    const names = new Set<string>();
    let end = 0;
    const ends = ORDER.map((role) => {
      trainables.forEach((trainable, index) => {
        if (trainable.role !== role) return;
        const { name, variable } = trainable;
        if (names.has(name)) throw new QdgError("internal", name, "two trainables have this name");
        if (variable.dtype !== "float32") {
          throw new QdgError("internal", name, `got a ${variable.dtype} variable, expected float32`);
        }
        names.add(name);
        segments.push({ trainable, index, start: end, end: end + variable.size });
        end += variable.size;
      });
      return end;
    });
    const [weightsEnd = 0, scalesEnd = 0] = ends;
    this.#segments = segments;
    this.length = end;
    this.weights = { start: 0, end: weightsEnd };
    this.scales = { start: weightsEnd, end: scalesEnd };
    this.zeroPoints = { start: scalesEnd, end };
  }

  /** Which trainables in which order, as text: equal for equal layouts. */
  describe(): string {
    return JSON.stringify(this.#segments.map(({ trainable, start, end }) => [trainable.name, end - start]));
  }

  /** Trainables of role `scale`, each with its place counted from the first scale. */
  scaleSegments(): { readonly trainable: Trainable; readonly start: number; readonly end: number }[] {
    const first = this.scales.start;
    return this.#segments
      .filter(({ trainable }) => trainable.role === "scale")
      .map(({ trainable, start, end }) => ({ trainable, start: start - first, end: end - first }));
  }

  /** Scales and zero points by the bits at which they count (null: always), each with its place in the vector. */
  byBits(): Map<number | null, { readonly scales: Range[]; readonly zeroPoints: Range[] }> {
    const found = new Map<number | null, { scales: Range[]; zeroPoints: Range[] }>();
    for (const { trainable, start, end } of this.#segments) {
      const { role, bits = null } = trainable;
      if (role === "weight") continue;
      const at = found.get(bits) ?? { scales: [], zeroPoints: [] };
      found.set(bits, at);
      (role === "scale" ? at.scales : at.zeroPoints).push({ start, end });
    }
    return found;
  }

  /** Copies the variables' numbers into `values`. */
  read(values: Float32Array): void {
    for (const { trainable, start } of this.#segments) {
      values.set(trainable.variable.dataSync<"float32">(), start);
    }
  }

  /** Copies gradients into `values` and disposes of their tensors. @throws QdgError `internal` for other shapes */
  readGradients(evaluated: Evaluated, values: Float32Array): void {
    try {
      for (const { trainable, index, start, end } of this.#segments) {
        const gradient = evaluated.gradients[index];
        if (gradient?.size !== end - start) {
          const got = gradient === undefined ? "no gradient" : `a gradient of ${gradient.size} numbers`;
          throw new QdgError("internal", trainable.name, `got ${got}, expected ${end - start} numbers`);
        }
        values.set(gradient.dataSync<"float32">(), start);
      }
    } finally {
      tf.dispose(evaluated.gradients);
    }
  }

  /** Gives the variables the numbers of `values`. */
  write(values: Float32Array): void {
    for (const { trainable, start, end } of this.#segments) {
      // A copy of its own: a backend may keep the array that it is given, and `values` is written again.
      const next = tf.tensor(values.slice(start, end), trainable.variable.shape, "float32");
      trainable.variable.assign(next);
      next.dispose();
    }
  }

  /**
   * Keeps what the variables hold now.
   *
   * @returns gives it back to them, bit for bit, and frees what was kept; to be called once
   */
  hold(): () => void {
    // A clone shares the data of its variable, and assigning to the variable leaves it alone.
    const held = this.#segments.map(({ trainable }) => trainable.variable.clone());
    return () => {
      this.#segments.forEach(({ trainable }, i) => trainable.variable.assign(held[i] as tf.Tensor));
      tf.dispose(held);
    };
  }

  /** The first trainable, in the order of the objective, with a number in `values` that is not finite. */
  firstNotFinite(values: Float32Array): Trainable | null {
    let first: Segment | null = null;
    for (const segment of this.#segments) {
      if (first !== null && segment.index > first.index) continue;
      if (!values.subarray(segment.start, segment.end).every(Number.isFinite)) first = segment;
    }
    return first?.trainable ?? null;
  }
}

/** The part of `values` in `range`: a view, not a copy. */
export function part(values: Float32Array, range: Range): Float32Array {
  return values.subarray(range.start, range.end);
}

/** `sum of x_i^2`, in float64. */
export function sumOfSquares(values: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i] as number) * (values[i] as number);
  return sum;
}

/** What shortens a gradient to the norm `clipNorm`: `min(1, clipNorm / norm)`; 1 where clipNorm is null. */
export function clipFactor(clipNorm: number | null, norm: () => number): number {
  return clipNorm === null ? 1 : Math.min(1, clipNorm / norm());
}
