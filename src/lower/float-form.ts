// Integers carried as integer-valued float32, `q - zeroPoint`. Every product and partial sum is an integer;
// below 2^24 float32 holds it exactly in any order of summation, so every runtime computes the same.

import { float32 } from "../base/tensor.js";
import type { Node, Value } from "../graph/graph.js";
import { outputOf } from "../graph/graph.js";
import type { Quantization } from "../quant/spec.js";
import type { Emitter } from "./emitter.js";
import {
  exactAdd,
  exactGlobalAverage,
  exactProduct,
  exactToReal,
  exactWeightedSum,
  scaledExactly,
} from "./exact-sums.js";
import type { Bounds, Form, Integers, Sum, WeightStorage } from "./form.js";
import { scaleOf, storedZeroPoint } from "./form.js";
import type { QuantizedWeights } from "./quantized-weights.js";

export class FloatForm implements Form {
  readonly unsignedWeights: readonly string[] = [];
  protected readonly emitter: Emitter;
  protected readonly storage: WeightStorage;

  constructor(emitter: Emitter, storage: WeightStorage) {
    this.emitter = emitter;
    this.storage = storage;
  }

  quantize(real: Value, quantization: Quantization, bounds: Bounds, layer: string, name: string): Integers {
    const scale = this.emitter.float(quantization.params.scale[0] as number);
    const ratio = this.emitter.node("Div", layer, [real, scale], { shape: real.shape });
    return this.round(ratio, quantization, bounds, layer, name);
  }

  toReal(integers: Integers, layer: string): Value {
    const { value } = integers;
    return this.emitter.node("Mul", layer, [value, this.emitter.float(scaleOf(integers))], {
      shape: value.shape,
    });
  }

  weightedSum(node: Node, x: Integers, weights: QuantizedWeights, quantizer: Quantization | null): Sum {
    return exactWeightedSum(this.emitter, this.storage, node, x.value, scaleOf(x), weights, quantizer);
  }

  add(node: Node, a: Integers, b: Integers): Sum {
    return exactAdd(this.emitter, node, [a.value, b.value], scaleOf(a));
  }

  product(node: Node, a: Integers, b: Integers): Sum {
    return exactProduct(this.emitter, node, [a.value, b.value], scaleOf(a), scaleOf(b));
  }

  pool(): null {
    return null;
  }

  globalAverage(node: Node, x: Integers): Sum {
    return exactGlobalAverage(this.emitter, node, x.value, scaleOf(x));
  }

  select(node: Node, operands: readonly Integers[], name: string): Integers {
    const [first] = operands as [Integers];
    const inputs = operands.map((operand) => operand.value);
    const { shape } = outputOf(node);
    const value = this.emitter.node(node.op, node.origin, inputs, { name, shape }, node.attributes);
    return { value, quantization: first.quantization };
  }

  lookUp(x: Integers, table: Int32Array, quantization: Quantization, layer: string, name: string): Integers {
    const { shape } = x.value;
    const offset = this.emitter.float(storedZeroPoint(x.quantization));
    const stored = this.emitter.node("Add", layer, [x.value, offset], { shape });
    const index = this.emitter.node("Cast", layer, [stored], { shape, dtype: "int32" }, { to: 6 });
    const zeroPoint = quantization.params.zeroPoint[0] as number;
    const rows = this.emitter.constant(
      float32(
        [table.length],
        Float32Array.from(table, (q) => q - zeroPoint),
      ),
    );
    const value = this.emitter.node("Gather", layer, [rows, index], { name, shape });
    return { value, quantization };
  }

  unary(): Sum | null {
    return null;
  }

  rearrange(node: Node, x: Integers, name: string): Integers {
    const inputs = [x.value, ...node.inputs.slice(1)];
    const value = this.emitter.node(
      node.op,
      node.origin,
      inputs.map((input) => (input?.constant ? this.emitter.constant(input.constant) : input)),
      { name, shape: outputOf(node).shape },
      node.attributes,
    );
    return { value, quantization: x.quantization };
  }

  centered(x: Integers): Value {
    return x.value;
  }

  requantize(sum: Sum, quantization: Quantization, bounds: Bounds, layer: string, name: string): Integers {
    if (sum.kind === "real") return this.quantize(sum.value, quantization, bounds, layer, name);
    const ratio = sum.kind === "exact" ? this.scaled(sum, quantization, bounds, layer) : sum.value;
    return this.round(ratio, quantization, bounds, layer, name);
  }

  sumToReal(sum: Sum, layer: string): Value {
    return exactToReal(this.emitter, sum, layer);
  }

  protected scaled(
    sum: Sum & { kind: "exact" },
    quantization: Quantization,
    bounds: Bounds,
    layer: string,
  ): Value {
    return scaledExactly(this.emitter, sum, quantization, bounds, layer);
  }

  /** `clip(roundHalfEven(ratio))`: the bounds are integers, so that clipping and rounding commute. */
  protected round(
    ratio: Value,
    quantization: Quantization,
    bounds: Bounds,
    layer: string,
    name: string,
  ): Integers {
    const zeroPoint = quantization.params.zeroPoint[0] as number;
    const low = bounds.low - zeroPoint;
    const high = this.emitter.float(bounds.high - zeroPoint);
    const { shape } = ratio;
    // Min costs WebAssembly less than half of Clip; what a Relu left needs no lower end.
    const clipped =
      isNonNegative(ratio) && low === 0
        ? this.emitter.node("Min", layer, [ratio, high], { shape })
        : this.emitter.node("Clip", layer, [ratio, this.emitter.float(low), high], { shape });
    const value = this.emitter.node("Round", layer, [clipped], { name, shape });
    return { value, quantization };
  }
}

/** Whether a value is a multiple, by numbers above 0, of what a Relu gave. */
function isNonNegative(value: Value): boolean {
  const factor = value.producer?.op === "Mul" ? value.producer.inputs[1]?.constant : undefined;
  const positive = factor !== undefined && (factor.data as Float32Array).every((m) => m > 0);
  return positive && value.producer?.inputs[0]?.producer?.op === "Relu";
}
