// Weights between the graph's order of axes and that of tfjs's kernels: exact permutations of what the weight
// input of Conv, ConvTranspose, Gemm and MatMul holds. No arithmetic here.

import * as tf from "@tensorflow/tfjs";
import { type Tensor, tensor, transpose } from "../../base/tensor.js";
import { intAttribute, type Node } from "../../graph/graph.js";
import { type HeldTensor, invalid, permuted, unsupported } from "./op.js";

/** A weight as tfjs's kernels take it. */
export interface Kernel {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/**
 * | node | graph | kernel |
 * |---|---|---|
 * | Conv | [K, C, R, S] | [R, S, C, K] |
 * | Conv, a group a channel | [C M, 1, R, S] | [R, S, C, M] |
 * | ConvTranspose | [C, K, R, S] | [R, S, K, C] |
 * | Gemm, transB | [K, C] | [C, K] |
 * | Gemm, MatMul | [C, K] | [C, K] |
 *
 * With one or three axes of space as with two: [K, C, S] is [S, C, K].
 *
 * @throws QdgError `unsupported-layer` for convolutions in groups of several channels
 */
export function kernelLayout(node: Node, weight: Tensor<"float32">): Kernel {
  const { split, order } = rearrangement(node, weight.shape);
  const { shape, data } = transpose(tensor("float32", split, weight.data), order);
  return { shape, data };
}

/** The way back: the elements of a kernel in the order of the graph's weight. @param shape of that weight */
export function weightLayout(node: Node, shape: readonly number[], kernel: Float32Array): Tensor<"float32"> {
  const { split, order } = rearrangement(node, shape);
  const moved = tensor(
    "float32",
    order.map((axis) => split[axis] as number),
    kernel,
  );
  const back = order.map((_, axis) => order.indexOf(axis));
  return { ...transpose(moved, back), shape };
}

/** The weight input of a node as tfjs's kernels take it; nothing moves when it is held so. */
export function kernelTensor(node: Node, held: HeldTensor): tf.Tensor {
  if (held.layout === "kernel") return held.tensor;
  if (held.layout !== "as-is") throw invalid(node, "the weight is held as an activation");
  const { split, order } = rearrangement(node, held.tensor.shape);
  return permuted(tf.reshape(held.tensor, [...split]), order);
}

/** Filters a channel of a convolution with one group a channel; null for one with a single group. */
export function depthwise(node: Node): boolean {
  return node.op === "Conv" && intAttribute(node, "group", 1) > 1;
}

/** The weight's axes with filters apart from channels, and where each axis of the kernel comes from in them. */
function rearrangement(
  node: Node,
  shape: readonly number[],
): { readonly split: readonly number[]; readonly order: readonly number[] } {
  const rank = shape.length;
  const space = Array.from({ length: rank - 2 }, (_, axis) => axis + 2);
  const group = intAttribute(node, "group", 1);
  switch (node.op) {
    case "Conv": {
      const [filters = 0, channels = 0, ...window] = shape;
      if (group === 1) return { split: shape, order: [...space, 1, 0] };
      if (channels !== 1 || filters % group !== 0) {
        throw unsupported(node, `convolutions in ${group} groups of ${channels} channels`);
      }
      return { split: [group, filters / group, ...window], order: [...space, 0, 1] };
    }
    case "ConvTranspose":
      if (group !== 1) throw unsupported(node, `transposed convolutions in ${group} groups`);
      return { split: shape, order: [...space, 1, 0] };
    case "Gemm":
      return { split: shape, order: intAttribute(node, "transB", 0) === 1 ? [1, 0] : [0, 1] };
    case "MatMul":
      return { split: shape, order: shape.map((_, axis) => axis) };
    default:
      throw invalid(node, "has no weight in a layout of its own");
  }
}
