// Operations of the patterns that ONNX Runtime computes as one integer kernel.

import type { Tensor } from "../base/tensor.js";
import { allocate } from "../base/tensor.js";
import { convGeometry, poolGeometry, transposedWindows } from "../compute/geometry.js";
import type {
  IntegerPattern,
  Operand,
  PairPattern,
  PoolPattern,
  Target,
  WeightedPattern,
} from "../compute/integer-patterns.js";
import { whereOf } from "../compute/kernel.js";
import { type Window, volumeOf } from "../compute/window.js";
import { intAttribute, type Node, type Value } from "../graph/graph.js";
import { requantizeMultiplier } from "../quant/affine.js";
import type { Bytes } from "./bytes.js";
import type { Limits } from "./operations/operation.js";
import { meanOfWindows, totalOfPositions } from "./operations/pools.js";
import type { Windows } from "./operations/positions.js";
import { fusedAdd, product } from "./operations/two-images.js";
import { realSum, undivided, type WeightedSum, weightedSum } from "./operations/weighted-sum.js";
import { factorsOf, operandsOf, type Raising, refused } from "./raising.js";
import { convolutionWindows, poolWindows } from "./stacks.js";

const f = Math.fround;

export function raisePattern(pattern: IntegerPattern, raising: Raising): Bytes {
  if (pattern.kind === "weighted") return raiseWeighted(pattern, raising);
  if ("a" in pattern) return raisePair(pattern, raising);
  return raiseAverage(pattern, raising);
}

/** @throws QdgError `unsupported-op` for integers other than uint8 */
function limitsOf({ dtype, low, high, floor, zeroPoint }: Target, node: Node): Limits {
  if (dtype !== "uint8") throw refused(whereOf(node), `quantization to ${dtype}`);
  return { low: Math.max(low, floor), high, zeroPoint };
}

function zeroOf(operand: Operand): number {
  return operand.zeroPoint[0] as number;
}

function raiseWeighted(pattern: WeightedPattern, raising: Raising): Bytes {
  const { node, outputs, target, x, w } = pattern;
  const limits = limitsOf(target as Target, node);
  const scaleY = (target as Target).scale;
  const sum = weightedSumOf(
    pattern,
    raising,
    (scaleW) => requantizeMultiplier(x.scale[0] as number, scaleW, scaleY),
    w,
  );
  const output = outputs[0] as Value;
  const y = raising.create(output, outputAxisOf(node, output), limits);
  raising.add(weightedSum(undivided(sum), y, limits));
  return y;
}

/** The same to float32: `fl(fl(acc) * fl(s_x * s_w[k]))`. */
export function realWeightedSum(pattern: WeightedPattern, value: Value, raising: Raising): void {
  const { node, x, w } = pattern;
  const sum = weightedSumOf(pattern, raising, (scaleW) => f((x.scale[0] as number) * scaleW), w);
  raising.add(realSum(undivided(sum), value, raising.shapeOf(value), outputAxisOf(node, value)));
}

function weightedSumOf(
  { node, x, bias }: WeightedPattern,
  raising: Raising,
  multiplierOf: (scaleW: number) => number,
  w: WeightedPattern["w"],
): WeightedSum {
  const stored = raising.constants.get(w.q);
  if (!stored) throw refused(whereOf(node), "weights that are computed");
  const { weights, K } = weightsByOutput(node, stored);
  if (bias && bias.length !== K) throw refused(whereOf(node), `a bias of ${bias.length} for ${K} outputs`);
  const image = raising.bytesAlong(x.q, inputAxisOf(node, x.q));
  return {
    where: whereOf(node),
    zeroX: zeroOf(x),
    ...windowsOf(node, image, stored.shape, zeroOf(x), raising),
    group: intAttribute(node, "group", 1),
    weights: centredWeights(node, weights, K, w),
    bias: bias ?? new Int32Array(K),
    multiplier: new Float32Array(K).map((_, k) =>
      multiplierOf(w.scale[w.scale.length > 1 ? k : 0] as number),
    ),
  };
}

/** Weights less their zero points. */
function centredWeights(node: Node, weights: ArrayLike<number>, K: number, w: Operand): Int8Array {
  if (weights instanceof Int8Array && Array.prototype.every.call(w.zeroPoint, (zero) => zero === 0))
    return weights;
  const count = weights.length / K;
  const centred = new Int8Array(weights.length);
  for (let k = 0; k < K; k++) {
    const zeroPoint = zeroOfChannel(w, k);
    for (let i = k * count; i < (k + 1) * count; i++) {
      const weight = (weights[i] as number) - zeroPoint;
      if (weight < -128 || weight > 127) throw refused(whereOf(node), `a weight of ${weight}`);
      centred[i] = weight;
    }
  }
  return centred;
}

function zeroOfChannel({ zeroPoint }: Operand, k: number): number {
  return zeroPoint[zeroPoint.length > 1 ? k : 0] as number;
}

/** The axis that a weighted node sums over. */
export function inputAxisOf(node: Node, x: Value): number {
  return node.op === "MatMul" ? x.shape.length - 1 : 1;
}

/** The axis that the sums of a weighted node are told apart by. */
export function outputAxisOf(node: Node, output: Value): number {
  return node.op === "MatMul" ? output.shape.length - 1 : 1;
}

/** Weights in the order [K, C / group, ...window]. */
export function weightsByOutput(
  node: Node,
  stored: Tensor,
): { readonly weights: ArrayLike<number>; readonly K: number } {
  if (node.op === "ConvTranspose") return weightsOfTransposed(node, stored);
  const byRows = node.op === "Conv" || intAttribute(node, "transB", 0) !== 0;
  if (node.op !== "Conv" && stored.shape.length !== 2) {
    throw refused(whereOf(node), `a product with [${stored.shape.join(", ")}]`);
  }
  const K = stored.shape[byRows ? 0 : 1] as number;
  const data = stored.data as Int8Array | Uint8Array | Float32Array;
  if (byRows) return { weights: data, K };
  const count = data.length / K;
  const weights = allocate(stored.dtype as "int8" | "uint8" | "float32", data.length);
  for (let k = 0; k < K; k++) {
    for (let i = 0; i < count; i++) weights[k * count + i] = data[i * K + k] as number;
  }
  return { weights, K };
}

/** [C, K / group, ...window] to [K, C / group, ...window]. */
function weightsOfTransposed(
  node: Node,
  { shape, data, dtype }: Tensor,
): { readonly weights: ArrayLike<number>; readonly K: number } {
  const [C = 0, perGroup = 0] = shape;
  const groups = intAttribute(node, "group", 1);
  const channels = C / groups;
  const elements = data.length / (C * perGroup);
  const K = perGroup * groups;
  const weights = allocate(dtype as "float32", data.length);
  for (let k = 0; k < K; k++) {
    const firstChannel = Math.floor(k / perGroup) * channels;
    for (let c = 0; c < channels; c++) {
      const from = ((firstChannel + c) * perGroup + (k % perGroup)) * elements;
      weights.set((data as Float32Array).subarray(from, from + elements), (k * channels + c) * elements);
    }
  }
  return { weights, K };
}

const POINT: Omit<Window, "size" | "outputSize"> = {
  kernel: 1,
  stride: 1,
  dilation: 1,
  padBegin: 0,
  padEnd: 0,
};

/** The windows of a weighted node, and the bytes that they are over; those of products of matrices are single positions. */
export function windowsOf(
  node: Node,
  x: Bytes,
  weights: readonly number[],
  zero: number,
  raising: Raising,
): { readonly x: Bytes; readonly windows: Windows } {
  if (node.op === "ConvTranspose") {
    const all = transposedWindows({ node, inputs: [] }, x.shape.slice(2), weights.slice(2));
    return { x, windows: volumeOf(all) };
  }
  if (node.op !== "Conv") {
    const { H, W } = x.storage;
    const rows = { ...POINT, size: H, outputSize: H };
    return { x, windows: { rows, columns: { ...POINT, size: W, outputSize: W } } };
  }
  return convolutionWindows(node, x, convGeometry({ node, inputs: [] }, x.shape, weights), zero, raising);
}

/** Whether a reduction [N, C, ...] is over all positions, which stay as axes of 1. */
export function reducesPositions(node: Node, x: Value, { constants }: Raising): boolean {
  const axes = node.inputs[1] && constants.get(node.inputs[1]);
  if (!axes) return false;
  const rank = x.shape.length;
  const listed = Array.from(axes.data as ArrayLike<number | bigint>, Number);
  const sorted = listed.map((axis) => (axis + rank) % rank).sort((a, b) => a - b);
  const positions = Array.from({ length: rank - 2 }, (_, axis) => axis + 2);
  return intAttribute(node, "keepdims", 1) === 1 && sorted.join() === positions.join();
}

function raisePair({ kind, node, a, b, target, outputs }: PairPattern, raising: Raising): Bytes {
  const limits = limitsOf(target, node);
  const output = outputs[0] as Value;
  const [left, right] = (kind === "mul" ? factorsOf : operandsOf)(raising, [a.q, b.q], output);
  const y = raising.create(output, left.channelAxis, limits);
  const where = whereOf(node);
  const [scaleA, scaleB] = [a.scale[0] as number, b.scale[0] as number];
  if (kind === "mul") {
    const multiplier = requantizeMultiplier(scaleA, scaleB, target.scale);
    const zeros = { zeroA: zeroOf(a), zeroB: zeroOf(b) };
    raising.add(product({ where, a: left, b: right, ...zeros, multiplier, zeroPointFirst: true }, y, limits));
    return y;
  }
  const ratioA = f(scaleA / target.scale);
  const ratioB = f(scaleB / target.scale);
  const offset = f(target.zeroPoint - f(f(ratioA * zeroOf(a)) + f(ratioB * zeroOf(b))));
  raising.add(fusedAdd({ where, a: left, b: right, ratioA, ratioB, offset }, y, limits));
  return y;
}

function raiseAverage({ kind, node, x, target, outputs }: PoolPattern, raising: Raising): Bytes {
  const limits = limitsOf(target, node);
  const image = raising.bytesAlong(x.q, 1);
  const y = raising.create(outputs[0] as Value, 1, limits);
  const where = whereOf(node);
  const scaleX = x.scale[0] as number;
  if (kind === "global-average") {
    const count = (image.storage.H / (image.shape[0] as number)) * image.storage.W;
    const multiplier = f(scaleX / f(target.scale * count));
    raising.add(totalOfPositions({ where, x: image, zeroX: zeroOf(x), multiplier }, y, limits));
    return y;
  }
  const windows = poolWindows(image, poolGeometry({ node, inputs: [] }, image.shape));
  const includePad = intAttribute(node, "count_include_pad", 0) !== 0;
  const mean = { where, x: image, windows, zeroX: zeroOf(x), scaleX, scaleY: target.scale, includePad };
  raising.add(meanOfWindows(mean, y, limits));
  return y;
}
