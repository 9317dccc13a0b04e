// PReLU: a slope for each element, shared along some axes.

import { transpose } from "../../base/tensor.js";
import { readConstraint } from "../constraints.js";
import { isStatic } from "../dims.js";
import { rankOf, tfjsShape, toChannelsFirst } from "../held.js";
import { only, type LayerDefinition } from "../layer.js";

export const prelu: LayerDefinition = {
  className: "PReLU",

  /** `y = x < 0 ? alpha * x : x`, alpha of x's shape without the batch and 1 along `shared_axes` */
  prepare(config) {
    const shared = config.intList("sharedAxes") ?? [];
    const constraint = readConstraint(config, "alphaConstraint");
    config.ignore("alphaInitializer", "alphaRegularizer");

    return (inputs, call) => {
      const held = only(inputs, call);
      const rank = rankOf(held);
      const shape = tfjsShape(held)
        .slice(1)
        .map((dim, i) => (shared.includes(i + 1) ? 1 : dim));
      if (!isStatic(shape)) return call.failModel("an axis of unknown size must be in shared_axes");
      const alpha = call.weight("alpha", shape, constraint);
      const channelsFirst = held.layout === "channels-first";
      const inLayout = (): typeof alpha =>
        channelsFirst
          ? transpose(
              alpha,
              toChannelsFirst(rank)
                .slice(1)
                .map((axis) => axis - 1),
            )
          : alpha;
      const slope = call.constant(channelsFirst ? "alpha_channels_first" : "alpha", inLayout, "alpha");
      return { value: call.node("PRelu", [held.value, slope], "", held.value.shape), layout: held.layout };
    };
  },
};
