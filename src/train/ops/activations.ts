// Functions of one element. The order of axes of the input stays, whichever it is; only PRelu has a second operand.

import * as tf from "@tensorflow/tfjs";
import { floatAttribute, type Node, stringAttribute } from "../../graph/graph.js";
import { relu6 } from "../kernels/relu.js";
import { aligned, type Constants, inputAt, type Op, withoutGradient } from "./op.js";

type Unary = (x: tf.Tensor, node: Node) => tf.Tensor;

/** `y = f(x)`, held as x is. */
export function unary(f: Unary): Op {
  return (node, inputs) => {
    const { tensor, layout } = inputAt(node, inputs, 0);
    return [{ tensor: f(tensor, node), layout }];
  };
}

const less = withoutGradient((a: tf.Tensor, b: tf.Tensor) => tf.less(a, b));
const greater = withoutGradient((a: tf.Tensor, b: tf.Tensor) => tf.greater(a, b));

/** What ONNX gives an attribute that is absent. */
const ALPHA = { LeakyRelu: 0.01, Elu: 1, ThresholdedRelu: 1, HardSigmoid: 0.2 } as const;

/** `x < 0 ? alpha x : x` */
export const leakyRelu: Unary = (x, node) =>
  tf.leakyRelu(x, Math.fround(floatAttribute(node, "alpha", ALPHA.LeakyRelu)));

/** `x < 0 ? alpha (e^x - 1) : x` */
export const elu: Unary = (x, node) => {
  const alpha = floatAttribute(node, "alpha", ALPHA.Elu);
  if (alpha === 1) return tf.elu(x);
  return tf.add(tf.relu(x), tf.mul(tf.elu(tf.minimum(x, 0)), alpha));
};

/** `x > alpha ? x : 0` */
export const thresholdedRelu: Unary = (x, node) => {
  const alpha = floatAttribute(node, "alpha", ALPHA.ThresholdedRelu);
  return tf.where(greater(x, tf.scalar(alpha)), x, tf.zerosLike(x));
};

/** `min(max(alpha x + beta, 0), 1)` */
export const hardSigmoid: Unary = (x, node) => {
  const alpha = floatAttribute(node, "alpha", ALPHA.HardSigmoid);
  const beta = floatAttribute(node, "beta", 0.5);
  return tf.clipByValue(tf.add(tf.mul(x, alpha), beta), 0, 1);
};

/** `x min(max(x / 6 + 1 / 2, 0), 1)` */
export const hardSwish: Unary = (x) => tf.mul(x, tf.clipByValue(tf.add(tf.div(x, 6), 0.5), 0, 1));

/** `x / (1 + |x|)` */
export const softsign: Unary = (x) => tf.div(x, tf.add(tf.abs(x), 1));

/** `x tanh(log(1 + e^x))` */
export const mish: Unary = (x) => tf.mul(x, tf.tanh(tf.softplus(x)));

/** `x / (1 + e^-x)` */
export const swish: Unary = (x) => tf.mul(x, tf.sigmoid(x));

/** `x / 2 (1 + erf(x / sqrt(2)))`, or its approximation by tanh (ONNX Gelu) */
export const gelu: Unary = (x, node) => {
  const gate =
    stringAttribute(node, "approximate", "none") === "tanh"
      ? tf.tanh(tf.mul(tf.add(x, tf.mul(tf.mul(tf.mul(x, x), x), 0.044715)), Math.sqrt(2 / Math.PI)))
      : tf.erf(tf.mul(x, Math.SQRT1_2));
  return tf.mul(tf.mul(x, 0.5), tf.add(gate, 1));
};

/** `x < threshold ? negative_slope (x - threshold) : min(x, max_value)` (qdg) */
export const generalRelu: Unary = (x, node) => {
  const threshold = floatAttribute(node, "threshold", 0);
  const slope = floatAttribute(node, "negative_slope", 0);
  const max = floatAttribute(node, "max_value", Number.POSITIVE_INFINITY);
  const upper = Number.isFinite(max) ? tf.minimum(x, max) : x;
  return tf.where(less(x, tf.scalar(threshold)), tf.mul(tf.sub(x, threshold), slope), upper);
};

/** `min(max(x, low), high)`, a bound left out does nothing (ONNX Clip). */
export const clip: Op = (node, inputs, constants) => {
  const { tensor, layout } = inputAt(node, inputs, 0);
  const low = boundOf(inputs[1]?.tensor, constants, 1);
  const high = boundOf(inputs[2]?.tensor, constants, 2);
  if (low === 0 && high === 6) return [{ tensor: relu6(tensor), layout }];
  if (typeof low === "number" && typeof high === "number" && low < high) {
    return [{ tensor: tf.clipByValue(tensor, low, high), layout }];
  }
  // In this order ONNX defines low > high: the result is high.
  const raised = low === null ? tensor : tf.maximum(tensor, low);
  return [{ tensor: high === null ? raised : tf.minimum(raised, high), layout }];
};

function boundOf(
  computed: tf.Tensor | undefined,
  constants: Constants,
  index: number,
): number | tf.Tensor | null {
  const constant = constants(index);
  return constant ? Number(constant.data[0]) : (computed ?? null);
}

/** `x < 0 ? fl(slope x) : x`, the slope broadcast to x (ONNX PRelu). */
export const prelu: Op = (node, inputs) => {
  const { tensors, layout } = aligned([inputAt(node, inputs, 0), inputAt(node, inputs, 1)]);
  const [x, slope] = tensors as [tf.Tensor, tf.Tensor];
  return [{ tensor: tf.where(less(x, tf.scalar(0)), tf.mul(x, slope), x), layout }];
};
