// Writes integer weights into a graph: as bit-planes, int4 or bytes, and unpacks them where they are used.
// The unpacking has constant inputs only, so that a runtime folds it away when it loads the file.

import { QdgError } from "../base/error.js";
import { int64, sizeOf, tensor } from "../base/tensor.js";
import type { Value } from "../graph/graph.js";
import { packBitPlanes } from "../quant/pack.js";
import type { Emitter } from "./emitter.js";
import type { WeightStorage } from "./form.js";
import { SHIFT_FUNCTION } from "./shift-function.js";
import { unpackFunctionName } from "./unpack-function.js";

/**
 * 8-bit weights are stored unsigned with this zero point: kernels for signed ones add products of uint8 and
 * int8 in pairs, in int16, on x86-64 without VNNI, and saturate.
 */
export const UINT8_ZERO_POINT = 128;

/** Integers in a file: `value` is int8 or uint8 and holds `q + zeroPoint`. */
export interface StoredWeights {
  readonly value: Value;
  readonly zeroPoint: number;
}

/**
 * @param integers signed, of `bits` bits
 * @param storage for weights below 8 bits
 * @param signed whether 8-bit weights may be signed, which is faster, without saturating anywhere
 * @throws QdgError `invalid-quantization` for int4 storage of more than 4 bits
 */
export function storeWeights(
  emitter: Emitter,
  integers: Int32Array,
  shape: readonly number[],
  bits: number,
  storage: WeightStorage,
  layer: string,
  signed = false,
): StoredWeights {
  if (bits === 8 && signed) {
    return { value: emitter.constant(tensor("int8", shape, Int8Array.from(integers))), zeroPoint: 0 };
  }
  if (bits === 8) {
    const bytes = Uint8Array.from(integers, (q) => q + UINT8_ZERO_POINT);
    return { value: emitter.constant(tensor("uint8", shape, bytes)), zeroPoint: UINT8_ZERO_POINT };
  }
  return { value: storeSigned(emitter, integers, shape, bits, storage, layer), zeroPoint: 0 };
}

/** int8 weights times a power of two, where the file is loaded. */
export function multiplied(emitter: Emitter, weights: Value, factor: number, layer: string): Value {
  if (factor === 1) return weights;
  const { shape } = weights;
  const places = emitter.byte(Math.log2(factor));
  return emitter.node(SHIFT_FUNCTION, layer, [weights, places], { shape, dtype: "int8" }, {}, "qdg");
}

function storeSigned(
  emitter: Emitter,
  integers: Int32Array,
  shape: readonly number[],
  bits: number,
  storage: WeightStorage,
  layer: string,
): Value {
  switch (storage) {
    case "int8":
      return emitter.constant(tensor("int8", shape, Int8Array.from(integers)));
    case "int4": {
      if (bits > 4) {
        throw new QdgError(
          "invalid-quantization",
          layer,
          `int4 storage: got ${bits}-bit weights, expected at most 4 bits; use --weights packed or int8`,
        );
      }
      // Straight into DequantizeLinear, int4 would leave the convolution in float.
      const stored = emitter.constant(tensor("int4", shape, Int8Array.from(integers)));
      return emitter.node("Cast", layer, [stored], { shape, dtype: "int8" }, { to: 3 });
    }
    case "packed": {
      const planes = packBitPlanes(integers, bits);
      return emitter.node(
        unpackFunctionName(bits),
        layer,
        [
          emitter.constant(tensor("uint8", [bits, Math.ceil(sizeOf(shape) / 8)], planes)),
          emitter.constant(int64([shape.length], shape)),
        ],
        { shape, dtype: "int8" },
        {},
        "qdg",
      );
    }
    default:
      throw new QdgError("internal", layer, `unknown storage ${String(storage satisfies never)}`);
  }
}
