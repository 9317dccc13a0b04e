// Recognizes the nodes that ONNX Runtime computes as one integer kernel, by its own conditions: what stands
// between has one reader and is no output. What they compute is for the reference and the engine to do.

import type { DType, Tensor } from "../base/tensor.js";
import type { Graph, Node, Value } from "../graph/graph.js";
import { consumers, floatAttribute, intAttribute } from "../graph/graph.js";
import { RANGE_BY_DTYPE } from "./quantize.js";

/** The parameters of a DequantizeLinear: x = (q - zeroPoint[k]) * scale[k], k along `axis` or 0. */
export interface Operand {
  readonly scale: Float32Array;
  readonly zeroPoint: ArrayLike<number>;
  readonly axis: number;
}

/** A value computed by DequantizeLinear, and the integers it is computed from. */
export interface Dequantized extends Operand {
  readonly q: Value;
}

/** The parameters of the QuantizeLinear at the end. `floor`: the lowest result, raised by a Relu. */
export interface Target {
  readonly dtype: DType;
  readonly scale: number;
  readonly zeroPoint: number;
  readonly floor: number;
  readonly low: number;
  readonly high: number;
}

interface Pattern {
  /** The operator in the middle. */
  readonly node: Node;
  /** What is computed, by the last node of the pattern. */
  readonly outputs: readonly Value[];
}

/** Conv, Gemm or MatMul; to float32 without a target. */
export interface WeightedPattern extends Pattern {
  readonly kind: "weighted";
  readonly x: Dequantized;
  readonly w: Dequantized;
  /** At exactly `fl(s_x * s_w[k])`. */
  readonly bias: Int32Array | null;
  readonly target: Target | null;
}

export interface PairPattern extends Pattern {
  readonly kind: "add" | "mul";
  readonly a: Dequantized;
  readonly b: Dequantized;
  readonly target: Target;
}

export interface PoolPattern extends Pattern {
  readonly kind: "average" | "global-average";
  readonly x: Dequantized;
  readonly target: Target;
}

export type IntegerPattern = WeightedPattern | PairPattern | PoolPattern;

/**
 * All patterns, each under the node whose output it computes:
 *
 * - DequantizeLinear of both operands (and an int32 bias at scale s_x * s_w) -> Conv, Gemm or MatMul
 *   [-> Relu] -> QuantizeLinear; the same without QuantizeLinear, to float
 * - DequantizeLinear of both operands -> Add or Mul [-> Relu] -> QuantizeLinear
 * - DequantizeLinear -> AveragePool or GlobalAveragePool [-> Relu] -> QuantizeLinear
 *
 * A Relu after anything but a weighted sum only where the zero point is the lowest integer.
 */
export function integerPatterns(
  graph: Graph,
  constants: ReadonlyMap<Value, Tensor>,
): Map<Node, IntegerPattern> {
  const finder = new PatternFinder(graph, constants);
  const patterns = new Map<Node, IntegerPattern>();
  const taken = new Set<Node>();
  for (const node of graph.nodes) {
    if (node.domain !== "" || node.op !== "QuantizeLinear") continue;
    const found = finder.endingAt(node);
    if (!found) continue;
    patterns.set(node, found);
    taken.add(found.node);
  }
  for (const node of graph.nodes) {
    if (node.domain !== "" || taken.has(node)) continue;
    const found = finder.weighted(node, null);
    if (found) patterns.set(node, { ...found, outputs: node.outputs });
  }
  return patterns;
}

class PatternFinder {
  readonly #constants: ReadonlyMap<Value, Tensor>;
  readonly #uses: ReadonlyMap<Value, readonly Node[]>;
  readonly #outputs: ReadonlySet<Value>;

  constructor(graph: Graph, constants: ReadonlyMap<Value, Tensor>) {
    this.#constants = constants;
    this.#uses = consumers(graph);
    this.#outputs = new Set(graph.outputs);
  }

  endingAt(quantizer: Node): IntegerPattern | null {
    let target = this.#target(quantizer);
    if (!target) return null;
    let node = this.#onlyProducer(quantizer.inputs[0]);
    let relu = false;
    if (node?.op === "Relu") {
      relu = true;
      target = { ...target, floor: target.zeroPoint };
      node = this.#onlyProducer(node.inputs[0]);
    }
    if (!node || node.domain !== "") return null;
    const found = this.weighted(node, target);
    if (found) return { ...found, outputs: quantizer.outputs };
    if (relu && target.zeroPoint !== target.low) return null;
    const other = this.#pair(node, target) ?? this.#pool(node, target);
    return other && { ...other, outputs: quantizer.outputs };
  }

  /** A Conv, Gemm or MatMul of dequantized operands; to float without a target. */
  weighted(node: Node, target: Target | null): WeightedPattern | null {
    if (node.op !== "Conv" && node.op !== "Gemm" && node.op !== "MatMul") return null;
    const x = this.#dequantized(node.inputs[0]);
    const w = this.#dequantized(node.inputs[1]);
    if (!x || !w || x.scale.length !== 1) return null;
    const transposedB = intAttribute(node, "transB", 0) !== 0;
    if (node.op === "Gemm" && !isPlainGemm(node)) return null;
    const axis =
      node.op === "Conv" || transposedB ? 0 : node.op === "Gemm" ? 1 : Math.max(1, w.q.shape.length - 1);
    if (w.scale.length > 1 && w.axis !== axis) return null;
    const bias = node.inputs[2] ? this.#bias(node.inputs[2], x, w) : null;
    if (bias === undefined) return null;
    return { kind: "weighted", node, outputs: [], x, w, bias, target };
  }

  #pair(node: Node, target: Target): PairPattern | null {
    if (node.op !== "Add" && node.op !== "Mul") return null;
    const a = this.#dequantized(node.inputs[0]);
    const b = this.#dequantized(node.inputs[1]);
    if (!a || !b || a.scale.length !== 1 || b.scale.length !== 1) return null;
    return { kind: node.op === "Add" ? "add" : "mul", node, outputs: [], a, b, target };
  }

  #pool(node: Node, target: Target): PoolPattern | null {
    if (node.op !== "AveragePool" && node.op !== "GlobalAveragePool") return null;
    const x = this.#dequantized(node.inputs[0]);
    if (!x || x.scale.length !== 1) return null;
    const kind = node.op === "AveragePool" ? "average" : "global-average";
    return { kind, node, outputs: [], x, target };
  }

  /** The node that computes `value` for one reader alone. */
  #onlyProducer(value: Value | null | undefined): Node | undefined {
    if (!value || this.#outputs.has(value) || this.#uses.get(value)?.length !== 1) return undefined;
    return value.producer;
  }

  #dequantized(value: Value | null | undefined): Dequantized | null {
    const node = value?.producer;
    if (node?.op !== "DequantizeLinear" || node.domain !== "") return null;
    const q = node.inputs[0];
    const scale = node.inputs[1] && this.#constants.get(node.inputs[1]);
    const zero = node.inputs[2] ? this.#constants.get(node.inputs[2]) : null;
    if (!q || (q.dtype !== "uint8" && q.dtype !== "int8") || scale?.dtype !== "float32") return null;
    if (zero === undefined || scale.shape.length > 1 || intAttribute(node, "block_size", 0) !== 0)
      return null;
    if (zero && zero.data.length !== scale.data.length) return null;
    return {
      q,
      scale: scale.data as Float32Array,
      zeroPoint: (zero?.data as ArrayLike<number> | undefined) ?? new Uint8Array(scale.data.length),
      axis: intAttribute(node, "axis", 1),
    };
  }

  #target(quantizer: Node): Target | null {
    const scale = quantizer.inputs[1] && this.#constants.get(quantizer.inputs[1]);
    const zero = quantizer.inputs[2] ? this.#constants.get(quantizer.inputs[2]) : null;
    const dtype = quantizer.outputs[0]?.dtype;
    if (scale?.dtype !== "float32" || scale.data.length !== 1 || zero === undefined) return null;
    if (dtype !== "uint8" && dtype !== "int8") return null;
    const [low, high] = RANGE_BY_DTYPE[dtype] as readonly [number, number];
    const zeroPoint = zero ? Number(zero.data[0]) : 0;
    return { dtype, scale: Number(scale.data[0]), zeroPoint, floor: low, low, high };
  }

  /** The integers of a bias at exactly `fl(s_x * s_w[k])`; undefined for any other bias. */
  #bias(value: Value, x: Operand, w: Operand): Int32Array | undefined {
    const node = value.producer;
    if (node?.op !== "DequantizeLinear" || node.domain !== "" || node.inputs[2]) return undefined;
    const bias = node.inputs[0] && this.#constants.get(node.inputs[0]);
    const scale = node.inputs[1] && this.#constants.get(node.inputs[1]);
    if (bias?.dtype !== "int32" || scale?.dtype !== "float32") return undefined;
    if (bias.shape.at(-1) !== bias.data.length) return undefined;
    const scales = scale.data as Float32Array;
    const count = Math.max(scales.length, w.scale.length);
    for (let k = 0; k < count; k++) {
      const scaleW = w.scale[w.scale.length > 1 ? k : 0] as number;
      const expected = Math.fround((x.scale[0] as number) * scaleW);
      if (scales[scales.length > 1 ? k : 0] !== expected) return undefined;
    }
    return bias.data as Int32Array;
  }
}

function isPlainGemm(node: Node): boolean {
  return (
    intAttribute(node, "transA", 0) === 0 &&
    floatAttribute(node, "alpha", 1) === 1 &&
    floatAttribute(node, "beta", 1) === 1
  );
}
