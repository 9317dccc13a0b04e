// The integers, scales and bias of one weighted node, as every form of the file holds them.

import { QdgError } from "../base/error.js";
import { expectDType, float32, sizeOf, type Tensor } from "../base/tensor.js";
import type { Node, Value } from "../graph/graph.js";
import { inputOf } from "../graph/graph.js";
import { outputChannelAxis } from "../graph/passes/fold-batch-norm.js";
import { dequantize, quantize } from "../quant/affine.js";
import { biasResolution, quantizeBias } from "../quant/bias.js";
import type { Quantization } from "../quant/spec.js";

export interface QuantizedWeights {
  /** Logical integers, signed, in the layout of the ONNX weight. */
  readonly integers: Int32Array;
  readonly shape: readonly number[];
  readonly bits: number;
  /** The axis of output channels. */
  readonly axis: number;
  /** Deployed scale of each output channel: batch norm is folded in, so it may be negative. */
  readonly scale: Float32Array;
  /** Integers at `fl(scaleX * scale[k]) / resolution`; null when there is no bias. */
  readonly bias: Int32Array | null;
  /** Steps of the bias in one of the products, a power of two. */
  readonly resolution: number;
  /** Channels whose scale was widened to hold the bias (dead channels). */
  readonly adjusted: readonly number[];
}

/** `weight` as integers: those chosen for it, or quantized from the constant, without the folded factor. */
export function weightIntegers(weight: Value, where: string): Int32Array {
  if (!weight.constant || !weight.quantization) {
    throw new QdgError("internal", where, `weight ${weight.name} has no quantization`);
  }
  const { data, shape } = expectDType(weight.constant, "float32", where);
  return weight.integers ?? quantize(data, shape, weight.quantization);
}

/** The real numbers that {@link weightIntegers} stand for, without the folded factor. */
export function roundedWeights(weight: Value, where: string): Tensor<"float32"> {
  const integers = weightIntegers(weight, where);
  const { shape } = weight.constant as Tensor;
  return float32(shape, dequantize(integers, shape, weight.quantization as Quantization));
}

/** One deployed scale an index of `axis`: the weight's own times the folded factor. */
export function deployedScale(weight: Value, channels: number): Float32Array {
  const scale = weight.quantization?.params.scale as Float32Array;
  const factors = weight.channelFactor?.factors;
  return Float32Array.from(
    { length: channels },
    (_, k) => (scale[scale.length === 1 ? 0 : k] as number) * (factors?.[k] ?? 1),
  );
}

/** {@link biasResolution} of a Conv, ConvTranspose, Gemm or MatMul: the same in training as in a file. */
export function resolutionOf(node: Node, weightBits: number, inputBits: number): number {
  const shape = inputOf(node, 1).shape as readonly number[];
  const channels = shape[outputChannelAxis(node) ?? 0] as number;
  return biasResolution(weightBits, inputBits, sizeOf(shape) / channels);
}

/**
 * Quantizes the weight and the bias of a Conv, ConvTranspose, Gemm or MatMul.
 *
 * @param x the quantization of the node's input
 */
export function quantizedWeights(node: Node, x: Quantization): QuantizedWeights {
  const where = `${node.origin} (${node.op})`;
  const weight = inputOf(node, 1);
  const axis = outputChannelAxis(node);
  const shape = weight.constant?.shape ?? [];
  if (axis === null || !weight.quantization) {
    throw new QdgError("internal", where, "has no quantized weight with an axis of output channels");
  }
  const channels = shape[axis] as number;
  const bias = node.inputs[2]?.constant;
  const real = bias ? expectDType(bias, "float32", where).data : new Float32Array(channels);
  const scale = deployedScale(weight, channels);
  const integers = { weights: weightIntegers(weight, where), shape, axis, scale };
  const { bits } = weight.quantization.spec;
  const resolution = resolutionOf(node, bits, x.spec.bits);
  const quantized = quantizeBias(real, x.params.scale[0] as number, integers, where, resolution);
  return {
    integers: quantized.weights,
    shape,
    bits,
    axis,
    scale: quantized.scale,
    bias: quantized.bias.some((q) => q !== 0) ? quantized.bias : null,
    resolution,
    adjusted: quantized.adjusted,
  };
}
