// Integers carried as uint8 between QuantizeLinear, Clip and DequantizeLinear, in the patterns that ONNX
// Runtime fuses to integer kernels. uint8 also for signed activations: int8 ones would not fuse on x86-64.

import { tensor } from "../base/tensor.js";
import type { Node, Value } from "../graph/graph.js";
import { outputOf } from "../graph/graph.js";
import type { Quantization } from "../quant/spec.js";
import { qmax, qmin } from "../quant/spec.js";
import { requantizeMultiplier } from "../quant/affine.js";
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
import { boundsOf, scaleOf, storedZeroPoint } from "./form.js";
import { addAgrees, productAgrees } from "./kernel-ties.js";
import { addsInPairs, hasIntegerKernel, pairsFitInt16 } from "./pair-sums.js";
import type { QuantizedWeights } from "./quantized-weights.js";
import { multiplied, storeWeights } from "./stored-weights.js";

export class IntegerForm implements Form {
  readonly unsignedWeights: string[] = [];
  readonly #emitter: Emitter;
  readonly #storage: WeightStorage;
  readonly #real = new Map<Value, Value>();
  readonly #dequantized = new Map<Value, Value>();
  readonly #centered = new Map<Value, Value>();

  constructor(emitter: Emitter, storage: WeightStorage) {
    this.#emitter = emitter;
    this.#storage = storage;
  }

  quantize(real: Value, quantization: Quantization, bounds: Bounds, layer: string, name: string): Integers {
    return this.#quantizeAt(real, quantization.params.scale[0] as number, quantization, bounds, layer, name);
  }

  /**
   * `fl(fl(q - zeroPoint) * scale)` in plain float operators. DequantizeLinear would compute the same, and be leave for
   * the runtime to put an integer kernel of its own in the place of what reads it: QLinearSoftmax is off by up to 255
   * steps.
   */
  toReal(integers: Integers, layer: string): Value {
    let real = this.#real.get(integers.value);
    if (!real) {
      const { shape } = integers.value;
      const scale = this.#emitter.float(scaleOf(integers));
      real = this.#emitter.node("Mul", layer, [this.centered(integers, layer), scale], { shape });
      this.#real.set(integers.value, real);
    }
    return real;
  }

  weightedSum(node: Node, x: Integers, weights: QuantizedWeights, quantizer: Quantization | null): Sum {
    if (!hasIntegerKernel(node, quantizer !== null)) {
      const centered = this.centered(x, node.origin);
      return exactWeightedSum(this.#emitter, this.#storage, node, centered, scaleOf(x), weights, quantizer);
    }
    const layer = node.origin;
    const { shape, axis, resolution } = weights;
    const channels = weights.scale.length;
    const scale = this.#emitter.constant(
      tensor(
        "float32",
        [channels],
        weights.scale.map((each) => each / resolution),
      ),
    );
    const { integers, bits } = weights;
    const signed =
      !addsInPairs(node, quantizer !== null) ||
      pairsFitInt16(integers, shape, axis, largestStored(x.quantization));
    const stored = storeWeights(this.#emitter, integers, shape, bits, this.#storage, layer, signed);
    const kernelInputs = [multiplied(this.#emitter, stored.value, resolution, layer), scale];
    if (stored.zeroPoint !== 0) {
      this.unsignedWeights.push(layer);
      const zeroPoints = new Uint8Array(channels).fill(stored.zeroPoint);
      kernelInputs.push(this.#emitter.constant(tensor("uint8", [channels], zeroPoints)));
    } else if (node.op !== "Conv") {
      // QGemm takes a weight only with its zero point spelled out; Conv does without.
      kernelInputs.push(this.#emitter.constant(tensor("int8", [channels], new Int8Array(channels))));
    }
    const kernel = this.#emitter.node("DequantizeLinear", layer, kernelInputs, { shape }, { axis });
    const inputs = [this.#dequantize(x, layer), kernel];
    if (weights.bias) {
      const bias = this.#emitter.constant(tensor("int32", [channels], weights.bias));
      const scaleX = this.#emitter.float(scaleOf(x));
      const biasScale = this.#emitter.node("Mul", layer, [scale, scaleX], { shape: [channels] });
      inputs.push(
        this.#emitter.node("DequantizeLinear", layer, [bias, biasScale], { shape: [channels] }, { axis: 0 }),
      );
    }
    const value = this.#emitter.node(
      node.op,
      layer,
      inputs,
      { shape: outputOf(node).shape },
      node.attributes,
    );
    return { kind: "real", value };
  }

  add(node: Node, a: Integers, b: Integers, quantizer: Quantization | null): Sum {
    if (quantizer) {
      const multiplier = requantizeMultiplier(scaleOf(a), 1, quantizer.params.scale[0] as number);
      if (addAgrees(multiplier, a.quantization, storedZeroPoint(quantizer)))
        return this.#onReals(node, [a, b]);
    }
    return exactAdd(this.#emitter, node, this.#allCentered(node, a, b), scaleOf(a));
  }

  product(node: Node, a: Integers, b: Integers, quantizer: Quantization | null): Sum {
    // QLinearMul adds the zero point before it rounds: the same only when there is none.
    if (quantizer && (node.op === "MatMul" || storedZeroPoint(quantizer) === 0)) {
      const multiplier = requantizeMultiplier(scaleOf(a), scaleOf(b), quantizer.params.scale[0] as number);
      if (node.op === "MatMul" || productAgrees(multiplier, a.quantization, b.quantization))
        return this.#onReals(node, [a, b]);
    }
    return exactProduct(this.#emitter, node, this.#allCentered(node, a, b), scaleOf(a), scaleOf(b));
  }

  /** QLinearAveragePool and QLinearGlobalAveragePool: one formula on all runtimes, that of the reference. */
  pool(node: Node, x: Integers): Sum {
    return this.#onReals(node, [x]);
  }

  globalAverage(node: Node, x: Integers): Sum {
    return exactGlobalAverage(this.#emitter, node, this.centered(x, node.origin), scaleOf(x));
  }

  select(node: Node, operands: readonly Integers[], name: string): Integers {
    const [first] = operands as [Integers];
    const { shape } = outputOf(node);
    if (node.op === "Concat") {
      const inputs = operands.map((operand) => operand.value);
      const value = this.#emitter.node(
        "Concat",
        node.origin,
        inputs,
        { name, shape, dtype: "uint8" },
        node.attributes,
      );
      return { value, quantization: first.quantization };
    }
    // There is no uint8 kernel for Max and Min; on one scale, real numbers select and return the same.
    const sum = this.#onReals(node, operands);
    return this.quantize(sum.value, first.quantization, boundsOf(first.quantization), node.origin, name);
  }

  lookUp(x: Integers, table: Int32Array, quantization: Quantization, layer: string, name: string): Integers {
    const { shape } = x.value;
    const low = qmin(quantization.spec);
    const rows = tensor(
      "uint8",
      [table.length],
      Uint8Array.from(table, (q) => q - low),
    );
    const index = this.#emitter.node("Cast", layer, [x.value], { shape, dtype: "int32" }, { to: 6 });
    const value = this.#emitter.node("Gather", layer, [this.#emitter.constant(rows), index], {
      name,
      shape,
      dtype: "uint8",
    });
    return { value, quantization };
  }

  unary(node: Node, x: Integers): Sum | null {
    return node.op === "LeakyRelu" ? this.#onReals(node, [x]) : null;
  }

  rearrange(node: Node, x: Integers, name: string): Integers {
    const output = { name, shape: outputOf(node).shape, dtype: "uint8" } as const;
    const rest = node.inputs
      .slice(1)
      .map((input) => (input?.constant ? this.#emitter.constant(input.constant) : input));
    const { quantization } = x;
    if (node.op === "Pad") rest[1] = this.#emitter.byte(storedZeroPoint(quantization));
    if (node.op === "GlobalMaxPool") {
      // ReduceMax has a uint8 kernel, GlobalMaxPool has none.
      const axes = this.#emitter.ints(x.value.shape.slice(2).map((_, index) => index + 2));
      const value = this.#emitter.node("ReduceMax", node.origin, [x.value, axes], output, { keepdims: 1 });
      return { value, quantization };
    }
    const value = this.#emitter.node(node.op, node.origin, [x.value, ...rest], output, node.attributes);
    return { value, quantization };
  }

  centered(x: Integers, layer: string): Value {
    let centered = this.#centered.get(x.value);
    if (!centered) {
      const { shape } = x.value;
      const zeroPoint = storedZeroPoint(x.quantization);
      centered = this.#emitter.node("Cast", layer, [x.value], { shape }, { to: 1 });
      if (zeroPoint !== 0) {
        centered = this.#emitter.node("Sub", layer, [centered, this.#emitter.float(zeroPoint)], { shape });
      }
      this.#centered.set(x.value, centered);
    }
    return centered;
  }

  requantize(sum: Sum, quantization: Quantization, bounds: Bounds, layer: string, name: string): Integers {
    if (sum.kind === "real") return this.quantize(sum.value, quantization, bounds, layer, name);
    const scaled =
      sum.kind === "exact" ? scaledExactly(this.#emitter, sum, quantization, bounds, layer) : sum.value;
    // Dividing by 1 leaves the product as it is: QuantizeLinear then rounds, adds and saturates.
    return this.#quantizeAt(scaled, 1, quantization, bounds, layer, name);
  }

  sumToReal(sum: Sum, layer: string): Value {
    return exactToReal(this.#emitter, sum, layer);
  }

  /** `QuantizeLinear(uint8) -> Clip(uint8)`; no Clip where saturation to 0..255 does its work. */
  #quantizeAt(
    real: Value,
    scale: number,
    quantization: Quantization,
    bounds: Bounds,
    layer: string,
    name: string,
  ): Integers {
    const { shape } = real;
    const offset = qmin(quantization.spec);
    const low = bounds.low - offset;
    const high = bounds.high - offset;
    const clips = low > 0 || high < 255;
    const inputs = [real, this.#emitter.float(scale), this.#emitter.byte(storedZeroPoint(quantization))];
    let value = this.#emitter.node("QuantizeLinear", layer, inputs, {
      ...(!clips && { name }),
      shape,
      dtype: "uint8",
    });
    if (clips) {
      const limits = [this.#emitter.byte(low), this.#emitter.byte(high)];
      value = this.#emitter.node("Clip", layer, [value, ...limits], { name, shape, dtype: "uint8" });
    }
    return { value, quantization };
  }

  /** For operators whose integer kernels compute what integers mean: weighted sums and those of `#onReals`. */
  #dequantize(integers: Integers, layer: string): Value {
    const { value, quantization } = integers;
    let real = this.#dequantized.get(value);
    if (!real) {
      const scale = this.#emitter.float(scaleOf(integers));
      const zeroPoint = this.#emitter.byte(storedZeroPoint(quantization));
      const { shape } = value;
      real = this.#emitter.node("DequantizeLinear", layer, [value, scale, zeroPoint], { shape });
      this.#dequantized.set(value, real);
    }
    return real;
  }

  #allCentered(node: Node, a: Integers, b: Integers): readonly [Value, Value] {
    return [this.centered(a, node.origin), this.centered(b, node.origin)];
  }

  #onReals(node: Node, operands: readonly Integers[]): { kind: "real"; value: Value } {
    const inputs = operands.map((operand) => this.#dequantize(operand, node.origin));
    const { shape } = outputOf(node);
    const value = this.#emitter.node(node.op, node.origin, inputs, { shape }, node.attributes);
    return { kind: "real", value };
  }
}

/** The largest integer that a file holds for a value. */
function largestStored({ spec }: Quantization): number {
  return qmax(spec) - qmin(spec);
}
