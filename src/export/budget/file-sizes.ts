// How large a file is by the bits of its layers: from two files that were encoded, and the planes that weights are stored
// in. Good to some hundred bytes, since each number of bits in use brings a function; who needs all right encodes.

import { planeBytes } from "../../quant/pack.js";
import type { FreeLayer } from "./layers.js";

/** Two files of the same network: all free layers at 8 bits, and at 4. */
export interface ProbedSizes {
  readonly eight: number;
  readonly four: number;
}

export class FileSizes {
  /** Of all that is no weight of a free layer. */
  readonly rest: number;
  /** What it takes to unpack one weight: beyond 7 bits there is nothing to unpack. */
  readonly #unpacking: number;

  constructor(layers: readonly FreeLayer[], { eight, four }: ProbedSizes) {
    const stored = (bits: number): number => layers.reduce((sum, layer) => sum + storedBytes(layer, bits), 0);
    const weights = layers.reduce((sum, { sizes }) => sum + sizes.length, 0);
    this.rest = eight - stored(8);
    this.#unpacking = (four - stored(4) - this.rest) / weights;
  }

  /** What a layer adds to {@link rest}. */
  bytesOf(layer: FreeLayer, bits: number): number {
    return storedBytes(layer, bits) + (bits < 8 ? this.#unpacking * layer.sizes.length : 0);
  }
}

function storedBytes({ sizes }: FreeLayer, bits: number): number {
  return sizes.reduce((sum, size) => sum + (bits === 8 ? size : bits * planeBytes(size)), 0);
}
