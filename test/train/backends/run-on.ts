// Numbers for the backends of training, and operations on one or the other.

import * as tf from "@tensorflow/tfjs";
import { useBackend } from "../../../src/train/backends/backends.js";

/** The plain JavaScript backend of tfjs. */
export async function useReference(): Promise<void> {
  tf.env().set("PROD", true);
  await tf.setBackend("cpu");
}

export interface Values {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Numbers between -1 and 1, by a seed. */
export function random(shape: readonly number[], seed: number): Values {
  const data = new Float32Array(shape.reduce((product, size) => product * size, 1));
  let state = seed * 2_654_435_761 + 1;
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    data[i] = state / 2 ** 31 - 1;
  }
  return { shape, data };
}

/** All different, at least 0.01 apart, by a seed: no tie in a maximum, and none within a small step. */
export function distinct(shape: readonly number[], seed: number): Values {
  const { data } = random(shape, seed);
  const order = Array.from(data.keys()).toSorted((a, b) => (data[a] as number) - (data[b] as number));
  order.forEach((at, rank) => {
    data[at] = (rank - data.length / 2) / 50 + 0.005;
  });
  return { shape, data };
}

export function tensorOf({ shape, data }: Values): tf.Tensor {
  return tf.tensor(data, [...shape]);
}

export function valuesOf(tensor: tf.Tensor): Values {
  return { shape: tensor.shape, data: tensor.dataSync<"float32">().slice() };
}

export function dot(a: Values, b: Values): number {
  if (a.data.length !== b.data.length) throw new Error(`${a.shape.join()} against ${b.shape.join()}`);
  return a.data.reduce((sum, value, i) => sum + value * (b.data[i] as number), 0);
}

/** The largest difference, against the largest number. */
export function difference(a: Values, b: Values): number {
  if (a.shape.join() !== b.shape.join()) return Infinity;
  const scale = b.data.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  return a.data.reduce((most, value, i) => {
    const other = b.data[i] as number;
    if (Object.is(value, other) || value === other) return most;
    const apart = Math.abs(value - other) / scale;
    return Number.isNaN(apart) ? Infinity : Math.max(most, apart);
  }, 0);
}

export type Op = (...inputs: tf.Tensor[]) => tf.Tensor;

/** Relative to the largest number: sums of some hundred float32 products, in different orders. */
export const TOLERANCE = 2e-5;

export async function on<Result>(
  backend: "reference" | "wasm" | "tensorflow",
  compute: () => Result,
): Promise<Result> {
  await (backend === "reference" ? useReference() : useBackend(backend));
  return compute();
}

export function forward(op: Op, inputs: readonly Values[]): Values {
  const result = tf.tidy(() => op(...inputs.map(tensorOf)));
  const values = valuesOf(result);
  result.dispose();
  return values;
}

/** The gradient by input `index` of `sum(op * dy)`. */
export function gradient(op: Op, inputs: readonly Values[], index: number, dy: Values): Values {
  const result = tf.tidy(() => {
    const tensors = inputs.map(tensorOf);
    const loss = (x: tf.Tensor): tf.Tensor =>
      tf.sum(tf.mul(op(...tensors.map((each, i) => (i === index ? x : each))), tensorOf(dy)));
    return tf.grad(loss)(tensors[index] as tf.Tensor);
  });
  const values = valuesOf(result);
  result.dispose();
  return values;
}
