// where(condition, a, b). tfjs's own kernel mispredicts a branch an element; here bits are mixed by a mask.

import { ROUND } from "../wasm-simd/elementwise.js";
import { loopsOf } from "../wasm-simd/loops.js";
import { addressOf, allocate, boolsOf, type WasmKernel, wordsOf } from "./heap.js";

/** condition bool, t and e float32 or int32, all of one shape; a condition of a lower rank: tfjs's kernel. */
export const select: WasmKernel = {
  name: "Select",
  compute({ inputs, backend, stock }) {
    const { condition, t, e } = inputs;
    if (!condition || !t || !e || condition.size !== t.size || condition.rank !== t.rank) return stock();
    if (t.dtype !== e.dtype || (t.dtype !== "float32" && t.dtype !== "int32")) return stock();
    const out = allocate(backend, t.shape, t.dtype);
    const rounds = Math.floor(out.size / ROUND);
    if (rounds > 0) {
      const [mask, yes, no, into] = [condition, t, e, out].map((tensor) => addressOf(backend, tensor));
      loopsOf(backend).select(mask as number, yes as number, no as number, into as number, rounds);
    }
    const mask = boolsOf(backend, condition);
    const [yes, no, into] = [wordsOf(backend, t), wordsOf(backend, e), wordsOf(backend, out)];
    for (let i = rounds * ROUND; i < into.length; i++) into[i] = (mask[i] ? yes[i] : no[i]) as number;
    return out;
  },
};
