// RepeatVector.

import { expectRank, only, type LayerDefinition } from "../layer.js";

export const repeatVector: LayerDefinition = {
  className: "RepeatVector",

  /** [N, C] to [N, n, C] */
  prepare(config) {
    const n = config.positiveInt("n");
    return (inputs, call) => {
      const held = only(inputs, call);
      expectRank(held, 2, call);
      const [batch, channels] = held.value.shape as [number, number];
      const row = call.reshape(held.value, "row", [batch, 1, channels]);
      const repeats = call.ints("repeats", [1, n, 1]);
      return { value: call.node("Tile", [row, repeats], "", [batch, n, channels]), layout: "as-is" };
    };
  },
};
