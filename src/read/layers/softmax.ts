// The Softmax layer, over one axis or several.

import { heldAxis, rankOf } from "../held.js";
import { only, type LayerDefinition } from "../layer.js";

export const softmax: LayerDefinition = {
  className: "Softmax",

  /**
   * `y = exp(x - max) / sum exp(x - max)` over `axis`, by default 1 (in tfjs; Keras has -1). tfjs computes
   * a single axis only when it is the last one; several of them anywhere.
   */
  prepare(config) {
    const axes = config.intList("axis") ?? [1];
    if (axes.length === 0) return config.wrong("axis", "at least one axis");

    return (inputs, call) => {
      const held = only(inputs, call);
      const { value, layout } = held;
      const rank = rankOf(held);
      call.writer.maskReaders.push(call.where);
      const resolved = axes.map((axis) => (axis < 0 ? axis + rank : axis));
      if (resolved.some((axis) => axis < 0 || axis >= rank)) {
        call.failModel(`axis: got [${axes.join(", ")}], expected axes of rank ${rank}`);
      }
      if (resolved.length === 1) {
        if (resolved[0] !== rank - 1) {
          call.fail(
            `axis: got ${axes[0]} at rank ${rank}, tfjs computes a softmax over the last axis only; use -1`,
          );
        }
        return {
          value: call.node("Softmax", [value], "", value.shape, { axis: heldAxis(held, rank - 1) }),
          layout,
        };
      }
      const reduced = resolved.map((axis) => heldAxis(held, axis));
      const kept = value.shape.map((dim, axis) => (reduced.includes(axis) ? 1 : dim));
      const over = call.ints("axes", reduced);
      const max = call.node("ReduceMax", [value, over], "max", kept, { keepdims: 1 });
      const shifted = call.node("Sub", [value, max], "shifted", value.shape);
      const exp = call.node("Exp", [shifted], "exp", value.shape);
      const sum = call.node("ReduceSum", [exp, over], "sum", kept, { keepdims: 1 });
      return { value: call.node("Div", [exp, sum], "", value.shape), layout };
    };
  },
};
