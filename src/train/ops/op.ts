// What an operator is in training: a function of tfjs tensors with gradients, and the order of axes in which a
// tensor of the graph is held. Orders change here and nowhere else, so that no operator gets them wrong.

import * as tf from "@tensorflow/tfjs";
import { QdgError } from "../../base/error.js";
import type { Tensor } from "../../base/tensor.js";
import type { Node } from "../../graph/graph.js";
import type { Layout } from "../../image/to-tensor.js";

/**
 * A value of the graph as tfjs holds it.
 * - `channels-last`: the graph's axes [N, C, ...space] stand as [N, ...space, C]
 * - `as-is`: the graph's own order
 * - `kernel`: a weight in the layout of tfjs's own kernels (kernel-layout.ts)
 *
 * Below rank 3 the first two are one, and are called `as-is`.
 */
export interface HeldTensor {
  readonly tensor: tf.Tensor;
  readonly layout: "as-is" | "channels-last" | "kernel";
}

/** The constant of input `index` where the graph has one: shapes, axes, pads, bounds. */
export type Constants = (index: number) => Tensor | undefined;

/**
 * An operator on tfjs's current backend, inside whatever tape and tidy the caller has open.
 *
 * @param inputs one entry an input of the node, null where it is left out or is read by `constants` alone
 * @returns one entry an output of the node
 * @throws QdgError `unsupported-layer` naming the layer, for what it does not compute
 */
export type Op = (node: Node, inputs: readonly (HeldTensor | null)[], constants: Constants) => HeldTensor[];

/** Images as tfjs feeds them, [N, H, W, C], as a graph with this order of axes has them. */
export function heldImages(x: tf.Tensor, layout: Layout): HeldTensor {
  return { tensor: x, layout: layout === "nchw" ? "channels-last" : "as-is" };
}

/** A tensor with its order of axes. */
export function hold(tensor: tf.Tensor, layout: "as-is" | "channels-last"): HeldTensor {
  return { tensor, layout: tensor.rank < 3 ? "as-is" : layout };
}

/** [N, C, ...space] as [N, ...space, C]; nothing moves when it is held so. */
export function channelsLast(held: HeldTensor): tf.Tensor {
  const { tensor, layout } = activation(held);
  return layout === "channels-last" ? tensor : permuted(tensor, channelsLastOrder(tensor.rank));
}

/** The tensor in the graph's order; nothing moves when it is held so. */
export function asIs(held: HeldTensor): tf.Tensor {
  const { tensor, layout } = activation(held);
  return layout === "as-is" ? tensor : permuted(tensor, channelsFirstOrder(tensor.rank));
}

function activation(held: HeldTensor): HeldTensor {
  if (held.layout !== "kernel") return held;
  throw new QdgError("internal", "ops", "a weight in kernel layout was read as an activation");
}

/** Where each axis of [N, ...space, C] stands in [N, C, ...space]. */
export function channelsLastOrder(rank: number): number[] {
  const axes = Array.from({ length: rank }, (_, axis) => axis);
  return rank < 3 ? axes : [0, ...axes.slice(2), 1];
}

/** Where each axis of [N, C, ...space] stands in [N, ...space, C]. */
export function channelsFirstOrder(rank: number): number[] {
  const axes = Array.from({ length: rank }, (_, axis) => axis);
  return rank < 3 ? axes : [0, rank - 1, ...axes.slice(1, -1)];
}

/** As ONNX Transpose. Nothing is copied where only axes of size 1 move past others. */
export function permuted(x: tf.Tensor, permutation: readonly number[]): tf.Tensor {
  if (isRising(permutation)) return x;
  const shape = permutation.map((axis) => x.shape[axis] as number);
  if (isRising(permutation.filter((axis) => x.shape[axis] !== 1))) return tf.reshape(x, shape);
  return tf.transpose(x, [...permutation]);
}

function isRising(list: readonly number[]): boolean {
  return list.every((axis, i) => i === 0 || axis > (list[i - 1] as number));
}

/** Where an axis of the graph, counted from either end, stands in the tensor. */
export function heldAxis(node: Node, held: HeldTensor, axis: number): number {
  const { rank } = held.tensor;
  const own = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(own) || own < 0 || own >= rank) {
    throw invalid(node, `axis: got ${axis}, expected ${-rank}..${rank - 1}`);
  }
  return held.layout === "channels-last" ? channelsLastOrder(rank).indexOf(own) : own;
}

/**
 * Operands that tfjs broadcasts as ONNX does: one order of axes, channels last where the operand of the highest
 * rank is held so, and then one rank (scalars aside).
 */
export function aligned(operands: readonly HeldTensor[]): {
  readonly tensors: readonly tf.Tensor[];
  readonly layout: HeldTensor["layout"];
} {
  const layouts = new Set(operands.map(({ layout }) => layout));
  const tensors = operands.map(({ tensor }) => tensor);
  const [first] = layouts;
  if (layouts.size === 1 && first === "kernel") return { tensors, layout: first };
  const rank = Math.max(...tensors.map((tensor) => tensor.rank));
  if (!operands.some((held) => held.layout === "channels-last" && held.tensor.rank === rank)) {
    return { tensors: operands.map(asIs), layout: "as-is" };
  }
  return {
    tensors: operands.map((held) => {
      const missing = rank - held.tensor.rank;
      if (missing === 0) return channelsLast(held);
      const own = asIs(held);
      if (own.rank === 0) return own;
      const tensor = tf.reshape(own, [...Array<number>(missing).fill(1), ...own.shape]);
      return channelsLast({ tensor, layout: "as-is" });
    }),
    layout: "channels-last",
  };
}

/**
 * The tensor broadcast to a shape, as a sum with zeros. For operators whose gradient in tfjs does not sum over the
 * axes that were broadcast; that of a sum does, at every rank.
 */
export function spread(x: tf.Tensor, shape: readonly number[]): tf.Tensor {
  const fits = x.rank === shape.length && x.shape.every((dim, axis) => dim === shape[axis]);
  return fits ? x : tf.add(x, tf.zeros([...shape], x.dtype === "int32" ? "int32" : "float32"));
}

/**
 * A function that gradients stop at: a comparison, whose gradient tfjs would ask for wherever a choice by it has one,
 * and does not find.
 */
export function withoutGradient<Operands extends tf.Tensor[]>(
  compute: (...operands: Operands) => tf.Tensor,
): (...operands: Operands) => tf.Tensor {
  const stopped = tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const operands = args.slice(0, -1) as Operands;
    const shapes = operands.map(({ shape }) => shape);
    return { value: compute(...operands), gradFunc: () => shapes.map((shape) => tf.zeros(shape)) };
  });
  return (...operands) => stopped(...operands);
}

/** The shape that two shapes broadcast to. @throws QdgError `invalid-graph` when they do not */
export function commonShape(node: Node, a: readonly number[], b: readonly number[]): number[] {
  try {
    return tf.broadcast_util.assertAndGetBroadcastShape([...a], [...b]);
  } catch {
    throw invalid(node, `shapes [${a.join(", ")}] and [${b.join(", ")}] do not broadcast`);
  }
}

/** The input at `index`. @throws QdgError `invalid-graph` when it is left out */
export function inputAt(node: Node, inputs: readonly (HeldTensor | null)[], index: number): HeldTensor {
  const input = inputs[index];
  if (!input) throw invalid(node, `input ${index} is missing`);
  return input;
}

/** All inputs, none left out. */
export function allInputs(node: Node, inputs: readonly (HeldTensor | null)[]): HeldTensor[] {
  return inputs.map((_, index) => inputAt(node, inputs, index));
}

/** A constant list of integers, or null when the input is left out. @throws QdgError when it is computed */
export function optionalInts(node: Node, constants: Constants, index: number): number[] | null {
  const constant = constants(index);
  if (constant) return Array.from(constant.data as ArrayLike<number | bigint>, Number);
  if (!node.inputs[index]) return null;
  throw unsupported(node, `input ${index}, which is computed as the network runs; expected a constant`);
}

/** A constant list of integers. @throws QdgError when it is left out or computed */
export function intsAt(node: Node, constants: Constants, index: number): number[] {
  const list = optionalInts(node, constants, index);
  if (!list) throw invalid(node, `input ${index} is missing`);
  return list;
}

export function invalid(node: Node, what: string): QdgError {
  return new QdgError("invalid-graph", `${node.origin} (${node.op})`, what);
}

/** The error for what no gradient is written for. */
export function unsupported(node: Node, what: string): QdgError {
  return new QdgError(
    "unsupported-layer",
    `${node.origin} (${node.op})`,
    `training does not compute ${what}; replace the layer, or quantize the trained model with qdg-export`,
  );
}
