// Initial weights as a pure function of seed and name: the same on every machine, whatever else a model has.
// Never draws from a shared state, so that a layer more does not change the others.

import { float32, sizeOf, type Tensor } from "../../base/tensor.js";
import { philox, wordOf } from "../data/random.js";

/** Keeps these numbers apart from those that data draws with the same seed. */
const KEY = wordOf("initial weights");

/**
 * Normal numbers of mean 0 by Box and Muller: `sigma sqrt(-2 ln u) (cos, sin)(2 pi v)`, u in (0, 1] and v in
 * [0, 1) two 32-bit words of Philox at the counter (n / 4, name, 0, 0).
 *
 * @param seed an integer in 0..2^32 - 1; @param name of the weight
 */
export function normalWeight(
  seed: number,
  name: string,
  shape: readonly number[],
  sigma: number,
): Tensor<"float32"> {
  const data = new Float32Array(sizeOf(shape));
  const word = wordOf(name);
  for (let i = 0; i < data.length; i += 4) {
    const [u0, v0, u1, v1] = philox([i / 4, word, 0, 0], [seed >>> 0, KEY]);
    for (const [k, u, v] of [
      [0, u0, v0],
      [2, u1, v1],
    ] as const) {
      const radius = sigma * Math.sqrt(-2 * Math.log((u + 1) / 2 ** 32));
      const angle = (2 * Math.PI * v) / 2 ** 32;
      // Writes past the end of the array are without effect.
      data[i + k] = radius * Math.cos(angle);
      data[i + k + 1] = radius * Math.sin(angle);
    }
  }
  return float32(shape, data);
}

/**
 * He normal: `sigma = sqrt(2 / fanIn)`, which keeps the mean square of what a ReLU passes on.
 * Source: He, Zhang, Ren, Sun, "Delving deep into rectifiers", 2015, equation 10.
 *
 * @param fanIn numbers that one output sums up
 */
export function heNormal(
  seed: number,
  name: string,
  shape: readonly number[],
  fanIn: number,
): Tensor<"float32"> {
  return normalWeight(seed, name, shape, Math.sqrt(2 / fanIn));
}

/** Of a layer that gives logits: `sigma = gain sqrt(1 / fanIn)`, no ReLU follows. */
export function headNormal(
  seed: number,
  name: string,
  shape: readonly number[],
  fanIn: number,
  gain = 1,
): Tensor<"float32"> {
  return normalWeight(seed, name, shape, gain * Math.sqrt(1 / fanIn));
}

export function constantWeight(length: number, x: number): Tensor<"float32"> {
  return float32([length], new Float32Array(length).fill(x));
}
