// The two passes of a quantizer with one scale, over millions of activations a step: rounding, and LSQ's gradients.
// Our vector loops on WebAssembly, or the fewest operators of TensorFlow. quantizers/fake-quantize.ts has the
// formulas and the tape.

import * as tf from "@tensorflow/tfjs";
import { gridGradient, roundToGrid as roundOnWasm } from "../backends/wasm-fused.js";
import { isNative, nativeOp } from "./native.js";

/** `s clip(roundHalfEven(fl(v / s)), low, high)`, |low| and high at most 255. */
export function roundToGrid(v: tf.Tensor, scale: number, low: number, high: number): tf.Tensor {
  if (!isNative()) return roundOnWasm(v, scale, low, high);
  const s = tf.scalar(scale);
  const ratio = tf.round(tf.div(v, s));
  const [clipped] = nativeOp("ClipByValue", [ratio, tf.scalar(low), tf.scalar(high)], 1) as [tf.Tensor];
  return tf.mul(clipped, s);
}

export interface GridGradients {
  /** dy where `low s <= v <= high s`, 0 elsewhere. */
  readonly dv: tf.Tensor;
  /** `sum(dy y) - sum(dv v)`. */
  readonly moved: number;
}

export function gridGradients(
  dy: tf.Tensor,
  v: tf.Tensor,
  y: tf.Tensor,
  scale: number,
  low: number,
  high: number,
): GridGradients {
  if (!isNative()) return gridGradient(dy, v, y, low * scale, high * scale);
  const dv = maskByRelu6(dy, v, scale, low, high);
  return { dv, moved: dot(dy, y) - dot(dv, v) };
}

/** Values in 0..6, by TensorFlow's operators, where the range goes that far: `s roundHalfEven(fl(v / s))`. */
export function roundRectified(v: tf.Tensor, scale: number): tf.Tensor {
  const s = tf.scalar(scale);
  return tf.mul(tf.round(tf.div(v, s)), s);
}

/** Of {@link roundRectified} of `v = min(max(x, 0), 6)`: the gradient of x, and `sum(dy (y - v))`. */
export function rectifiedGradients(dy: tf.Tensor, v: tf.Tensor, y: tf.Tensor): GridGradients {
  const [dv] = nativeOp("Relu6Grad", [dy, v], 1) as [tf.Tensor];
  return { dv, moved: dot(dy, y) - dot(dy, v) };
}

/**
 * TensorFlow's gradient of min(max(x, 0), 6) is one pass, where comparing twice, joining, casting and multiplying are
 * five: the range is moved and stretched to 0..6.
 */
function maskByRelu6(dy: tf.Tensor, v: tf.Tensor, scale: number, low: number, high: number): tf.Tensor {
  const moved = low === 0 ? v : tf.sub(v, scale * low);
  const stretched = tf.mul(moved, 6 / (high - low) / scale);
  return nativeOp("Relu6Grad", [dy, stretched], 1)[0] as tf.Tensor;
}

/** `sum(a b)`. As a product of two rows, the second transposed: a third of the time of tfjs's own product. */
function dot(a: tf.Tensor, b: tf.Tensor): number {
  const rows = [tf.reshape(a, [1, -1]), tf.reshape(b, [1, -1])];
  const [product] = nativeOp("MatMul", rows, 1, { transpose_a: false, transpose_b: true }) as [tf.Tensor];
  return product.dataSync<"float32">()[0] as number;
}
