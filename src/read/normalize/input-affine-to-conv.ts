// Factors and offsets of the image that a network begins with go into the weights of its first convolution, so that the image
// itself is what is quantized: its scale is known from the preprocessing.

import { float32, type Tensor } from "../../base/tensor.js";
import {
  type Dim,
  type Graph,
  intAttribute,
  intsAttribute,
  type Node,
  outputOf,
  stringAttribute,
  type Value,
} from "../../graph/graph.js";
import { type Affine, affineOf } from "./affine-to-batch-norm.js";
import { rewrite, type RewriteTools } from "./rewrite.js";

/**
 * `Conv(x * a + b, w, c) = Conv(x, w * a, c + sum of w * b)`, a and b constant by channel or one number, x an input of the graph, with
 * transposes between or without. A padded convolution takes factors only: an offset does not act on zeros around the image. What has
 * one stays as it is, factors too, since the image would not be what is quantized.
 */
export function inputAffineToConv(graph: Graph): Graph {
  return rewrite(graph, (node, tools) => {
    const weight = node.inputs[1]?.constant;
    const bias = node.inputs[2];
    if (node.op !== "Conv" || node.domain !== "" || weight?.dtype !== "float32") return null;
    if (bias && bias.constant?.dtype !== "float32") return null;
    const found = affineInput(node, tools);
    if (!found) return null;
    const group = intAttribute(node, "group", 1);
    const [filters = 0, channels = 0] = weight.shape;
    if (found.factor.length !== channels * group || filters % group !== 0) return null;
    const moves = found.offset.some((b) => b !== 0);
    if (moves && isPadded(node)) return null;
    const { kernel, sums } = folded(weight, group, found);
    const y = outputOf(node);
    const turned = found.perm.some((axis, i) => axis !== i);
    const image = turned
      ? tools.inner(
          y,
          "image",
          found.perm.map((axis) => found.x.shape[axis] as Dim),
        )
      : found.x;
    const turn = turned ? [tools.node(node, "Transpose", [found.x], image, { perm: found.perm })] : [];
    const own = bias?.constant?.data as Float32Array | undefined;
    const added = sums.map((sum, k) => sum + (own?.[k] ?? 0));
    const inputs = [
      image,
      tools.constant(`${node.origin}/kernel`, float32(weight.shape, kernel)),
      ...(moves
        ? [tools.constant(`${node.origin}/bias`, float32([sums.length], added))]
        : bias
          ? [bias]
          : []),
    ];
    return [...turn, tools.node(node, "Conv", inputs, y, node.attributes)];
  });
}

/** `w * a` by channel, and the sum of `w * b` for each filter, in float64 until it is written. */
function folded(
  weight: Tensor,
  group: number,
  { factor, offset }: AffineInput,
): { readonly kernel: Float32Array; readonly sums: readonly number[] } {
  const [filters = 0, channels = 0, ...window] = weight.shape;
  const size = window.reduce((a, b) => a * b, 1);
  const kernel = Float32Array.from(weight.data as Float32Array);
  const sums = Array.from({ length: filters }, (_, k) => {
    const first = Math.floor(k / (filters / group)) * channels;
    let sum = 0;
    for (let c = 0; c < channels; c++) {
      const [a, b] = [factor[first + c] as number, offset[first + c] as number];
      for (let at = (k * channels + c) * size, end = at + size; at < end; at++) {
        sum += (kernel[at] as number) * b;
        kernel[at] = (kernel[at] as number) * a;
      }
    }
    return sum;
  });
  return { kernel, sums };
}

interface AffineInput {
  readonly x: Value;
  /** Of all transposes between x and the convolution, one after the other. */
  readonly perm: readonly number[];
  /** One for each channel. */
  readonly factor: readonly number[];
  readonly offset: readonly number[];
}

/** What a convolution computes from, where that is an input of the graph with factors and offsets that nothing else reads. */
function affineInput(conv: Node, tools: RewriteTools): AffineInput | null {
  let value = conv.inputs[0] ?? null;
  let reader = conv;
  let perm = value?.shape.map((_, axis) => axis) ?? [];
  /** Whether an affine function that comes next stays where it is: something else reads it, or its result is rounded. */
  let isFixed = false;
  let found: AffineInput | null = null;
  while (value?.producer) {
    const node: Node = value.producer;
    isFixed ||= tools.onlyReader(value) !== reader;
    reader = node;
    [value = null] = node.inputs;
    if (node.op === "Cast") isFixed = true;
    else if (node.op === "Transpose") {
      const order = intsAttribute(node, "perm") ?? perm.map((_, axis) => perm.length - 1 - axis);
      perm = perm.map((axis) => order[axis] as number);
    } else {
      const affine = affineOf(node, perm[1]);
      if (!affine || isFixed) return null;
      found = composed(found, affine, perm);
      value = affine.x;
    }
  }
  return value && !value.constant && found && isFinite(found) ? found : null;
}

/** `factor * (affine.factor * x + affine.offset) + offset` */
function composed(after: AffineInput | null, affine: Affine, perm: readonly number[]): AffineInput {
  const factors = Array.from(affine.factor);
  const factorOf = (c: number): number => after?.factor[c] ?? 1;
  return {
    x: affine.x,
    perm,
    factor: factors.map((a, c) => factorOf(c) * a),
    offset: factors.map((_, c) => (after?.offset[c] ?? 0) + factorOf(c) * (affine.offset[c] as number)),
  };
}

function isFinite({ factor, offset }: AffineInput): boolean {
  return [...factor, ...offset].every(Number.isFinite);
}

function isPadded(conv: Node): boolean {
  const autoPad = stringAttribute(conv, "auto_pad", "NOTSET");
  const isSame = autoPad !== "NOTSET" && autoPad !== "VALID";
  return isSame || (intsAttribute(conv, "pads")?.some((pad) => pad !== 0) ?? false);
}
