// The integer arithmetic that ONNX Runtime puts in the place of DequantizeLinear -> operator -> QuantizeLinear.
// Each formula was found equal to its kernels, native and WebAssembly, element by element
// (test/runtime/kernels.test.ts holds the comparison). Which nodes become one is compute/integer-patterns.ts's
// to say.

import type { Tensor } from "../../base/tensor.js";
import { QdgError } from "../../base/error.js";
import { intAttribute } from "../../graph/graph.js";
import { clip, requantize, requantizeMultiplier, roundHalfEven } from "../../quant/affine.js";
import { convolve } from "../../compute/convolution.js";
import { convGeometry, poolGeometry } from "../../compute/geometry.js";
import type { Operand, Target } from "../../compute/integer-patterns.js";
import type { Call } from "../../compute/kernel.js";
import { checkedSize, inputAt, newTensor, numbersOf, whereOf } from "../../compute/kernel.js";
import { gemmGeometry, matMulGeometry, multiply, multiplyBatches } from "../../compute/matrix.js";
import { forEachWindow, globalShape } from "../../compute/pooling.js";
import { around, broadcastIndex, broadcastShape } from "../../compute/shapes.js";

const f = Math.fround;

/** `q - zeroPoint`, exact in float32. */
export function centred(call: Call, q: Tensor, operand: Operand): Float32Array {
  const values = numbersOf(call, q);
  const result = new Float32Array(values.length);
  if (operand.zeroPoint.length === 1) {
    const zeroPoint = operand.zeroPoint[0] as number;
    for (let i = 0; i < result.length; i++) result[i] = (values[i] as number) - zeroPoint;
    return result;
  }
  const [, size, inner] = around(q.shape, operand.axis);
  for (let i = 0; i < result.length; i++) {
    const k = Math.floor(i / inner) % size;
    result[i] = (values[i] as number) - (operand.zeroPoint[k] as number);
  }
  return result;
}

/** Integer sums; element i belongs to output channel `floor(i / inner) % K`. */
interface Sums {
  readonly values: Float64Array;
  readonly shape: readonly number[];
  readonly K: number;
  readonly inner: number;
}

/** The sums of a Conv, Gemm or MatMul of integers, padding contributing 0. */
function sumsOf(call: Call, x: Float32Array, w: Float32Array): Sums {
  const shapeX = inputAt(call, 0).shape;
  const shapeW = inputAt(call, 1).shape;
  if (call.node.op === "Conv") {
    const geometry = convGeometry(call, shapeX, shapeW);
    checkedSize(call, geometry.outputShape);
    const [, , inner] = around(geometry.outputShape, 1);
    return { values: convolve(x, w, geometry), shape: geometry.outputShape, K: geometry.K, inner };
  }
  if (call.node.op === "Gemm") {
    const { M, C, K, transposedB } = gemmGeometry(call, shapeX, shapeW);
    return { values: multiply(x, w, [M, C, K], transposedB), shape: [M, K], K, inner: 1 };
  }
  const geometry = matMulGeometry(call, shapeX, shapeW);
  return {
    values: multiplyBatches(x, w, geometry),
    shape: geometry.outputShape,
    K: geometry.K,
    inner: 1,
  };
}

/**
 * `acc = sum (q_x - z_x) * (q_w - z_w) + bias[k]`, then, with a target,
 * `max(requantize(acc, fl(fl(s_x * s_w[k]) / s_y)), floor)` (QLinearConv, QGemm, QLinearMatMul); without one
 * `fl(fl(acc) * fl(s_x * s_w[k]))` (QGemm and MatMulIntegerToFloat do just that; a Conv without
 * QuantizeLinear stays a float Conv in ONNX Runtime, equal to about 1e-6).
 *
 * @throws QdgError `runtime` when a sum leaves int32, where runtimes wrap
 */
export function weightedSum(
  call: Call,
  x: Operand,
  w: Operand,
  bias: Int32Array | null,
  target: Target | null,
  centredWeights: Float32Array | null,
): Tensor {
  const weights = centredWeights ?? centred(call, inputAt(call, 1), w);
  const sums = sumsOf(call, centred(call, inputAt(call, 0), x), weights);
  const { values, K, inner } = sums;
  const scaleX = x.scale[0] as number;
  const y = newTensor(call, target ? target.dtype : "float32", sums.shape) as Tensor;
  // One run of `inner` elements after the other, each of one channel.
  for (let start = 0, k = 0; start < values.length; start += inner, k = (k + 1) % K) {
    const scaleW = w.scale[w.scale.length > 1 ? k : 0] as number;
    const multiplier = target ? requantizeMultiplier(scaleX, scaleW, target.scale) : f(scaleX * scaleW);
    const offset = bias ? (bias[k] as number) : 0;
    for (let i = start; i < start + inner; i++) {
      const sum = (values[i] as number) + offset;
      if (Math.abs(sum) >= 2147483648) throw overflow(call, sum);
      y.data[i] = (target ? quantized(sum, multiplier, target) : f(f(sum) * multiplier)) as never;
    }
  }
  return y;
}

function quantized(sum: number, multiplier: number, target: Target): number {
  const { zeroPoint, low, high, floor } = target;
  return Math.max(requantize(sum, multiplier, zeroPoint, low, high), floor);
}

function overflow(call: Call, sum: number): QdgError {
  return new QdgError("runtime", whereOf(call.node), `a sum of ${sum} leaves int32; use fewer bits`);
}

/**
 * QLinearAdd: `q = clip(roundHalfEven(fl(r_a * q_a + fl(r_b * q_b + offset))))`, `r = fl(s / s_y)`,
 * `offset = fl(z_y - fl(fl(r_a * z_a) + fl(r_b * z_b)))`, each product and sum rounded together (fma).
 *
 * The zero point is added before rounding: at an odd z_y a tie goes the other way than in a run without
 * fusion. With equal scales of the operands native and WebAssembly agree; with unequal ones
 * WebAssembly, which has no fma, differs in about 5 of a million.
 */
export function quantizedAdd(call: Call, a: Operand, b: Operand, target: Target): Tensor {
  const ratioA = f((a.scale[0] as number) / target.scale);
  const ratioB = f((b.scale[0] as number) / target.scale);
  const zeroA = a.zeroPoint[0] as number;
  const zeroB = b.zeroPoint[0] as number;
  const offset = f(target.zeroPoint - f(f(ratioA * zeroA) + f(ratioB * zeroB)));
  return pairwise(call, target, (left, right) => f(ratioA * left + f(ratioB * right + offset)));
}

/**
 * QLinearMul: `q = clip(roundHalfEven(fl(fl((q_a - z_a) * (q_b - z_b) * m) + z_y)))`,
 * `m = fl(fl(s_a * s_b) / s_y)`: the zero point is added before rounding, as in QLinearAdd.
 */
export function quantizedMul(call: Call, a: Operand, b: Operand, target: Target): Tensor {
  const multiplier = requantizeMultiplier(a.scale[0] as number, b.scale[0] as number, target.scale);
  const zeroA = a.zeroPoint[0] as number;
  const zeroB = b.zeroPoint[0] as number;
  return pairwise(call, target, (left, right) =>
    f(f((left - zeroA) * (right - zeroB) * multiplier) + target.zeroPoint),
  );
}

function pairwise(call: Call, target: Target, combine: (a: number, b: number) => number): Tensor {
  const [a, b] = [inputAt(call, 0), inputAt(call, 1)];
  const shape = broadcastShape([a.shape, b.shape]);
  if (!shape) {
    throw new QdgError("invalid-graph", whereOf(call.node), "shapes do not broadcast");
  }
  const y = newTensor(call, target.dtype, shape) as Tensor;
  const left = numbersOf(call, a);
  const right = numbersOf(call, b);
  const indexA = broadcastIndex(a.shape, shape);
  const indexB = broadcastIndex(b.shape, shape);
  for (let i = 0; i < y.data.length; i++) {
    const real = combine(left[indexA[i] as number] as number, right[indexB[i] as number] as number);
    y.data[i] = clip(roundHalfEven(real), target.low, target.high) as never;
  }
  return y;
}

/** QLinearGlobalAveragePool: `requantize(sum (q - z_x), fl(s_x / fl(s_y * count)))`. */
export function quantizedGlobalAverage(call: Call, x: Operand, target: Target): Tensor {
  const input = inputAt(call, 0);
  const q = centred(call, input, x);
  const y = newTensor(call, target.dtype, globalShape(input.shape)) as Tensor;
  const count = q.length / y.data.length;
  const multiplier = f((x.scale[0] as number) / f(target.scale * count));
  for (let i = 0; i < y.data.length; i++) {
    let sum = 0;
    for (let at = i * count; at < (i + 1) * count; at++) sum += q[at] as number;
    y.data[i] = requantize(sum, multiplier, target.zeroPoint, target.low, target.high) as never;
  }
  return y;
}

/**
 * QLinearAveragePool: real numbers, summed in float32 in the order of the window, then
 * `q = clip(roundHalfEven(fl(fl(fl(sum / count) / s_y) + z_y)))`: the zero point is added before rounding.
 */
export function quantizedAverage(call: Call, x: Operand, target: Target): Tensor {
  const input = inputAt(call, 0);
  const q = centred(call, input, x);
  const scale = x.scale[0] as number;
  const geometry = poolGeometry(call, input.shape);
  const includePad = intAttribute(call.node, "count_include_pad", 0) !== 0;
  const y = newTensor(call, target.dtype, geometry.outputShape) as Tensor;
  forEachWindow(geometry, (to, covered, cells) => {
    let sum = 0;
    for (const at of covered) sum = f(sum + f((q[at] as number) * scale));
    const average = f(sum / (includePad ? cells : covered.length));
    const real = f(f(average / target.scale) + target.zeroPoint);
    y.data[to] = clip(roundHalfEven(real), target.low, target.high) as never;
  });
  return y;
}
