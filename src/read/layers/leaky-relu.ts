// LeakyReLU.

import { only, type LayerDefinition } from "../layer.js";

export const leakyRelu: LayerDefinition = {
  className: "LeakyReLU",

  /** `y = x < 0 ? alpha * x : x` */
  prepare(config) {
    const alpha = config.number("alpha", 0.3);
    return (inputs, call) => {
      const { value, layout } = only(inputs, call);
      return { value: call.node("LeakyRelu", [value], "", value.shape, { alpha: { float: alpha } }), layout };
    };
  },
};
