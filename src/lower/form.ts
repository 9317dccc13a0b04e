// The interface between the walk over a graph and the ways to write integers into a file: on integer kernels
// (integer-form) and as integer-valued float32 (float-form, and webgpu-form for GPUs). Same integers in all.

import type { Node, Value } from "../graph/graph.js";
import { quantize } from "../quant/affine.js";
import type { Quantization } from "../quant/spec.js";
import { qmax, qmin } from "../quant/spec.js";
import type { QuantizedWeights } from "./quantized-weights.js";

/** How weights below 8 bits are stored: bit-planes, int4 (up to 4 bits) or one byte each. */
export const WEIGHT_STORAGES = ["packed", "int4", "int8"] as const;
export type WeightStorage = (typeof WEIGHT_STORAGES)[number];

/** Forms of a file for cpu and wasm; either runs there, one is faster. */
export const HOST_FORMS = ["integer", "float"] as const;
export type HostForm = (typeof HOST_FORMS)[number];

/** An activation as integers in the lowered graph. What `value` holds is the form's own business. */
export interface Integers {
  readonly value: Value;
  readonly quantization: Quantization;
}

/** The integers that remain after a rectifier: a part of qmin..qmax. */
export interface Bounds {
  readonly low: number;
  readonly high: number;
}

/**
 * A result that waits for its quantizer.
 * `real`: a float value that the runtime fuses with the QuantizeLinear to come.
 * `exact`: a float value that holds an integer sum; it stands for `sum * scale[k]`. `channelRank` is the
 * number of axes from the channel axis to the last.
 * `scaled`: the sum times its multiplier already, exact because that is a power of two.
 * `stepped`: a float value whose Floor, clipped, is the integer of the quantizer that follows.
 */
export type Sum =
  | { readonly kind: "real"; readonly value: Value }
  | { readonly kind: "scaled"; readonly value: Value }
  | { readonly kind: "stepped"; readonly value: Value }
  | {
      readonly kind: "exact";
      readonly value: Value;
      /** Factors whose product, in float32 from left to right, is the scale of the sum. */
      readonly scaleX: number;
      readonly scale: Float32Array;
      readonly channelRank: number;
    };

export interface Form {
  /** Layers whose 8-bit weights are stored unsigned, as signed ones could saturate: exact, and slower. */
  readonly unsignedWeights: readonly string[];
  quantize(real: Value, quantization: Quantization, bounds: Bounds, layer: string, name: string): Integers;
  /** For operators in float: real numbers in a form that no runtime takes for a part of an integer kernel. */
  toReal(integers: Integers, layer: string): Value;
  /** `quantizer`: the one that follows; without one the sum becomes real. */
  weightedSum(node: Node, x: Integers, weights: QuantizedWeights, quantizer: Quantization | null): Sum;
  /** Add of two operands on one scale, with the quantizer that follows. */
  add(node: Node, a: Integers, b: Integers, quantizer: Quantization | null): Sum;
  /** Mul or MatMul of two computed operands. */
  product(node: Node, a: Integers, b: Integers, quantizer: Quantization | null): Sum;
  /** An average that is no integer sum over a known number of elements; null to compute it in float. */
  pool(node: Node, x: Integers): Sum | null;
  globalAverage(node: Node, x: Integers): Sum;
  /** The selected operand of Max or Min; all operands on one scale. */
  select(node: Node, operands: readonly Integers[], name: string): Integers;
  /** `table[i]`: the logical integer of the result for logical integer qmin + i of x. */
  lookUp(x: Integers, table: Int32Array, quantization: Quantization, layer: string, name: string): Integers;
  /** A function of one element that the runtime has an integer kernel for; null to use `lookUp`. */
  unary(node: Node, x: Integers): Sum | null;
  /** Moves elements: the node again, on integers. */
  rearrange(node: Node, x: Integers, name: string): Integers;
  /** `q - zeroPoint` as float32, for sums that have no integer kernel. */
  centered(x: Integers, layer: string): Value;
  requantize(sum: Sum, quantization: Quantization, bounds: Bounds, layer: string, name: string): Integers;
  sumToReal(sum: Sum, layer: string): Value;
}

/** All integers of the quantizer, or those that a rectifier leaves: `clip` and `quantize` commute. */
export function boundsOf(quantization: Quantization, range: readonly [number, number] | null = null): Bounds {
  const { spec } = quantization;
  const at = (x: number): number => quantize(Float32Array.of(x), [1], quantization)[0] as number;
  return {
    low: range && Number.isFinite(range[0]) ? at(range[0]) : qmin(spec),
    high: range && Number.isFinite(range[1]) ? at(range[1]) : qmax(spec),
  };
}

/** The zero point in a file: integers are stored as `q - qmin`, so that they are unsigned. */
export function storedZeroPoint(quantization: Quantization): number {
  return (quantization.params.zeroPoint[0] as number) - qmin(quantization.spec);
}

/** The one scale of an activation. */
export function scaleOf(integers: Integers): number {
  return integers.quantization.params.scale[0] as number;
}
