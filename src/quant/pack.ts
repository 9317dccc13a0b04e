// Bit-planes: b-bit integers in exactly b bits each, in the order that a runtime unpacks cheapest. Knows
// nothing of ONNX; the function that unpacks in a file is written by the lowering, after the formula here.

import { QdgError } from "../base/error.js";
import { checkBits } from "./spec.js";

/**
 * Bytes of one plane: `ceil(n / 8)`.
 */
export function planeBytes(n: number): number {
  return Math.ceil(n / 8);
}

/**
 * `bits` planes of ceil(n/8) bytes, one after the other. Plane b holds bit b of the two's complement
 * integers: element i is at byte `i >> 3`, bit `i & 7` (lowest bit first). Bits past the end are 0.
 *
 * How a runtime unpacks them, in uint8 arithmetic, P = ceil(n/8), `plane[b]` of shape [P, 1], `j` = 0..7:
 * ```
 * bit[b]  = (plane[b] >> j) & 1                     [P, 8], row-major: element i at flat index i
 * u       = bit[0] | bit[1] << 1 | ... | bit[bits-1] << (bits-1)
 * s       = u & (1 << (bits-1))                     the sign bit
 * s       = s | s << 1;  s | s << 2;  s | s << 4    doubling shifts, as many as reach bit 7
 * q       = (int8)(u | s)                           the cast wraps; then the first n elements
 * ```
 * The same by tables, which ONNX Runtime folds 2 to 4 times faster at load and with less memory (one
 * `Gather` of rows of 8 a plane instead of shifts over all elements):
 * ```
 * T[b][v][j] = ((v >> j) & 1) * 2^b                 int8 [256, 8], v = 0..255
 * T[b][v][j] = ((v >> j) & 1) * -2^b                for the sign plane b = bits-1: sign extension is in it
 * q          = T[0][plane[0]] | T[1][plane[1]] | ...  then the first n elements
 * ```
 * That elements which are neighbours share a byte is what makes a row of the table contiguous.
 *
 * @throws QdgError `invalid-quantization` for bits outside 2..8, `internal` for an integer that does not
 * fit in `bits` bits
 */
export function packBitPlanes(q: Int8Array | Int32Array, bits: number): Uint8Array<ArrayBuffer> {
  checkBits(bits, "packBitPlanes");
  const stride = planeBytes(q.length);
  const planes = new Uint8Array(bits * stride);
  const unused = 32 - bits;
  for (let i = 0; i < q.length; i++) {
    const integer = q[i] as number;
    if ((integer << unused) >> unused !== integer) {
      throw new QdgError(
        "internal",
        "packBitPlanes",
        `element ${i}: got ${integer}, which needs over ${bits} bits`,
      );
    }
    const position = i & 7;
    for (let b = 0, at = i >> 3; b < bits; b++, at += stride) {
      planes[at] = (planes[at] as number) | (((integer >> b) & 1) << position);
    }
  }
  return planes;
}

/**
 * The inverse of {@link packBitPlanes}.
 *
 * @param n number of elements
 * @throws QdgError `invalid-quantization` for bits outside 2..8, `invalid-data` when `planes` does not
 * have bits * ceil(n/8) bytes
 */
export function unpackBitPlanes(planes: Uint8Array, bits: number, n: number): Int8Array<ArrayBuffer> {
  checkBits(bits, "unpackBitPlanes");
  const stride = planeBytes(n);
  if (!Number.isSafeInteger(n) || n < 0 || planes.length !== bits * stride) {
    throw new QdgError(
      "invalid-data",
      "bit-planes",
      `got ${planes.length} bytes for ${n} integers of ${bits} bits, expected ${bits * stride}; the file is damaged`,
    );
  }
  spread ??= spreadBits();
  const words = new Uint32Array(2 * stride);
  // Eight integers at a time, a byte each; the bits of the sign's plane stand for all higher ones, too.
  const sign = 256 - 2 ** (bits - 1);
  for (let i = 0; i < stride; i++) {
    let row = 2 * (planes[(bits - 1) * stride + i] as number);
    let low = Math.imul(spread[row] as number, sign);
    let high = Math.imul(spread[row + 1] as number, sign);
    for (let b = 0, at = i; b < bits - 1; b++, at += stride) {
      row = 2 * (planes[at] as number);
      low |= (spread[row] as number) << b;
      high |= (spread[row + 1] as number) << b;
    }
    words[2 * i] = low;
    words[2 * i + 1] = high;
  }
  return new Int8Array(words.buffer, 0, n);
}

let spread: Uint32Array | undefined;

/** The bits of every byte as eight bytes, lowest first: two words each, in the order of the machine. */
function spreadBits(): Uint32Array {
  const rows = Uint8Array.from({ length: 256 * 8 }, (_, i) => ((i >> 3) >> (i & 7)) & 1);
  return new Uint32Array(rows.buffer);
}
