// where(condition, a, b). tfjs's own kernel mispredicts a branch an element; here bits are mixed by a mask.

import { loopsOf } from "./loops.js";
import { allocate, type WasmKernel } from "./heap.js";
import { inRounds } from "./rounds.js";

/** condition bool, t and e float32 or int32, all of one shape; a condition of a lower rank: tfjs's kernel. */
export const select: WasmKernel = {
  name: "Select",
  compute({ inputs, backend, stock }) {
    const { condition, t, e } = inputs;
    if (!condition || !t || !e || condition.size !== t.size || condition.rank !== t.rank) return stock();
    if (t.dtype !== e.dtype || (t.dtype !== "float32" && t.dtype !== "int32")) return stock();
    const out = allocate(backend, t.shape, t.dtype);
    const loops = loopsOf(backend);
    inRounds(backend, out.size, [condition, t, e], [out], [], (addresses, _, periods, rounds) => {
      const [mask, yes, no, into] = addresses as [number, number, number, number];
      loops.select(mask, yes, no, into, periods * rounds);
    });
    return out;
  },
};
