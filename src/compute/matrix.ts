// Matrix products, summed in double as convolutions are: exact for integers.

import { floatAttribute, intAttribute } from "../graph/graph.js";
import type { Call, Kernel } from "./kernel.js";
import { checkedSize, float32At, inputAt, invalid, newTensor, optionalInput } from "./kernel.js";
import { broadcastIndex, broadcastShape, walk } from "./shapes.js";

/** `y[i, k] = sum over c of a[i, c] * b[c, k]`; a [M, C], b [C, K] or, transposed, [K, C]. */
export function multiply(
  a: Float32Array,
  b: Float32Array,
  [M, C, K]: readonly [number, number, number],
  transposedB: boolean,
): Float64Array {
  const y = new Float64Array(M * K);
  for (let i = 0; i < M; i++) {
    for (let k = 0; k < K; k++) {
      let sum = 0;
      let at = transposedB ? k * C : k;
      const step = transposedB ? 1 : K;
      for (let c = 0; c < C; c++) {
        sum += (a[i * C + c] as number) * (b[at] as number);
        at += step;
      }
      y[i * K + k] = sum;
    }
  }
  return y;
}

/** Shapes of ONNX MatMul: batch axes broadcast, vectors count as a row or a column. */
export interface MatMulGeometry {
  readonly M: number;
  readonly C: number;
  readonly K: number;
  /** Where each product's matrices begin. */
  readonly startA: Int32Array;
  readonly startB: Int32Array;
  readonly outputShape: readonly number[];
}

export function matMulGeometry(call: Call, a: readonly number[], b: readonly number[]): MatMulGeometry {
  const left = a.length === 1 ? [1, ...a] : a;
  const right = b.length === 1 ? [...b, 1] : b;
  const [M = 0, C = 0] = left.slice(-2);
  const [inner = 0, K = 0] = right.slice(-2);
  const batchA = left.slice(0, -2);
  const batchB = right.slice(0, -2);
  const batch = broadcastShape([batchA, batchB]);
  if (a.length === 0 || b.length === 0 || C !== inner || !batch) {
    throw invalid(call, `cannot multiply [${a.join(", ")}] by [${b.join(", ")}]`);
  }
  // Before the index below, which is as long as there are products.
  checkedSize(call, [...batch, M, K]);
  const starts = (own: readonly number[], size: number): Int32Array =>
    broadcastIndex(own, batch).map((at) => at * size);
  const outputShape = [...batch, ...(a.length === 1 ? [] : [M]), ...(b.length === 1 ? [] : [K])];
  return { M, C, K, startA: starts(batchA, M * C), startB: starts(batchB, C * K), outputShape };
}

/** All the products, one after the other. */
export function multiplyBatches(a: Float32Array, b: Float32Array, geometry: MatMulGeometry): Float64Array {
  const { M, C, K, startA, startB } = geometry;
  const y = new Float64Array(startA.length * M * K);
  startA.forEach((from, i) => {
    const start = startB[i] as number;
    const product = multiply(
      a.subarray(from, from + M * C),
      b.subarray(start, start + C * K),
      [M, C, K],
      false,
    );
    y.set(product, i * M * K);
  });
  return y;
}

export const matMul: Kernel = (call) => {
  const a = float32At(call, 0);
  const b = float32At(call, 1);
  const geometry = matMulGeometry(call, inputAt(call, 0).shape, inputAt(call, 1).shape);
  const y = newTensor(call, "float32", geometry.outputShape);
  y.data.set(multiplyBatches(a, b, geometry));
  return [y];
};

/** `fl(alpha * (A x B) + beta * C)` (ONNX Gemm). */
export const gemm: Kernel = (call) => {
  const { M, C, K, transposedA, transposedB } = gemmGeometry(
    call,
    inputAt(call, 0).shape,
    inputAt(call, 1).shape,
  );
  const alpha = floatAttribute(call.node, "alpha", 1);
  const beta = floatAttribute(call.node, "beta", 1);
  let a = float32At(call, 0);
  if (transposedA) {
    const original = a;
    a = Float32Array.from(walk([M, C], [1, M], 0), (at) => original[at] as number);
  }
  const sums = multiply(a, float32At(call, 1), [M, C, K], transposedB);
  const y = newTensor(call, "float32", [M, K]);
  const bias = optionalInput(call, 2);
  const index = bias ? biasIndex(call, bias.shape, [M, K]) : null;
  const values = bias ? float32At(call, 2) : null;
  for (let i = 0; i < sums.length; i++) {
    const offset = index && values ? beta * (values[index[i] as number] as number) : 0;
    y.data[i] = alpha * (sums[i] as number) + offset;
  }
  return [y];
};

/** For each element of the product, the bias that is added to it. */
export function biasIndex(call: Call, bias: readonly number[], output: readonly number[]): Int32Array {
  const shape = broadcastShape([bias, output]);
  if (!shape || shape.some((dim, axis) => dim !== output[axis])) {
    throw invalid(call, `bias [${bias.join(", ")}] for [${output.join(", ")}]`);
  }
  return broadcastIndex(bias, output);
}

export interface GemmGeometry {
  readonly M: number;
  readonly C: number;
  readonly K: number;
  readonly transposedA: boolean;
  readonly transposedB: boolean;
}

export function gemmGeometry(call: Call, a: readonly number[], b: readonly number[]): GemmGeometry {
  const transposedA = intAttribute(call.node, "transA", 0) !== 0;
  const transposedB = intAttribute(call.node, "transB", 0) !== 0;
  const [M = 0, C = 0] = transposedA ? [...a].reverse() : a;
  const [inner = 0, K = 0] = transposedB ? [...b].reverse() : b;
  if (a.length !== 2 || b.length !== 2 || C !== inner) {
    throw invalid(call, `cannot multiply [${a.join(", ")}] by [${b.join(", ")}]`);
  }
  checkedSize(call, [M, K]);
  return { M, C, K, transposedA, transposedB };
}
