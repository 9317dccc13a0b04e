// Integers carried as integer-valued float32, in operators that ONNX Runtime has WebGPU kernels for and whose
// results WGSL leaves no room in. Never Round, QuantizeLinear or Div: the first two would send each activation to
// the CPU and back, and WGSL's quotient may be 2.5 ULP off.

import { float32 } from "../base/tensor.js";
import type { Value } from "../graph/graph.js";
import type { Quantization } from "../quant/spec.js";
import { quantizationThresholds } from "../quant/thresholds.js";
import { isPowerOfTwo, scaledExactly } from "./exact-sums.js";
import { FloatForm } from "./float-form.js";
import type { Bounds, Integers, Sum } from "./form.js";

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
    const zeroPoint = quantization.params.zeroPoint[0] as number;
    const limits = [emitter.float(bounds.low - zeroPoint), emitter.float(bounds.high - zeroPoint)];
    const clipped = emitter.node("Clip", layer, [ratio, ...limits], { shape });
    const shift = emitter.float(ROUNDING_SHIFT);
    const shifted = emitter.node("Add", layer, [clipped, shift], { shape });
    return { value: emitter.node("Sub", layer, [shifted, shift], { name, shape }), quantization };
  }
}
