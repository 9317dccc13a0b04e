// Recognizes integer sums that a file spells out in float32: a product, a sum or an addition of whole numbers below 2^24,
// times m, rounded by a QuantizeLinear of scale 1. Lowering writes them where no integer kernel computes what it should.

import type { Tensor } from "../base/tensor.js";
import type { Node, Value } from "../graph/graph.js";
import type { ByteFunctions } from "./byte-functions.js";

/** Of bytes: `q - zeroPoint`. */
export interface Centred {
  readonly source: Value;
  readonly zeroPoint: number;
}

/** What is multiplied by `multiplier` (one, or one a channel) and rounded. */
export interface ExactSum {
  readonly node: Node;
  readonly operands: readonly Centred[];
  readonly multiplier: Float32Array;
  /** The Relu in between: nothing below the zero point is left. */
  readonly rectified: boolean;
}

const CORES: ReadonlySet<string> = new Set([
  "Conv",
  "ConvTranspose",
  "Gemm",
  "MatMul",
  "ReduceSum",
  "Add",
  "Mul",
]);
/** The clamp that keeps runtimes from folding m into weights: sums never reach it. */
const GUARD = 2 ** 24;

/** The sum that the input of a QuantizeLinear at scale 1 is; null for anything else. */
export function exactSum(
  quantizer: Node,
  constants: ReadonlyMap<Value, Tensor>,
  functions: ByteFunctions,
): ExactSum | null {
  const scale = quantizer.inputs[1] && constants.get(quantizer.inputs[1]);
  if (scale?.data.length !== 1 || Number(scale.data[0]) !== 1) return null;
  let node = quantizer.inputs[0]?.producer;
  let multiplier = Float32Array.of(1);
  const factor = node?.op === "Mul" ? node.inputs[1] && constants.get(node.inputs[1]) : undefined;
  if (node && factor?.dtype === "float32") {
    multiplier = Float32Array.from(factor.data as Float32Array);
    node = node.inputs[0]?.producer;
  }
  const rectified = node?.op === "Relu";
  if (node && (rectified || isGuard(node, constants))) node = node.inputs[0]?.producer;
  if (!node || node.domain !== "" || !CORES.has(node.op)) return null;
  if (rectified && multiplier.some((m) => m < 0)) return null;
  const data = node.op === "Add" || node.op === "Mul" ? node.inputs : node.inputs.slice(0, 1);
  const operands = data.map((value) => value && centred(value, functions));
  if (operands.length === 0 || operands.some((operand) => !operand)) return null;
  return { node, operands: operands as Centred[], multiplier, rectified };
}

function isGuard(node: Node, constants: ReadonlyMap<Value, Tensor>): boolean {
  const [, low, high] = node.inputs.map((input) => input && Number(constants.get(input)?.data[0]));
  return node.op === "Clip" && low === -GUARD && high === GUARD;
}

/** A value of whole numbers, each a byte less a zero point; null for any other. */
export function centred(value: Value, functions: ByteFunctions): Centred | null {
  const found = functions.of(value);
  if (found?.table.dtype !== "float32") return null;
  const table = found.table.data as Float32Array;
  const zeroPoint = -(table[0] as number);
  if (!Number.isInteger(zeroPoint) || zeroPoint < 0 || zeroPoint > 255) return null;
  return table.every((real, byte) => real === byte - zeroPoint) ? { source: found.source, zeroPoint } : null;
}

/** Integer weights and bias of a sum of real ones, and the power of two that makes them so, an output channel each. */
export interface WholeWeights {
  readonly weights: Int8Array;
  readonly bias: Int32Array;
  /** What each multiplier is divided by. */
  readonly factor: Float32Array;
}

const MOST_FACTOR = 2 ** 24;

/** @param weights [K, ...] @returns null where no power of two makes them integers of eight bits */
export function wholeWeights(
  weights: Float32Array,
  bias: Float32Array | null,
  K: number,
): WholeWeights | null {
  const count = weights.length / K;
  const result = {
    weights: new Int8Array(weights.length),
    bias: new Int32Array(K),
    factor: new Float32Array(K),
  };
  for (let k = 0; k < K; k++) {
    const row = weights.subarray(k * count, (k + 1) * count);
    const shift = bias?.[k] ?? 0;
    const factor = wholeFactor(row, shift);
    if (!Number.isInteger(shift * factor)) return null;
    for (let i = 0; i < count; i++) {
      const weight = (row[i] as number) * factor;
      result.weights[k * count + i] = weight;
      if (result.weights[k * count + i] !== weight) return null;
    }
    result.bias[k] = shift * factor;
    result.factor[k] = factor;
  }
  return result;
}

/** The least power of two from 1 that makes all of them integers, or a smaller one where weights are above eight bits. */
function wholeFactor(row: Float32Array, shift: number): number {
  let factor = 1;
  const widen = (number: number): void => {
    while (factor < MOST_FACTOR && Math.trunc(number * factor) !== number * factor) factor *= 2;
  };
  let [least, most] = [0, 0];
  for (const weight of row) {
    widen(weight);
    least = Math.min(least, weight);
    most = Math.max(most, weight);
  }
  widen(shift);
  // Powers of two above 1 that lowering multiplied all by are taken out again.
  while (factor > 1 / MOST_FACTOR && (least * factor < -128 || most * factor > 127)) factor /= 2;
  return factor;
}
