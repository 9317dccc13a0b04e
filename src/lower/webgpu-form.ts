// Integers carried as integer-valued float32, in operators that ONNX Runtime has WebGPU kernels for and whose
// results WGSL leaves no room in. Never Round, QuantizeLinear or Div: the first two would send each activation to
// the CPU and back, and WGSL's quotient may be 2.5 ULP off.

import { float32 } from "../base/tensor.js";
import type { Node, Value } from "../graph/graph.js";
import { isPowerOfTwo } from "../quant/affine.js";
import { channelSums, largestInteger } from "../quant/bias.js";
import { type FixedPoint, fixedPoint } from "../quant/fixed-point.js";
import { qmax, qmin, type Quantization } from "../quant/spec.js";
import { quantizationThresholds } from "../quant/thresholds.js";
import { multiplierTo, scaledExactly, weightedValue } from "./exact-sums.js";
import { FloatForm } from "./float-form.js";
import { type Bounds, type Integers, scaleOf, type Sum } from "./form.js";
import type { QuantizedWeights } from "./quantized-weights.js";

/** `x + 1.5 * 2^23 - 1.5 * 2^23 = roundHalfEven(x)` in float32, |x| <= 2^22: the sum has no room for a fraction. */
const ROUNDING_SHIFT = 12582912;

export class WebgpuForm extends FloatForm {
  /**
   * A scale that is a power of two divides by an exact multiplication. For others a product and Floor give
   * the integer or the one below, whatever the last bits of the product are, and one comparison with the least
   * x of the next integer decides: `q = l + (x >= t[l])`, `l = clip(floor(x * (1 / scale)), low, high - 1)`.
   */
  override quantize(
    real: Value,
    quantization: Quantization,
    bounds: Bounds,
    layer: string,
    name: string,
  ): Integers {
    const { emitter } = this;
    const { shape } = real;
    const scale = quantization.params.scale[0] as number;
    const zeroPoint = quantization.params.zeroPoint[0] as number;
    const ratio = emitter.node("Mul", layer, [real, emitter.float(1 / scale)], { shape });
    if (isPowerOfTwo(scale) || bounds.low === bounds.high) {
      return this.round(ratio, quantization, bounds, layer, name);
    }
    const low = bounds.low - zeroPoint;
    const limits = [emitter.float(low), emitter.float(bounds.high - 1 - zeroPoint)];
    const whole = emitter.node("Floor", layer, [ratio], { shape });
    const lower = emitter.node("Clip", layer, [whole, ...limits], { shape });
    const place = low === 0 ? lower : emitter.node("Sub", layer, [lower, emitter.float(low)], { shape });
    const index = emitter.node("Cast", layer, [place], { shape, dtype: "int32" }, { to: 6 });
    const table = quantizationThresholds(quantization, bounds.low, bounds.high);
    const thresholds = emitter.constant(float32([table.length], table));
    const next = emitter.node("Gather", layer, [thresholds, index], { shape });
    const reached = emitter.node("GreaterOrEqual", layer, [real, next], { shape, dtype: "bool" });
    const step = emitter.node("Cast", layer, [reached], { shape }, { to: 1 });
    return { value: emitter.node("Add", layer, [lower, step], { name, shape }), quantization };
  }

  /**
   * Where a fraction that float32 still adds up exactly stands for each multiplier, weights and bias are multiplied by
   * it, which leaves Floor of all requantizing: the convolution computes the clamp. A pass costs a GPU more than its
   * arithmetic.
   */
  override weightedSum(
    node: Node,
    x: Integers,
    weights: QuantizedWeights,
    quantizer: Quantization | null,
  ): Sum {
    const steps = quantizer && node.op !== "MatMul" ? fixedPoints(x, weights, quantizer) : null;
    if (!steps) return super.weightedSum(node, x, weights, quantizer);
    const factor = Float32Array.from(steps, (step) => step.factor);
    const offset = Float32Array.from(steps, (step) => step.offset);
    const { emitter, storage } = this;
    const value = weightedValue(emitter, storage, node, x.value, weights, factor, offset);
    return { kind: "stepped", value };
  }

  override requantize(
    sum: Sum,
    quantization: Quantization,
    bounds: Bounds,
    layer: string,
    name: string,
  ): Integers {
    if (sum.kind !== "stepped") return super.requantize(sum, quantization, bounds, layer, name);
    const clipped = this.#clip(sum.value, quantization, bounds, layer);
    return {
      value: this.emitter.node("Floor", layer, [clipped], { name, shape: clipped.shape }),
      quantization,
    };
  }

  #clip(value: Value, quantization: Quantization, bounds: Bounds, layer: string): Value {
    const zeroPoint = quantization.params.zeroPoint[0] as number;
    const limits = [this.emitter.float(bounds.low - zeroPoint), this.emitter.float(bounds.high - zeroPoint)];
    return this.emitter.node("Clip", layer, [value, ...limits], { shape: value.shape });
  }

  /** A convolution computes the clamp that follows it at no cost; after other sums it would be one more pass. */
  protected override scaled(
    sum: Sum & { kind: "exact" },
    quantization: Quantization,
    bounds: Bounds,
    layer: string,
  ): Value {
    return scaledExactly(this.emitter, sum, quantization, bounds, layer, false);
  }

  protected override round(
    ratio: Value,
    quantization: Quantization,
    bounds: Bounds,
    layer: string,
    name: string,
  ): Integers {
    const { emitter } = this;
    const { shape } = ratio;
    const clipped = this.#clip(ratio, quantization, bounds, layer);
    const shift = emitter.float(ROUNDING_SHIFT);
    const shifted = emitter.node("Add", layer, [clipped, shift], { shape });
    return { value: emitter.node("Sub", layer, [shifted, shift], { name, shape }), quantization };
  }
}

/** One an output channel; null where a channel has none. */
function fixedPoints(
  x: Integers,
  { integers, shape, axis, scale, bias, resolution }: QuantizedWeights,
  quantizer: Quantization,
): FixedPoint[] | null {
  const zeroPoint = quantizer.params.zeroPoint[0] as number;
  const [low, high] = [qmin(quantizer.spec) - zeroPoint, qmax(quantizer.spec) - zeroPoint];
  const multipliers = multiplierTo(quantizer, scaleOf(x), scale);
  const largest = largestInteger(x.quantization);
  const steps: FixedPoint[] = [];
  for (const [k, sum] of channelSums(integers, shape, axis).entries()) {
    const parts = { products: sum * largest, bias: (bias?.[k] ?? 0) / resolution };
    const step = fixedPoint(multipliers[k] as number, low, high, parts);
    if (!step) return null;
    steps.push(step);
  }
  return steps;
}
