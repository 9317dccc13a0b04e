// Sums over integer-valued float32 and what becomes of them: shared by the float form, which holds all
// integers so, and by the integer form for sums that no integer kernel computes.

import { float32, sizeOf } from "../base/tensor.js";
import type { Node, Value } from "../graph/graph.js";
import { outputOf } from "../graph/graph.js";
import { isPowerOfTwo, requantizeMultiplier } from "../quant/affine.js";
import type { Quantization } from "../quant/spec.js";
import type { Emitter } from "./emitter.js";
import type { Bounds, Sum, WeightStorage } from "./form.js";
import type { QuantizedWeights } from "./quantized-weights.js";
import { storeWeights } from "./stored-weights.js";

/** Sums stay below it; a clamp to it changes nothing, but keeps the runtime from folding what follows. */
const EXACT_LIMIT = 2 ** 24;

/**
 * The integer sum of a weighted node over integer-valued float32 input, with the bias in parts of an integer. Where every multiplier to the
 * quantizer that follows is a power of two, weights and bias are multiplied by it: the sum stays exact, and
 * needs no multiplication of its own.
 */
export function exactWeightedSum(
  emitter: Emitter,
  storage: WeightStorage,
  node: Node,
  x: Value,
  scaleX: number,
  weights: QuantizedWeights,
  quantizer: Quantization | null,
): Sum {
  const { scale, bias, resolution } = weights;
  const multiplier = quantizer && multiplierTo(quantizer, scaleX, scale);
  const powers = multiplier?.every(isPowerOfTwo) ? multiplier : null;
  const offset = bias && Float32Array.from(bias, (q, k) => (q / resolution) * (powers?.[k] ?? 1));
  const value = weightedValue(emitter, storage, node, x, weights, powers, offset);
  const channelRank = node.op === "Conv" || node.op === "ConvTranspose" ? value.shape.length - 1 : 1;
  return powers ? { kind: "scaled", value } : { kind: "exact", value, scaleX, scale, channelRank };
}

/**
 * `sum (q_w[k] * factor[k]) x + offset[k]`. The weights are unpacked and multiplied where the file is loaded.
 *
 * @param factor null for 1
 */
export function weightedValue(
  emitter: Emitter,
  storage: WeightStorage,
  node: Node,
  x: Value,
  { integers, shape, bits, axis }: QuantizedWeights,
  factor: Float32Array | null,
  offset: Float32Array | null,
): Value {
  const layer = node.origin;
  const stored = storeWeights(emitter, integers, shape, bits, storage, layer);
  let kernel = emitter.node("Cast", layer, [stored.value], { shape }, { to: 1 });
  if (stored.zeroPoint !== 0) {
    kernel = emitter.node("Sub", layer, [kernel, emitter.float(stored.zeroPoint)], { shape });
  }
  if (factor) {
    const along = shape.map((_, index) => (index === axis ? factor.length : 1));
    kernel = emitter.node("Mul", layer, [kernel, emitter.constant(float32(along, factor))], { shape });
  }
  const inputs = [x, kernel];
  if (offset) inputs.push(emitter.constant(float32([offset.length], offset)));
  return emitter.node(node.op, layer, inputs, { shape: outputOf(node).shape }, node.attributes);
}

/** `m[k] = fl(fl(scaleX * scale[k]) / scaleY)`. */
export function multiplierTo(quantization: Quantization, scaleX: number, scale: Float32Array): Float32Array {
  const scaleY = quantization.params.scale[0] as number;
  return scale.map((scaleW) => requantizeMultiplier(scaleX, scaleW, scaleY));
}

/** The sum of integer-valued operands that share a scale, or `share` of it: 1 / n for their mean. */
export function exactAdd(
  emitter: Emitter,
  node: Node,
  operands: readonly [Value, ...Value[]],
  scaleX: number,
  share = 1,
): Sum {
  const { shape } = outputOf(node);
  const [first, ...rest] = operands;
  const value = rest.reduce(
    (sum, operand) => emitter.node("Add", node.origin, [sum, operand], { shape }),
    first,
  );
  return { kind: "exact", value, scaleX, scale: Float32Array.of(share), channelRank: 0 };
}

/** The product of two integer-valued operands, element by element (Mul) or as matrices (MatMul). */
export function exactProduct(
  emitter: Emitter,
  node: Node,
  [a, b]: readonly [Value, Value],
  scaleA: number,
  scaleB: number,
): Sum {
  const value = emitter.node(node.op, node.origin, [a, b], { shape: outputOf(node).shape });
  return { kind: "exact", value, scaleX: scaleA, scale: Float32Array.of(scaleB), channelRank: 0 };
}

/** Sum over the positions, their number fixed; the scale is that of the input over it. */
export function exactGlobalAverage(emitter: Emitter, node: Node, x: Value, scaleX: number): Sum {
  const spatial = x.shape.slice(2);
  const count = sizeOf(spatial as readonly number[]);
  const axes = emitter.ints(spatial.map((_, index) => index + 2));
  const value = emitter.node(
    "ReduceSum",
    node.origin,
    [x, axes],
    { shape: outputOf(node).shape },
    { keepdims: 1 },
  );
  return { kind: "exact", value, scaleX, scale: Float32Array.of(1 / count), channelRank: 0 };
}

/**
 * `fl(acc * m[k])`, `m = fl(fl(scaleX * scale[k]) / scaleY)`, with a clamp between a weighted sum and the
 * product: without it the runtime would fold m into the weights, and sums would no longer be integers. Where
 * nothing below zero is left in the end, the clamp is a Relu.
 *
 * @param alwaysRectify a Relu after sums that nothing is folded into as well, so that no lower end is left to clip
 */
export function scaledExactly(
  emitter: Emitter,
  sum: Sum & { kind: "exact" },
  quantization: Quantization,
  bounds: Bounds,
  layer: string,
  alwaysRectify = true,
): Value {
  const multiplier = multiplierTo(quantization, sum.scaleX, sum.scale);
  const rectified = bounds.low === quantization.params.zeroPoint[0] && multiplier.every((m) => m > 0);
  const guarded =
    rectified && (alwaysRectify || isFoldedInto(sum.value))
      ? relu(emitter, sum.value, layer)
      : guard(emitter, sum.value, layer);
  return multiply(emitter, guarded, perChannel(multiplier, sum.channelRank), layer);
}

/** `fl(acc * fl(scaleX * scale[k]))`. */
export function exactToReal(emitter: Emitter, sum: Sum, layer: string): Value {
  if (sum.kind !== "exact") return sum.value;
  const scale = sum.scale.map((scaleW) => scaleW * sum.scaleX);
  return multiply(emitter, guard(emitter, sum.value, layer), perChannel(scale, sum.channelRank), layer);
}

interface PerChannel {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Shape [1, K, 1, 1...], which runtimes broadcast faster than [K, 1, 1...]. */
function perChannel(data: Float32Array, channelRank: number): PerChannel {
  if (data.length === 1) return { shape: [], data };
  return { shape: [1, data.length, ...Array.from({ length: channelRank - 1 }, () => 1)], data };
}

function multiply(emitter: Emitter, value: Value, factor: PerChannel, layer: string): Value {
  const constant = emitter.constant(float32(factor.shape, factor.data));
  return emitter.node("Mul", layer, [value, constant], { shape: value.shape });
}

function relu(emitter: Emitter, value: Value, layer: string): Value {
  return emitter.node("Relu", layer, [value], { shape: value.shape });
}

/** Operators that a runtime may fold a multiplication into. They compute a clamp that follows at no cost. */
const FOLDING: ReadonlySet<string> = new Set(["Conv", "ConvTranspose", "Gemm", "MatMul"]);

function isFoldedInto(value: Value): boolean {
  return FOLDING.has(value.producer?.op ?? "");
}

function guard(emitter: Emitter, value: Value, layer: string): Value {
  if (!isFoldedInto(value)) return value;
  const limits = [emitter.float(-EXACT_LIMIT), emitter.float(EXACT_LIMIT)];
  return emitter.node("Clip", layer, [value, ...limits], { shape: value.shape });
}
