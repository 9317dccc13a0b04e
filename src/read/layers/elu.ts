// The ELU layer.

import { only, type LayerDefinition } from "../layer.js";

export const elu: LayerDefinition = {
  className: "ELU",

  /** `y = x >= 0 ? x : exp(x) - 1`; tfjs has no other alpha than 1 */
  prepare(config) {
    config.neutral("alpha", 1);
    return (inputs, call) => {
      const { value, layout } = only(inputs, call);
      return { value: call.node("Elu", [value], "", value.shape, { alpha: { float: 1 } }), layout };
    };
  },
};
