// Gemm and MatMul. Sums of integers below 2^24 come out exact on every backend.

import * as tf from "@tensorflow/tfjs";
import { floatAttribute, intAttribute, type Node } from "../../graph/graph.js";
import { addChannels } from "./convolution.js";
import { kernelTensor } from "./kernel-layout.js";
import {
  asIs,
  commonShape,
  type HeldTensor,
  hold,
  inputAt,
  invalid,
  type Op,
  spread,
  unsupported,
} from "./op.js";

/**
 * `y = alpha (A B) + beta bias` (ONNX Gemm): A [N, C] or its transpose, B [C, K] (in the graph [K, C] with
 * transB), bias [K] or what broadcasts to [N, K].
 */
export const gemm: Op = (node, inputs) => {
  const a = matrixOf(node, inputAt(node, inputs, 0));
  const kernel = kernelTensor(node, inputAt(node, inputs, 1));
  const alpha = floatAttribute(node, "alpha", 1);
  const beta = floatAttribute(node, "beta", 1);
  const product = tf.matMul(a, kernel, intAttribute(node, "transA", 0) !== 0);
  const scaled = alpha === 1 ? product : tf.mul(product, alpha);
  const bias = inputs[2];
  if (!bias || beta === 0) return [hold(scaled, "as-is")];
  const offset = beta === 1 ? asIs(bias) : tf.mul(asIs(bias), beta);
  const isRow = offset.rank === 1 && offset.size === kernel.shape[1];
  return [hold(isRow ? addChannels(scaled, offset) : tf.add(scaled, offset), "as-is")];
};

function matrixOf(node: Node, held: HeldTensor): tf.Tensor {
  const x = asIs(held);
  if (x.rank !== 2) throw invalid(node, `got an input of rank ${x.rank}, expected 2`);
  return x;
}

/** Products of matrices, batch axes broadcast (ONNX MatMul). */
export const matMul: Op = (node, inputs) => {
  const a = asIs(inputAt(node, inputs, 0));
  const b = kernelTensor(node, asOperand(inputAt(node, inputs, 1)));
  if (a.rank < 2 || b.rank < 2) throw unsupported(node, "products with a vector");
  if (b.rank === 2) {
    const rows = tf.reshape(a, [-1, a.shape[a.rank - 1] as number]);
    const y = tf.matMul(rows, b);
    return [hold(tf.reshape(y, [...a.shape.slice(0, -1), b.shape[1] as number]), "as-is")];
  }
  // tfjs's gradient of a product does not sum over batch axes that were broadcast.
  const batch = commonShape(node, a.shape.slice(0, -2), b.shape.slice(0, -2));
  const [left, right] = [a, b].map((x) => spread(x, [...batch, ...x.shape.slice(-2)]));
  return [hold(tf.matMul(left as tf.Tensor, right as tf.Tensor), "as-is")];
};

function asOperand(held: HeldTensor): HeldTensor {
  return held.layout === "kernel" ? held : hold(asIs(held), "as-is");
}
