// Cast between element types. A float outside an integer type's range has no defined result in ONNX and
// runtimes differ there: it is refused.

import { QdgError } from "../base/error.js";
import type { DType, Tensor } from "../base/tensor.js";
import { intAttribute } from "../graph/graph.js";
import { dataTypeName, dtypeOf } from "../onnx/data-type.js";
import type { Call, Kernel } from "./kernel.js";
import { inputAt, isBig, newTensor, unsupported, whereOf } from "./kernel.js";

/** Width in bits and sign of the integer types. */
const INTEGERS: Readonly<Partial<Record<DType, readonly [bits: number, signed: boolean]>>> = {
  int4: [4, true],
  uint4: [4, false],
  int8: [8, true],
  uint8: [8, false],
  int16: [16, true],
  uint16: [16, false],
  int32: [32, true],
  uint32: [32, false],
  int64: [64, true],
  uint64: [64, false],
};

/** The type that attribute `to` names. @throws QdgError `unsupported-op` */
export function dtypeOfNumber(call: Call, number: number): DType {
  const dtype = dtypeOf(number);
  if (!dtype) throw unsupported(call, `element type ${dataTypeName(number)}`);
  return dtype;
}

/**
 * Integer to integer wraps, float to integer truncates towards zero, anything to bool is `x != 0`.
 *
 * @throws QdgError `runtime` for NaN or a float outside the integer type
 */
export const cast: Kernel = (call) => {
  const x = inputAt(call, 0);
  const to = dtypeOfNumber(call, intAttribute(call.node, "to", 0));
  return [castTo(call, x, to)];
};

/** Cast to the type of the second input. */
export const castLike: Kernel = (call) => [castTo(call, inputAt(call, 0), inputAt(call, 1).dtype)];

function castTo(call: Call, x: Tensor, to: DType): Tensor {
  if (x.dtype === to) return x;
  const y = newTensor(call, to, x.shape) as Tensor;
  if ((to === "float32" || to === "float64") && x.dtype !== "float16" && !isBig(x)) {
    // A typed array takes them one by one as they are.
    (y.data as Float32Array).set(x.data as Float32Array);
    return y;
  }
  const integer = INTEGERS[to];
  const fromInteger = INTEGERS[x.dtype] !== undefined || x.dtype === "bool";
  for (let i = 0; i < y.data.length; i++) {
    const raw = x.data[i] as number | bigint;
    const value = x.dtype === "float16" ? fromFloat16(raw as number) : raw;
    if (to === "bool") {
      y.data[i] = Number(Number(value) !== 0) as never;
    } else if (integer) {
      y.data[i] = toInteger(call, value, integer, fromInteger, isBig(y)) as never;
    } else if (to === "float16") {
      y.data[i] = toFloat16(Number(value)) as never;
    } else {
      y.data[i] = Number(value) as never;
    }
  }
  return y;
}

function toInteger(
  call: Call,
  value: number | bigint,
  [bits, signed]: readonly [number, boolean],
  fromInteger: boolean,
  big: boolean,
): number | bigint {
  if (!fromInteger) {
    const whole = Math.trunc(Number(value));
    const low = signed ? -(2 ** (bits - 1)) : 0;
    const high = signed ? 2 ** (bits - 1) : 2 ** bits;
    // The upper bound itself is outside; -0.5 truncates to -0, which is inside.
    if (!(whole >= low && whole < high)) {
      throw new QdgError(
        "runtime",
        whereOf(call.node),
        `got ${value}, which no integer of ${bits} bits holds; ONNX leaves the result open, so clip it first`,
      );
    }
    return big ? BigInt(whole) : whole;
  }
  const wrapped = signed ? BigInt.asIntN(bits, BigInt(value)) : BigInt.asUintN(bits, BigInt(value));
  return big ? wrapped : Number(wrapped);
}

/** IEEE 754 binary16 bits to the number that they stand for, exactly. */
export function fromFloat16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The bits of the nearest binary16 number, ties to even; beyond 65520 infinity. */
export function toFloat16(x: number): number {
  if (Number.isNaN(x)) return 0x7e00;
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  const a = Math.abs(x);
  if (a >= 65520) return sign | 0x7c00;
  const exponent = Math.max(a < 2 ** -14 ? -14 : Math.floor(Math.log2(a)), -14);
  const shift = 6755399441055744;
  const units = a / 2 ** (exponent - 10) + shift - shift;
  // Units of 2^(exponent-10): 1024 of them are the hidden bit, and a carry moves to the next exponent.
  return sign | ((exponent + 14) * 1024 + units);
}
