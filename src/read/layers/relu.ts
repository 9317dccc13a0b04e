// ReLU with a maximum, a slope below its threshold, and the threshold.

import { only, type LayerDefinition } from "../layer.js";

export const relu: LayerDefinition = {
  className: "ReLU",

  /**
   * `y = x < threshold ? negative_slope * (x - threshold) : min(x, max_value)`, as Keras defines the layer.
   * tfjs-layers 4.22 itself reads max_value only, so it computes another function for a model that has the
   * other two.
   */
  prepare(config) {
    const given = (key: string, otherwise: number): number =>
      config.get(key) === undefined || config.get(key) === null ? otherwise : config.number(key);
    const max = given("maxValue", Number.POSITIVE_INFINITY);
    const slope = given("negativeSlope", 0);
    const threshold = given("threshold", 0);
    return (inputs, call) => {
      const { value, layout } = only(inputs, call);
      const { shape } = value;
      if (slope !== 0 || threshold !== 0) {
        const attributes = {
          negative_slope: { float: slope },
          threshold: { float: threshold },
          ...(Number.isFinite(max) && { max_value: { float: max } }),
        };
        return { value: call.node("GeneralRelu", [value], "", shape, attributes, { domain: "qdg" }), layout };
      }
      const y = Number.isFinite(max)
        ? call.node("Clip", [value, call.scalar("min", 0), call.scalar("max", max)], "", shape)
        : call.node("Relu", [value], "", shape);
      return { value: y, layout };
    };
  },
};
