// And, or of two bool tensors of one shape, four elements at once: a bool is a byte of 0 or 1.

import * as tf from "@tensorflow/tfjs";
import { allocate, boolsOf, type WasmKernel } from "./heap.js";

type Loop = (a: Uint32Array | Uint8Array, b: Uint32Array | Uint8Array, out: Uint32Array | Uint8Array) => void;

const and: Loop = (a, b, out) => {
  for (let i = 0; i < out.length; i++) out[i] = (a[i] as number) & (b[i] as number);
};

const or: Loop = (a, b, out) => {
  for (let i = 0; i < out.length; i++) out[i] = (a[i] as number) | (b[i] as number);
};

/** a and b bool, of one shape; otherwise tfjs's kernel. */
export const logical: readonly WasmKernel[] = [connective("LogicalAnd", and), connective("LogicalOr", or)];

function connective(name: string, loop: Loop): WasmKernel {
  return {
    name,
    compute({ inputs, backend, stock }) {
      const { a, b } = inputs;
      if (!a || !b || a.dtype !== "bool" || b.dtype !== "bool") return stock();
      if (!tf.util.arraysEqual(a.shape, b.shape)) return stock();
      const out = allocate(backend, a.shape, "bool");
      const operands = [a, b, out].map((tensor) => boolsOf(backend, tensor));
      const whole = out.size - (out.size % 4);
      const [left, right, into] = operands.map(
        ({ buffer, byteOffset }) => new Uint32Array(buffer, byteOffset, whole / 4),
      );
      loop(left as Uint32Array, right as Uint32Array, into as Uint32Array);
      const [leftRest, rightRest, intoRest] = operands.map((bytes) => bytes.subarray(whole));
      loop(leftRest as Uint8Array, rightRest as Uint8Array, intoRest as Uint8Array);
      return out;
    },
  };
}
