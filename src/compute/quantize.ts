// QuantizeLinear and DequantizeLinear as ONNX 21 defines them: one scale a tensor, an index of an axis, or a
// block along an axis. Rounding and clipping are those of src/quant/affine.ts.

import type { DType, Tensor } from "../base/tensor.js";
import { intAttribute } from "../graph/graph.js";
import { clip, roundHalfEven } from "../quant/affine.js";
import { dtypeOfNumber } from "./cast.js";
import type { Call, Kernel } from "./kernel.js";
import {
  axisOf,
  float32At,
  inputAt,
  invalid,
  newTensor,
  numbersAt,
  optionalInput,
  unsupported,
} from "./kernel.js";
import { around } from "./shapes.js";

/** Lowest and highest integer of a type that a tensor can be quantized to. */
export const RANGE_BY_DTYPE: Readonly<Partial<Record<DType, readonly [low: number, high: number]>>> = {
  uint4: [0, 15],
  int4: [-8, 7],
  uint8: [0, 255],
  int8: [-128, 127],
  uint16: [0, 65535],
  int16: [-32768, 32767],
};

/** `saturate(roundHalfEven(fl(x / scale)) + zeroPoint)` (ONNX QuantizeLinear). */
export const quantizeLinear: Kernel = (call) => {
  const x = inputAt(call, 0);
  const scale = float32At(call, 1);
  const zero = optionalInput(call, 2);
  const number = intAttribute(call.node, "output_dtype", 0);
  const dtype: DType = zero ? zero.dtype : number === 0 ? "uint8" : dtypeOfNumber(call, number);
  const range = RANGE_BY_DTYPE[dtype];
  if (!range) throw unsupported(call, `quantization to ${dtype}`);
  if (x.dtype !== "float32") throw unsupported(call, `quantization of ${x.dtype}`);
  const [low, high] = range;
  const zeroPoint = zero ? numbersAt(call, 2) : null;
  const parameter = parameterIndex(call, x.shape);
  const y = newTensor(call, dtype, x.shape) as Tensor;
  for (let i = 0; i < y.data.length; i++) {
    const k = parameter(i);
    const ratio = Math.fround((x.data[i] as number) / (scale[k] as number));
    const offset = zeroPoint ? (zeroPoint[k] as number) : 0;
    y.data[i] = clip(roundHalfEven(ratio) + offset, low, high) as never;
  }
  return [y];
};

/** `fl(fl(x - zeroPoint) * scale)` (ONNX DequantizeLinear). */
export const dequantizeLinear: Kernel = (call) => {
  const x = inputAt(call, 0);
  const q = numbersAt(call, 0);
  const scale = float32At(call, 1);
  if (!RANGE_BY_DTYPE[x.dtype] && x.dtype !== "int32")
    throw unsupported(call, `dequantization of ${x.dtype}`);
  const zero = optionalInput(call, 2);
  if (zero && zero.dtype !== x.dtype) {
    throw invalid(call, `zero point: got ${zero.dtype}, expected ${x.dtype} as the input`);
  }
  const zeroPoint = zero ? numbersAt(call, 2) : null;
  const parameter = parameterIndex(call, x.shape);
  const y = newTensor(call, "float32", x.shape);
  for (let i = 0; i < q.length; i++) {
    const k = parameter(i);
    const difference = (q[i] as number) - (zeroPoint ? (zeroPoint[k] as number) : 0);
    y.data[i] = Math.fround(difference) * (scale[k] as number);
  }
  return [y];
};

/** Which scale belongs to element i of a tensor of this shape. */
function parameterIndex(call: Call, shape: readonly number[]): (i: number) => number {
  const scale = inputAt(call, 1);
  const zero = optionalInput(call, 2);
  if (zero && zero.data.length !== scale.data.length) {
    throw invalid(call, `got ${scale.data.length} scales and ${zero.data.length} zero points`);
  }
  const block = intAttribute(call.node, "block_size", 0);
  if (block === 0 && scale.data.length === 1) return () => 0;
  const axis = axisOf(call, intAttribute(call.node, "axis", 1), shape.length);
  const [, size, inner] = around(shape, axis);
  const expected = block === 0 ? size : scale.shape[axis];
  if (block === 0) {
    if (scale.shape.length !== 1 || scale.data.length !== size) {
      throw invalid(call, `got ${scale.data.length} scales, expected ${expected} along axis ${axis}`);
    }
    return (i) => Math.floor(i / inner) % size;
  }
  const blocks = Math.ceil(size / block);
  const fits = shape.every((dim, a) => scale.shape[a] === (a === axis ? blocks : dim));
  if (!fits || scale.shape.length !== shape.length) {
    throw invalid(
      call,
      `scale shape [${scale.shape.join(", ")}] for blocks of ${block} of [${shape.join(", ")}]`,
    );
  }
  return (i) => {
    const outer = Math.floor(i / (inner * size));
    const along = Math.floor(i / inner) % size;
    return (outer * blocks + Math.floor(along / block)) * inner + (i % inner);
  };
}
