// The memory of one loaded network: activations in an arena where what is no longer read makes room, then constants.

import { QdgError } from "../base/error.js";
import type { Storage } from "./bytes.js";
import { sizeOfStorage } from "./bytes.js";
import { type WasmMemory, webAssembly } from "./web-assembly.js";

const PAGE = 65536;
const ALIGNMENT = 64;
/** Kernels read and write whole vectors: up to this many bytes past an image's end. */
const SLACK = 64;
/** Growing takes time: at least this part of the memory at once. */
const FEWEST_PARTS = 16;
/** Address 0 is no address. */
const FIRST = ALIGNMENT;

/** When a storage is written first and read last, as numbers of operations. */
export interface Lifetime {
  readonly storage: Storage;
  readonly first: number;
  readonly last: number;
}

/**
 * Gives every storage its address: each in its turn at the lowest place that no storage of an overlapping lifetime holds.
 *
 * @returns the first address after all
 */
export function placeStorages(lifetimes: readonly Lifetime[]): number {
  const placed: (Lifetime & { readonly end: number })[] = [];
  let end = FIRST;
  for (const lifetime of lifetimes) {
    const size = aligned(sizeOfStorage(lifetime.storage) + SLACK);
    const living = placed
      .filter((other) => other.last >= lifetime.first && other.first <= lifetime.last)
      .sort((a, b) => a.storage.address - b.storage.address);
    let address = FIRST;
    for (const other of living) {
      if (address + size <= other.storage.address) break;
      address = Math.max(address, other.end);
    }
    lifetime.storage.address = address;
    placed.push({ ...lifetime, end: address + size });
    end = Math.max(end, address + size);
  }
  return end;
}

function aligned(size: number): number {
  return Math.ceil(size / ALIGNMENT) * ALIGNMENT;
}

/** Constants after the arena. Views are made anew at every write, as growing detaches them. */
export class EngineMemory {
  readonly memory: WasmMemory;
  #scratch: { readonly address: number; readonly size: number };
  readonly #made = new Map<string, number>();
  #end: number;

  constructor(arenaEnd: number) {
    this.memory = new webAssembly.Memory({ initial: Math.ceil(arenaEnd / PAGE) });
    this.#scratch = { address: FIRST, size: arenaEnd - FIRST - SLACK };
    this.#end = arenaEnd;
  }

  get bytes(): number {
    return this.memory.buffer.byteLength;
  }

  /** @throws QdgError `runtime` where the machine gives no more */
  reserve(size: number): number {
    const address = this.#end;
    this.#end = address + aligned(size + SLACK);
    const missing = this.#end - this.memory.buffer.byteLength;
    if (missing > 0) {
      try {
        this.memory.grow(Math.ceil(Math.max(missing, this.#end / FEWEST_PARTS) / PAGE));
      } catch (thrown) {
        throw new QdgError("runtime", "engine", `got no memory of ${this.#end} bytes; close what else runs`, {
          cause: thrown,
        });
      }
    }
    return address;
  }

  /** The address of what `make` puts, once for each key. */
  once(key: string, make: () => number): number {
    const address = this.#made.get(key) ?? make();
    this.#made.set(key, address);
    return address;
  }

  /** Bytes that `scratch` has without taking more memory. */
  get scratchRoom(): number {
    return this.#scratch.size;
  }

  /** Room for `size` bytes until the next call, or the first run: that of activations, where it is large enough. */
  scratch(size: number): number {
    if (size > this.#scratch.size) this.#scratch = { address: this.reserve(size), size };
    return this.#scratch.address;
  }

  put(values: Int8Array | Uint8Array | Int32Array | Uint32Array | Float32Array): number {
    const address = this.reserve(values.byteLength);
    // A view of the same type: the buffer of a small array would be made for it alone.
    const View = values.constructor as new (
      buffer: ArrayBuffer,
      address: number,
      length: number,
    ) => typeof values;
    new View(this.memory.buffer, address, values.length).set(values);
    return address;
  }

  /** The target of requantize.ts. */
  putTarget(low: number, high: number, zeroPoint: number): number {
    const address = this.reserve(96);
    const { buffer } = this.memory;
    new Float32Array(buffer, address, 12)
      .fill(low - zeroPoint, 0, 4)
      .fill(high - zeroPoint, 4, 8)
      .fill(ROUNDING, 8, 12);
    new Int32Array(buffer, address + 48, 4).fill(ROUNDING_BITS - zeroPoint);
    new Uint8Array(buffer, address + 64, 32).fill(low, 0, 16).fill(high, 16, 32);
    return address;
  }
}

/** 1.5 * 2^23: added to a float32 below 2^22 it leaves the nearest integer in the last bits. */
const ROUNDING = 12582912;
const ROUNDING_BITS = 0x4b400000;
