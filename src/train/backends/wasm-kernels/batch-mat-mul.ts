// Products of two matrices. tfjs's own kernel is fast only where neither is transposed; and it rearranges the
// second matrix and keeps that as long as its tensor lives, found again by the tensor's memory alone: under another
// shape it would be read past its end.

import * as tf from "@tensorflow/tfjs";
import type { KernelCall } from "../kernel.js";
import { sumByChannel } from "./channel-sums.js";
import { allocate, floatsOf, type WasmBackend, type WasmKernel } from "./heap.js";

/** a [M,L] (or [L,M], transposed), b [L,N] (or [N,L]), float32 -> [M,N]; of higher rank with more than one matrix: tfjs's kernel. */
export const batchMatMul: WasmKernel = {
  name: "BatchMatMul",
  compute(call) {
    const { inputs, attrs, stock } = call;
    const { a, b } = inputs as { a: tf.Tensor; b: tf.Tensor };
    if (a.dtype !== "float32" || b.dtype !== "float32" || a.size === 0 || b.size === 0) return stock();
    if (matrices(a) !== 1 || matrices(b) !== 1) return stock();
    const left = plain(a, attrs["transposeA"] === true);
    const right = plain(b, attrs["transposeB"] === true);
    const [m, length] = left.shape;
    const n = right.shape[1];
    const leading = tf.broadcast_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
    const product = m === 1 && n === 1 ? dot(call, left, right, length) : multiply(call, left, right);
    return tf.reshape(product, [...leading, m, n]);
  },
};

function matrices(tensor: tf.Tensor): number {
  return tf.util.sizeFromShape(tensor.shape.slice(0, -2));
}

/** The one matrix of a tensor, not transposed. */
function plain(tensor: tf.Tensor, transposed: boolean): tf.Tensor2D {
  const [rows, columns] = tensor.shape.slice(-2) as [number, number];
  if (!transposed) return tf.reshape(tensor, [rows, columns]);
  // A row or a column lies in memory as it does transposed.
  if (rows === 1 || columns === 1) return tf.reshape(tensor, [columns, rows]);
  return tf.transpose(tf.reshape(tensor, [rows, columns])) as tf.Tensor2D;
}

/** A row by a column. */
function dot(
  { backend }: KernelCall<WasmBackend>,
  a: tf.Tensor2D,
  b: tf.Tensor2D,
  length: number,
): tf.Tensor {
  const out = allocate(backend, [1, 1]);
  const rows = [-1, length % 16 === 0 ? 16 : 1];
  const sums = sumByChannel(tf.reshape(a, rows), tf.reshape(b, rows));
  floatsOf(backend, out)[0] = sums.reduce((total, each) => total + each, 0);
  return out;
}

/** From this many elements on, what tfjs would keep beside the tensor is worth a copy that is gone at once. */
const LARGE = 2 ** 16;

/** The shape under which tfjs has seen each memory as a second matrix. */
const seen = new WeakMap<object, string>();

function multiply({ stock }: KernelCall<WasmBackend>, a: tf.Tensor2D, b: tf.Tensor2D): tf.Tensor {
  const shape = b.shape.join();
  const before = seen.get(b.dataId) ?? shape;
  if (b.size < LARGE && before === shape) {
    seen.set(b.dataId, shape);
    return stock({ a, b }, { transposeA: false, transposeB: false });
  }
  // The same elements in memory of their own.
  return stock({ a, b: tf.add(b, 0) }, { transposeA: false, transposeB: false });
}
