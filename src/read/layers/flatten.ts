// Flatten. The Dense after it has its weights in tfjs's order of axes, so a value with channels first is
// transposed back; a pass folds that into the weights.

import { product } from "../dims.js";
import { only, type LayerDefinition } from "../layer.js";

export const flatten: LayerDefinition = {
  className: "Flatten",
  takesIntegers: true,

  /** [N, ...] to [N, product]. With dataFormat channelsFirst the channels are moved last before. */
  prepare(config) {
    const format = config.choice("dataFormat", ["channelsLast", "channelsFirst"], "channelsLast");

    return (inputs, call) => {
      const as = call.asIs(only(inputs, call));
      const rank = as.shape.length;
      if (rank < 3) call.failModel(`got an input of rank ${rank}, expected at least 3`);
      const size = product(as.shape.slice(1));
      if (size === null) return call.failModel("the input's size is not fixed; give the model an input size");
      const last = [0, ...as.shape.slice(2).map((_, i) => i + 2), 1];
      const x =
        format === "channelsLast"
          ? as
          : call.node(
              "Transpose",
              [as],
              "channels_last",
              last.map((axis) => as.shape[axis] ?? 1),
              { perm: last },
            );
      return { value: call.reshape(x, "", [as.shape[0] ?? 1, size]), layout: "as-is" };
    };
  },
};
