// Walks a file from one quantized tensor to the next and says of each whether its integers are proven: given the same
// integers before it, no runtime may compute others. Everything is raised from the bytes; metadata only names tensors.

import type { Tensor } from "../../base/tensor.js";
import { sizeOf } from "../../base/tensor.js";
import type { Graph, Node, Value } from "../../graph/graph.js";
import { intAttribute } from "../../graph/graph.js";
import { kindOf } from "../../graph/node-kinds.js";
import { isUnknownRank } from "../../graph/unknown-shape.js";
import { addAgrees, productAgrees } from "../../lower/kernel-ties.js";
import { dataIn } from "../../onnx/external-data.js";
import type { ModelProto } from "../../onnx/model-proto.js";
import { resultShape } from "../../onnx/result-shape.js";
import { modelToGraph } from "../../onnx/to-graph.js";
import { isPowerOfTwo, requantizeMultiplier } from "../../quant/affine.js";
import type { Quantization } from "../../quant/spec.js";
import { integerPatterns } from "../../compute/integer-patterns.js";
import { foldedConstants } from "../../compute/folded-constants.js";
import { ALL_OPERATORS } from "../../compute/operators.js";
import { quantizedTensors } from "../quantized-tensors.js";
import { given, type Known, knownOfConstant, together, unproven } from "./known.js";
import { apply } from "./rules.js";
import {
  floatProduct,
  floatSum,
  floatTotal,
  integerSum,
  scaledSum,
  type StoredInput,
  type StoredWeights,
} from "./sums.js";

export const EXACTNESS = ["proven", "measured"] as const;

/** From the last quantized tensors to this one: whether every runtime must compute the same, by the file's bytes. */
export interface LayerExactness {
  readonly layer: string;
  readonly tensor: string;
  /** What adds up: an integer kernel, float32 that holds integers, or neither. */
  readonly kernel: "integer" | "float" | null;
  /** No partial sum is larger, counted in the sum's unit; null without a sum of integers. */
  readonly accumulatorBound: number | null;
  /** What the bound has to stay below; null without a bound. */
  readonly limit: number | null;
  readonly exactness: (typeof EXACTNESS)[number];
  /** Why it is only measured; "" when it is proven. */
  readonly reason: string;
}

/**
 * One entry for each quantized tensor that is computed, and for the numbers before and after a last softmax.
 *
 * @param folder the folder of the file, for tensors kept in other files
 */
export function layerExactness(model: ModelProto, folder?: string): LayerExactness[] {
  return new Walk(model, folder).run();
}

const BYTES: Readonly<Record<string, readonly [number, number]>> = { uint8: [0, 255], int8: [-128, 127] };

class Walk {
  readonly #graph: Graph;
  readonly #constants: ReadonlyMap<Value, Tensor>;
  readonly #fused: ReturnType<typeof integerPatterns>;
  readonly #known = new Map<Value, Known>();
  readonly #layerOf: ReadonlyMap<string, string>;
  readonly #rows: LayerExactness[] = [];

  constructor(model: ModelProto, folder: string | undefined) {
    this.#graph = modelToGraph(model, folder === undefined ? {} : { external: dataIn(folder) });
    this.#constants = foldedConstants(this.#graph, ALL_OPERATORS);
    this.#fused = integerPatterns(this.#graph, this.#constants);
    this.#layerOf = new Map(quantizedTensors(model, folder).map(({ name, layer }) => [name, layer]));
  }

  run(): LayerExactness[] {
    const { inputs, nodes, outputs } = this.#graph;
    for (const input of inputs) {
      this.#known.set(input, given(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, 0));
    }
    for (const node of nodes) {
      for (const [index, output] of node.outputs.entries()) {
        const constant = this.#constants.get(output);
        if (constant) output.shape = constant.shape;
        else if (isUnknownRank(output.shape)) output.shape = resultShape(node, index);
      }
      if (node.outputs.every((output) => this.#constants.has(output))) continue;
      this.#visit(node);
    }
    for (const output of outputs) this.#addOutput(output);
    return this.#rows;
  }

  #visit(node: Node): void {
    const known = this.#compute(node);
    for (const output of node.outputs) {
      const layer = this.#layerOf.get(output.name);
      if (layer === undefined) {
        this.#known.set(output, known);
        continue;
      }
      const isWhole = known.step === 1;
      const reason = known.unproven ?? (isWhole ? null : "not shown to be a whole number");
      // What only moves or selects integers has nothing to prove.
      if (kindOf(node) !== "rearranging" && node.op !== "ReduceMax")
        this.#add(layer, output.name, known, reason);
      // Each layer is judged by itself: that its input is the same is the business of the layer before it.
      this.#known.set(output, given(known.low, known.high, isWhole ? 1 : 0));
    }
  }

  #add(layer: string, tensor: string, { sum }: Known, reason: string | null): void {
    this.#rows.push({
      layer: sum?.layer ?? layer,
      tensor,
      kernel: sum?.kernel ?? null,
      accumulatorBound: sum?.bound ?? null,
      limit: sum?.limit ?? null,
      exactness: reason === null ? "proven" : "measured",
      reason: reason ?? "",
    });
  }

  /** Real numbers are proven when nothing was rounded at all: then there is nothing that a runtime could round otherwise. */
  #addOutput(output: Value): void {
    let value = output;
    while (value.producer && kindOf(value.producer) === "rearranging" && value.producer.inputs[0]) {
      value = value.producer.inputs[0];
    }
    if (this.#layerOf.has(value.name)) return;
    const softmax = value.producer?.op === "Softmax" ? value.producer : null;
    const logits = softmax?.inputs[0] ?? value;
    const known = this.#known.get(logits) ?? unproven("is not computed");
    const layer = logits.producer?.origin ?? logits.name;
    const reason =
      known.unproven ??
      (known.rounded || known.step === 0
        ? "the last sum is scaled by a number that is no power of two, which rounds; --scales pow2 does not"
        : null);
    this.#add(layer, softmax ? `${output.name} before its softmax` : output.name, known, reason);
    if (softmax) {
      this.#add(
        softmax.origin,
        output.name,
        unproven(""),
        "a softmax: exponentials and their sum are rounded",
      );
    }
  }

  #compute(node: Node): Known {
    const step = this.#fused.get(node);
    if (step) {
      const fused = this.#computeFused(step.node, node);
      if (fused) return fused;
    }
    switch (node.op) {
      case "QuantizeLinear":
        return this.#quantized(this.#of(node.inputs[0]), node);
      case "DequantizeLinear":
        return this.#dequantized(node);
      case "Conv":
      case "ConvTranspose":
      case "Gemm":
      case "MatMul":
        return this.#floatSum(node);
      case "ReduceSum":
        return this.#total(node);
      default:
        return apply(
          node,
          node.inputs.map((input) => input && this.#of(input)),
        );
    }
  }

  #of(value: Value | null | undefined): Known {
    if (!value) return unproven("an operand is absent");
    const known = this.#known.get(value);
    if (known) return known;
    const constant = this.#constants.get(value) ?? value.constant;
    return constant ? knownOfConstant(constant) : unproven(`${value.name} is not known`);
  }

  /** An integer kernel from the bytes it reads to those it writes; null where it is judged as float operators. */
  #computeFused(inner: Node, last: Node): Known | null {
    const quantizes = last.op === "QuantizeLinear";
    const x = this.#stored(inner.inputs[0]);
    if (!x) return null;
    if (inner.op === "Conv" || inner.op === "Gemm" || inner.op === "MatMul") {
      const weights = this.#weights(inner.inputs[1]);
      // A Conv that gives out real numbers stays one of float32 in ONNX Runtime.
      if (!weights || (inner.op === "Conv" && !quantizes)) return null;
      const bias = inner.inputs[2]?.producer?.inputs[0];
      const values = bias ? (this.#constants.get(bias)?.data as Int32Array | undefined) : undefined;
      const sum = integerSum(inner, inner.origin, x, weights, values ?? null);
      return quantizes
        ? this.#quantized({ ...sum, low: -Infinity, high: Infinity }, last, true)
        : scaledSum(sum, x.scale, weights.scale);
    }
    const other = this.#stored(inner.inputs[1]);
    if (!quantizes || !other || (inner.op !== "Add" && inner.op !== "Mul")) return null;
    const facts = together([x.q, other.q]);
    const scaleY = this.#number(last.inputs[1]);
    const zeroPoint = this.#number(last.inputs[2]) ?? 0;
    const multiplier =
      scaleY === null
        ? Number.NaN
        : requantizeMultiplier(x.scale, inner.op === "Add" ? 1 : other.scale, scaleY);
    const agrees =
      inner.op === "Add"
        ? x.scale === other.scale &&
          x.zeroPoint === other.zeroPoint &&
          addAgrees(multiplier, quantization(x), zeroPoint)
        : zeroPoint === 0 && productAgrees(multiplier, quantization(x), quantization(other));
    const reason =
      facts.unproven ?? (agrees ? null : `${inner.op} on bytes may come near a tie, where kernels differ`);
    return { ...this.#quantized({ ...unproven(""), ...facts }, last, true), unproven: reason };
  }

  /** @param scaled the division is part of an integer kernel, whose one multiplication stands for it */
  #quantized(x: Known, node: Node, scaled = false): Known {
    const range = BYTES[node.outputs[0]?.dtype ?? ""];
    const scale = this.#number(node.inputs[1]);
    const zeroPoint = node.inputs[2] ? this.#number(node.inputs[2]) : 0;
    if (!range || scale === null || zeroPoint === null)
      return unproven("QuantizeLinear to what is no byte, or by many scales", x.sum);
    const at = (end: number): number =>
      Math.min(Math.max(Math.round(end / scale) + zeroPoint, range[0]), range[1]);
    const twice = !scaled && x.rounded && !isPowerOfTwo(scale);
    return {
      low: at(x.low),
      high: at(x.high),
      step: 1,
      rounded: false,
      unproven: x.unproven ?? (twice ? "a quotient of numbers that are rounded already" : null),
      sum: x.sum,
    };
  }

  #dequantized(node: Node): Known {
    const stored = this.#stored(node.outputs[0]);
    if (!stored) return unproven("DequantizeLinear by many scales");
    const { q, zeroPoint, scale } = stored;
    const power = isPowerOfTwo(scale);
    const ends = [(q.low - zeroPoint) * scale, (q.high - zeroPoint) * scale];
    return {
      low: Math.min(...ends),
      high: Math.max(...ends),
      step: power ? Math.min(1, Math.abs(scale)) : 0,
      rounded: !power,
      unproven: q.unproven,
      sum: q.sum,
    };
  }

  #floatSum(node: Node): Known {
    const x = this.#of(node.inputs[0]);
    const weight = node.inputs[1] && this.#constants.get(node.inputs[1]);
    const bias = node.inputs[2];
    const biases = bias ? this.#constants.get(bias) : null;
    if (node.op === "MatMul" && !weight) {
      const count = node.inputs[0]?.shape.at(-1);
      const b = this.#of(node.inputs[1]);
      return typeof count === "number"
        ? floatProduct(node.origin, x, b, count)
        : unproven("a sum of unknown length");
    }
    if (!weight || biases === undefined)
      return unproven(x.unproven ?? "a sum of numbers that are no integers", x.sum);
    const plain = node.op !== "Gemm" || intAttribute(node, "transA", 0) === 0;
    return plain
      ? floatSum(node, node.origin, x, weight, biases)
      : unproven("Gemm of a transposed input", x.sum);
  }

  #total(node: Node): Known {
    const x = this.#of(node.inputs[0]);
    const shape = node.inputs[0]?.shape ?? [];
    const axes = node.inputs[1] && this.#constants.get(node.inputs[1]);
    const sizes = Array.from((axes?.data ?? []) as ArrayLike<number | bigint>, (axis) =>
      shape.at(Number(axis)),
    );
    const fixed = sizes.filter((size) => typeof size === "number");
    if (fixed.length === 0 || fixed.length < sizes.length)
      return unproven(x.unproven ?? "a sum of unknown length", x.sum);
    return floatTotal(node.origin, x, sizeOf(fixed));
  }

  /** Computed bytes behind a DequantizeLinear by one scale. */
  #stored(value: Value | null | undefined): StoredInput | null {
    const node = value?.producer;
    if (node?.op !== "DequantizeLinear") return null;
    const scale = this.#number(node.inputs[1]);
    const zeroPoint = node.inputs[2] ? this.#number(node.inputs[2]) : 0;
    if (scale === null || zeroPoint === null) return null;
    return { q: this.#of(node.inputs[0]), zeroPoint, scale };
  }

  #weights(value: Value | null | undefined): StoredWeights | null {
    const node = value?.producer;
    const q =
      node?.op === "DequantizeLinear" && node.inputs[0] ? this.#constants.get(node.inputs[0]) : undefined;
    const scale = node?.inputs[1] && this.#constants.get(node.inputs[1]);
    if (!scale || (q?.dtype !== "uint8" && q?.dtype !== "int8")) return null;
    const zero = node.inputs[2] ? this.#constants.get(node.inputs[2]) : null;
    const zeroPoint = Number(zero?.data[0] ?? 0);
    // One zero point for all channels is all that is written; others would need one each.
    if (zero === undefined || zero?.data.some((each) => Number(each) !== zeroPoint)) return null;
    const integers = Int32Array.from(q.data as ArrayLike<number>, (each) => each - zeroPoint);
    return { integers, shape: q.shape, dtype: q.dtype, scale: scale.data as Float32Array };
  }

  /** A constant of one element. */
  #number(value: Value | null | undefined): number | null {
    const constant = value && this.#constants.get(value);
    return constant?.data.length === 1 ? Number(constant.data[0]) : null;
  }
}

/** The quantization of bytes, as wide as their bounds need. */
function quantization({ q, zeroPoint, scale }: StoredInput): Quantization {
  const bits = Math.max(1, Math.ceil(Math.log2(Math.max(2, q.high + 1))));
  return {
    spec: { bits, signed: false, symmetric: false, narrowRange: false, axis: null },
    params: { scale: Float32Array.of(scale), zeroPoint: Int32Array.of(zeroPoint) },
  };
}
