// The two passes of a quantizer with one scale, over millions of activations a step: rounding, and LSQ's gradients.
// Loops over the WebAssembly heap, or the fewest operators of TensorFlow. quantizers/fake-quantize.ts has the
// formulas and the tape.

import * as tf from "@tensorflow/tfjs";
import { allocate, floatsOf, type WasmBackend } from "../backends/wasm-kernels/heap.js";
import { isNative, nativeOp } from "./native.js";

/** Adding and subtracting it rounds a float32 below 2^22 to an integer, ties to even. */
const ROUNDING = 1.5 * 2 ** 23;

/** `s clip(roundHalfEven(fl(v / s)), low, high)`, |low| and high at most 255. */
export function roundToGrid(v: tf.Tensor, scale: tf.Tensor, low: number, high: number): tf.Tensor {
  if (isNative()) {
    const ratio = tf.round(tf.div(v, scale));
    const [clipped] = nativeOp("ClipByValue", [ratio, tf.scalar(low), tf.scalar(high)], 1) as [tf.Tensor];
    return tf.mul(clipped, scale);
  }
  const backend = tf.backend() as unknown as WasmBackend;
  const y = allocate(backend, v.shape);
  const [vs, ys] = [floatsOf(backend, v), floatsOf(backend, y)];
  const s = floatsOf(backend, scale)[0] as number;
  for (let i = 0; i < vs.length; i++) {
    let ratio = Math.fround((vs[i] as number) / s);
    // Integers at both ends: clipping and rounding commute. NaN stays NaN.
    if (ratio < low) ratio = low;
    else if (ratio > high) ratio = high;
    ys[i] = Math.fround(Math.fround(ratio + ROUNDING) - ROUNDING) * s;
  }
  return y;
}

export interface GridGradients {
  /** dy where `low s <= v <= high s`, 0 elsewhere. */
  readonly dv: tf.Tensor;
  /** `sum(dy y) - sum(dv v)`, one number. */
  readonly moved: tf.Tensor;
}

export function gridGradients(
  dy: tf.Tensor,
  v: tf.Tensor,
  y: tf.Tensor,
  scale: tf.Tensor,
  low: number,
  high: number,
): GridGradients {
  if (isNative()) {
    const dv = low === 0 ? maskByRelu6(dy, v, scale, high) : maskByComparison(dy, v, scale, low, high);
    return { dv, moved: tf.sub(dot(dy, y), dot(dv, v)) };
  }
  const backend = tf.backend() as unknown as WasmBackend;
  const dv = allocate(backend, v.shape);
  const moved = allocate(backend, []);
  const [dys, vs, ys, dvs] = [dy, v, y, dv].map((tensor) => floatsOf(backend, tensor)) as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const s = floatsOf(backend, scale)[0] as number;
  const [least, greatest] = [low * s, high * s];
  let sum = 0;
  for (let i = 0; i < vs.length; i++) {
    const x = vs[i] as number;
    const g = dys[i] as number;
    const inside = x >= least && x <= greatest;
    dvs[i] = inside ? g : 0;
    sum += g * (inside ? (ys[i] as number) - x : (ys[i] as number));
  }
  floatsOf(backend, moved)[0] = sum;
  return { dv, moved };
}

/** TensorFlow's gradient of min(max(x, 0), 6) is one pass, where comparing, casting and multiplying are five. */
function maskByRelu6(dy: tf.Tensor, v: tf.Tensor, scale: tf.Tensor, high: number): tf.Tensor {
  const stretched = tf.mul(v, tf.div(6 / high, scale));
  return nativeOp("Relu6Grad", [dy, stretched], 1)[0] as tf.Tensor;
}

function maskByComparison(
  dy: tf.Tensor,
  v: tf.Tensor,
  scale: tf.Tensor,
  low: number,
  high: number,
): tf.Tensor {
  // Twice the distance from the middle against the width: one comparison.
  const middle = tf.mul(scale, (low + high) / 2);
  const distance = tf.abs(tf.sub(v, middle));
  return tf.mul(dy, tf.cast(tf.lessEqual(distance, tf.mul(scale, (high - low) / 2)), "float32"));
}

/** As a product of a row and a column: one pass, nothing between. */
function dot(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  return tf.reshape(tf.matMul(tf.reshape(a, [1, -1]), tf.reshape(b, [-1, 1])), []);
}
