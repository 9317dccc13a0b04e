// What training does to every activation, in one pass each over the heap of the WebAssembly backend, where tfjs
// would make three to eight. Tensors are float32; channels are the last axis. No tape: the caller has the gradients.

import * as tf from "@tensorflow/tfjs";
import { addressOf, allocate, floatsOf, type WasmBackend } from "./wasm-kernels/heap.js";
import { loopsOf } from "./wasm-kernels/loops.js";
import { inRounds, patternOf } from "./wasm-kernels/rounds.js";

/** Sums are made over so many rounds in float32, and those added up in float64. */
const BLOCK = 256;

function currentBackend(): WasmBackend {
  return tf.backend() as unknown as WasmBackend;
}

/** `a` where b > 0, 0 elsewhere: the gradient of a rectifier with input or output b. */
export function wherePositive(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  const backend = currentBackend();
  const out = allocate(backend, a.shape);
  const loops = loopsOf(backend);
  tf.tidy(() => {
    inRounds(backend, a.size, [a, b], [out], [], (addresses, _, periods, rounds) => {
      const [from, by, into] = addresses as [number, number, number];
      loops.positive(from, by, into, periods * rounds);
    });
  });
  return out;
}

/** `fl(x factor[c]) + offset[c]`. x [..., C] */
export function affineByChannel(
  x: tf.Tensor,
  factor: ArrayLike<number>,
  offset: ArrayLike<number>,
): tf.Tensor {
  const backend = currentBackend();
  const out = allocate(backend, x.shape);
  const loops = loopsOf(backend);
  tf.tidy(() => {
    const patterns = [factor, offset].map((each) => patternOf(backend, each, x.size));
    inRounds(backend, x.size, [x], [out], patterns, (addresses, bases, periods, rounds) => {
      const [from, into] = addresses as [number, number];
      loops.affine(from, bases[0] as number, bases[1] as number, into, periods, rounds);
    });
  });
  return out;
}

/** `a factor[c] + (b slope[c] + offset[c])`. a and b [..., C] */
export function biaffineByChannel(
  a: tf.Tensor,
  factor: ArrayLike<number>,
  b: tf.Tensor,
  slope: ArrayLike<number>,
  offset: ArrayLike<number>,
): tf.Tensor {
  const backend = currentBackend();
  const out = allocate(backend, a.shape);
  const loops = loopsOf(backend);
  tf.tidy(() => {
    const patterns = [factor, slope, offset].map((each) => patternOf(backend, each, a.size));
    inRounds(backend, a.size, [a, b], [out], patterns, (addresses, bases, periods, rounds) => {
      const [first, second, into] = addresses as [number, number, number];
      const [f, s, o] = bases as [number, number, number];
      loops.biaffine(first, f, second, s, o, into, periods, rounds);
    });
  });
  return out;
}

/** `scale clip(roundHalfEven(fl(v / scale)), low, high)`, low and high integers. */
export function roundToGrid(v: tf.Tensor, scale: number, low: number, high: number): tf.Tensor {
  const backend = currentBackend();
  const out = allocate(backend, v.shape);
  const loops = loopsOf(backend);
  tf.tidy(() => {
    const numbers = tf.tensor1d([scale, low, high]);
    inRounds(backend, v.size, [v], [out], [], (addresses, _, periods, rounds) => {
      const at = addressOf(backend, numbers);
      loops.grid(addresses[0] as number, at, at + 4, at + 8, addresses[1] as number, periods * rounds);
    });
  });
  return out;
}

/**
 * Of `y = roundToGrid(v)`: `dv = dy` where `least <= v <= greatest`, 0 elsewhere, and `sum(dy y) - sum(dv v)`.
 */
export function gridGradient(
  dy: tf.Tensor,
  v: tf.Tensor,
  y: tf.Tensor,
  least: number,
  greatest: number,
): { readonly dv: tf.Tensor; readonly moved: number } {
  const backend = currentBackend();
  const dv = allocate(backend, v.shape);
  const loops = loopsOf(backend);
  const moved = tf.tidy(() => {
    const numbers = tf.tensor1d([least, greatest, 0, 0, 0, 0]);
    let sum = 0;
    inRounds(backend, v.size, [dy, v, y], [dv], [], (addresses, _, periods, total) => {
      const at = addressOf(backend, numbers);
      const partial = floatsOf(backend, numbers).subarray(2);
      for (let done = 0; done < periods * total; done += BLOCK) {
        const [a, b, c, d] = addresses.map((address) => address + done * 64) as [
          number,
          number,
          number,
          number,
        ];
        partial.fill(0);
        loops.gridGradient(a, b, c, d, at, at + 4, at + 8, Math.min(BLOCK, periods * total - done));
        for (const each of partial) sum += each;
      }
    });
    return sum;
  });
  return { dv, moved };
}
