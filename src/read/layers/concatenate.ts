// Concatenate.

import { plus, formatShape } from "../dims.js";
import { heldAxis, rankOf } from "../held.js";
import type { LayerDefinition } from "../layer.js";
import { commonLayout } from "../merging.js";

export const concatenate: LayerDefinition = {
  className: "Concatenate",
  takesSeveral: true,
  takesIntegers: true,

  /** Joins tensors along `axis`, by default the last */
  prepare(config) {
    const axis = config.int("axis", -1);
    if (axis < -1) {
      config.fail(
        `axis: got ${axis}, tfjs joins along the last axis for every negative one; count from the first`,
      );
    }
    return (inputs, call) => {
      const [first] = inputs;
      if (!first || inputs.length < 2)
        return call.failModel(`got ${inputs.length} inputs, expected at least 2`);
      const rank = rankOf(first);
      const tfjsAxis = axis === -1 ? rank - 1 : axis;
      if (tfjsAxis < 1 || tfjsAxis >= rank)
        call.failModel(`axis: got ${axis}, expected 1..${rank - 1} or -1`);
      const layout = commonLayout(inputs);
      const operands = inputs.map((held) => call.inLayout(held, layout));
      const at = heldAxis({ value: operands[0] ?? first.value, layout }, tfjsAxis);
      const shape = [...(operands[0]?.shape ?? [])];
      for (const { shape: other } of operands.slice(1)) {
        const fits = other.length === rank && other.every((dim, i) => i === at || agree(dim, shape[i]));
        if (!fits)
          call.failModel(`shapes ${formatShape(shape)} and ${formatShape(other)} do not join on axis ${at}`);
        const [a, b] = [shape[at] ?? 0, other[at] ?? 0];
        shape[at] = typeof b === "number" ? plus(a, b) : typeof a === "number" ? plus(b, a) : `${a}+${b}`;
      }
      return { value: call.node("Concat", operands, "", shape, { axis: at }), layout };
    };
  },
};

function agree(a: number | string, b: number | string | undefined): boolean {
  return a === b || typeof a === "string" || typeof b === "string";
}
