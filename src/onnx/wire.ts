// The primitives of the protobuf wire format: varints, fixed words, strings, runs of bytes. Knows nothing of
// messages. Reading past the end or a malformed value throws a WireError, which the codec turns into a QdgError.

import type { Int64 } from "./model-proto.js";

/** A malformed byte sequence; never leaves src/onnx. */
export class WireError extends Error {}

/** Wire types of the format; 3 and 4 (groups) do not occur in ONNX. */
export const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

const TWO_32 = 4294967296;
// A byte-order mark in a string is a character like any other: it has to survive.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const utf8Encoder = new TextEncoder();

export class WireReader {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  pos = 0;
  // Halves of the varint read last: a bigint for each would make large lists slow.
  #low = 0;
  #high = 0;

  constructor(bytes: Uint8Array) {
    // A Buffer among others: its slices and views are to be plain Uint8Arrays.
    this.bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** An unsigned number that fits 32 bits: a tag or a length. */
  uint32(end: number): number {
    this.#varint(end);
    if (this.#high !== 0) throw new WireError("a tag or length is beyond 32 bits");
    return this.#low;
  }

  int32(end: number): number {
    this.#varint(end);
    const value = this.#low | 0;
    // Negative numbers are written with 64 bits, by some writers with 32.
    if (this.#high !== 0 && !(this.#high === 0xffffffff && value < 0)) {
      throw new WireError("an int32 is beyond 32 bits");
    }
    return value;
  }

  int64(end: number): Int64 {
    this.#varint(end);
    const value = (this.#high | 0) * TWO_32 + this.#low;
    return Number.isSafeInteger(value) ? value : this.#bigint(this.#high | 0);
  }

  bigInt64(end: number): bigint {
    this.#varint(end);
    return this.#bigint(this.#high | 0);
  }

  bigUint64(end: number): bigint {
    this.#varint(end);
    return this.#bigint(this.#high);
  }

  float(end: number): number {
    return this.#view.getFloat32(this.#take(4, end), true);
  }

  double(end: number): number {
    return this.#view.getFloat64(this.#take(8, end), true);
  }

  /** The end of a run of bytes whose length stands here; the run starts at `pos`. */
  runEnd(end: number): number {
    const length = this.uint32(end);
    if (length > end - this.pos) {
      throw new WireError(`a length of ${length} bytes, but ${end - this.pos} are left`);
    }
    return this.pos + length;
  }

  /** A view, not a copy. */
  view(end: number): Uint8Array {
    const stop = this.runEnd(end);
    const run = this.bytes.subarray(this.pos, stop);
    this.pos = stop;
    return run;
  }

  string(end: number): string {
    try {
      return utf8.decode(this.view(end));
    } catch (thrown) {
      if (thrown instanceof WireError) throw thrown;
      throw new WireError("a string is not UTF-8");
    }
  }

  /** How many varints end in the bytes from `pos` to `stop`. */
  countVarints(stop: number): number {
    let count = 0;
    for (let at = this.pos; at < stop; at++) if ((this.bytes[at] as number) < 0x80) count++;
    return count;
  }

  #take(size: number, end: number): number {
    const at = this.pos;
    if (size > end - at) throw new WireError("the bytes end inside a number");
    this.pos = at + size;
    return at;
  }

  #varint(end: number): void {
    let low = 0;
    let high = 0;
    for (let index = 0; index < 10; index++) {
      if (this.pos >= end) throw new WireError("the bytes end inside a number");
      const byte = this.bytes[this.pos++] as number;
      const bits = byte & 0x7f;
      if (index < 4) low |= bits << (7 * index);
      else if (index === 4) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (7 * index - 32);
      if (byte < 0x80) {
        if (index === 9 && byte > 1) break;
        this.#low = low >>> 0;
        this.#high = high >>> 0;
        return;
      }
    }
    throw new WireError("a number is beyond 64 bits");
  }

  #bigint(high: number): bigint {
    return (BigInt(high) << 32n) | BigInt(this.#low);
  }
}

/** Fills a buffer of the exact size, which was counted with the `...Size` functions below. */
export class WireWriter {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  pos = 0;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.#view = new DataView(this.bytes.buffer);
  }

  /** Any integer in -2^63..2^64-1; negative ones as 64 bits. */
  varint(value: Int64): void {
    if (typeof value === "number" && value >= 0 && value < TWO_32) {
      let rest = value;
      while (rest > 0x7f) {
        this.bytes[this.pos++] = (rest & 0x7f) | 0x80;
        rest = Math.floor(rest / 128);
      }
      this.bytes[this.pos++] = rest;
      return;
    }
    let rest = BigInt.asUintN(64, BigInt(value));
    while (rest > 0x7fn) {
      this.bytes[this.pos++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.bytes[this.pos++] = Number(rest);
  }

  float(value: number): void {
    this.#view.setFloat32(this.pos, value, true);
    this.pos += 4;
  }

  double(value: number): void {
    this.#view.setFloat64(this.pos, value, true);
    this.pos += 8;
  }

  /** A length, then the bytes. */
  run(run: Uint8Array): void {
    this.varint(run.length);
    this.raw(run);
  }

  raw(run: Uint8Array): void {
    this.bytes.set(run, this.pos);
    this.pos += run.length;
  }

  string(text: string): void {
    this.varint(utf8Length(text));
    this.pos += utf8Encoder.encodeInto(text, this.bytes.subarray(this.pos)).written;
  }
}

/** Bytes of a text without lone surrogates as UTF-8. */
export function utf8Length(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    // Two units of a surrogate pair are four bytes.
    if (unit >= 0x80) length += unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 1 : 2;
  }
  return length;
}

/** Bytes of a varint: one for each 7 bits, ten for a negative number. */
export function varintSize(value: Int64): number {
  if (typeof value === "number" && value >= 0) {
    let size = 1;
    for (let limit = 128; value >= limit; limit *= 128) size++;
    return size;
  }
  let size = 1;
  for (let rest = BigInt.asUintN(64, BigInt(value)) >> 7n; rest > 0n; rest >>= 7n) size++;
  return size;
}

/** A length and that many bytes. */
export function runSize(length: number): number {
  return varintSize(length) + length;
}
