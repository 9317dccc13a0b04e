// The two passes of a quantizer with one scale, over millions of activations a step: rounding, and LSQ's gradients.
// Our vector loops on WebAssembly, or the fewest operators of TensorFlow. quantizers/fake-quantize.ts has the
// formulas and the tape.

import * as tf from "@tensorflow/tfjs";
import { gridGradient, roundToGrid as roundOnWasm } from "../backends/wasm-fused.js";
import { isNative, nativeOp } from "./native.js";

/** `s clip(roundHalfEven(fl(v / s)), low, high)`, |low| and high at most 255. */
export function roundToGrid(v: tf.Tensor, scale: tf.Tensor, low: number, high: number): tf.Tensor {
  if (isNative()) {
    const ratio = tf.round(tf.div(v, scale));
    const [clipped] = nativeOp("ClipByValue", [ratio, tf.scalar(low), tf.scalar(high)], 1) as [tf.Tensor];
    return tf.mul(clipped, scale);
  }
  return roundOnWasm(v, numberOf(scale), low, high);
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
    const dv = maskByRelu6(dy, v, scale, low, high);
    return { dv, moved: tf.sub(dot(dy, y), dot(dv, v)) };
  }
  const s = numberOf(scale);
  const { dv, moved } = gridGradient(dy, v, y, low * s, high * s);
  return { dv, moved: tf.scalar(moved) };
}

function numberOf(scale: tf.Tensor): number {
  return scale.dataSync<"float32">()[0] as number;
}

/**
 * TensorFlow's gradient of min(max(x, 0), 6) is one pass, where comparing twice, joining, casting and multiplying are
 * five: the range is moved and stretched to 0..6.
 */
function maskByRelu6(dy: tf.Tensor, v: tf.Tensor, scale: tf.Tensor, low: number, high: number): tf.Tensor {
  const moved = low === 0 ? v : tf.sub(v, tf.mul(scale, low));
  const stretched = tf.mul(moved, tf.div(6 / (high - low), scale));
  return nativeOp("Relu6Grad", [dy, stretched], 1)[0] as tf.Tensor;
}

/** `sum(a b)`. As a product of two rows, the second transposed: a third of the time of tfjs's own product. */
function dot(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  const rows = [tf.reshape(a, [1, -1]), tf.reshape(b, [1, -1])];
  const [product] = nativeOp("MatMul", rows, 1, { transpose_a: false, transpose_b: true }) as [tf.Tensor];
  return tf.reshape(product, []);
}
