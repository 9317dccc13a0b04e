// ThresholdedReLU.

import { only, type LayerDefinition } from "../layer.js";

export const thresholdedRelu: LayerDefinition = {
  className: "ThresholdedReLU",

  /** `y = x > theta ? x : 0` */
  prepare(config) {
    const theta = config.number("theta", 1);
    return (inputs, call) => {
      const { value, layout } = only(inputs, call);
      const y = call.node("ThresholdedRelu", [value], "", value.shape, { alpha: { float: theta } });
      return { value: y, layout };
    };
  },
};
