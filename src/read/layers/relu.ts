// ReLU, as far as tfjs implements it: with a maximum.

import { only, type LayerDefinition } from "../layer.js";

export const relu: LayerDefinition = {
  className: "ReLU",

  /**
   * `y = min(max(x, 0), max_value)`. tfjs-layers 4.22 reads neither negative_slope nor threshold: a model
   * that has them computes this in tfjs, and here.
   */
  prepare(config) {
    const max = config.get("maxValue") === undefined ? null : config.number("maxValue");
    config.ignore("negativeSlope", "threshold");
    return (inputs, call) => {
      const { value, layout } = only(inputs, call);
      const y =
        max === null
          ? call.node("Relu", [value], "", value.shape)
          : call.node("Clip", [value, call.scalar("min", 0), call.scalar("max", max)], "", value.shape);
      return { value: y, layout };
    };
  },
};
