// CategoryEncoding: integers to vectors of zeros and ones, or counts.

import { float32, int64 } from "../../base/tensor.js";
import { only, type LayerDefinition } from "../layer.js";

/** ONNX's number for int64. */
const INT64 = 7;

export const categoryEncoding: LayerDefinition = {
  className: "CategoryEncoding",
  takesIntegers: true,

  /** [N, T] to [N, num_tokens]: which integers occur (multi_hot, one_hot for T = 1), or how often (count) */
  prepare(config) {
    const tokens = config.positiveInt("numTokens");
    const mode = config.choice("outputMode", ["multiHot", "oneHot", "count"], "multiHot");
    config.neutral("sparse", false);

    return (inputs, call) => {
      const x = call.asIs(only(inputs, call));
      const [batch, steps] = x.shape;
      if (x.shape.length !== 2 || batch === undefined || (mode === "oneHot" && steps !== 1)) {
        return call.fail(`got shape [${x.shape.join(", ")}], expected [N, ${mode === "oneHot" ? 1 : "T"}]`);
      }
      const indices = call.node("Cast", [x], "indices", x.shape, { to: INT64 }, { dtype: "int64" });
      const depth = call.constant("num_tokens", () => int64([], [tokens]));
      const values = call.constant("off_on", () => float32([2], [0, 1]));
      const hot = call.node(
        "OneHot",
        [indices, depth, values],
        "hot",
        [...x.shape, tokens],
        { axis: -1 },
        { dtype: "float32" },
      );
      const op = mode === "count" ? "ReduceSum" : "ReduceMax";
      const value = call.node(op, [hot, call.ints("axis", [1])], "", [batch, tokens], { keepdims: 0 });
      return { value, layout: "as-is" };
    };
  },
};
