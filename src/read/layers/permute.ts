// The Permute layer.

import { permute } from "../held.js";
import { only, type LayerDefinition } from "../layer.js";

export const permuteLayer: LayerDefinition = {
  className: "Permute",
  takesIntegers: true,

  /** Axis i of the output is axis `dims[i - 1]` of the input; axes count from 1, the batch stays */
  prepare(config) {
    const dims = config.intList("dims") ?? [];
    if (dims.length === 0 || dims.toSorted((a, b) => a - b).some((dim, i) => dim !== i + 1)) {
      config.wrong("dims", "each axis from 1 on once");
    }
    return (inputs, call) => {
      const x = call.asIs(only(inputs, call));
      if (x.shape.length !== dims.length + 1) {
        call.failModel(`got an input of rank ${x.shape.length}, expected ${dims.length + 1}`);
      }
      const perm = [0, ...dims];
      return { value: call.node("Transpose", [x], "", permute(x.shape, perm), { perm }), layout: "as-is" };
    };
  },
};
