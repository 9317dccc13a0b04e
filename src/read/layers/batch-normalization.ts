// BatchNormalization with the statistics of training: one ONNX BatchNormalization on axis 1.

import { float32 } from "../../base/tensor.js";
import { readConstraint } from "../constraints.js";
import { heldAxis, permute, rankOf } from "../held.js";
import { knownDim, only, type LayerDefinition } from "../layer.js";

export const batchNormalization: LayerDefinition = {
  className: "BatchNormalization",

  /** `y = (x - mean[c]) / sqrt(variance[c] + epsilon) * gamma[c] + beta[c]`, c along `axis` */
  prepare(config) {
    const list = config.intList("axis") ?? [-1];
    const [axis] = list;
    if (axis === undefined || list.length !== 1) return config.wrong("axis", "one integer");
    const epsilon = config.number("epsilon", 1e-3);
    const center = config.boolean("center", true);
    const scale = config.boolean("scale", true);
    const gammaConstraint = readConstraint(config, "gammaConstraint");
    const betaConstraint = readConstraint(config, "betaConstraint");
    config.ignore("momentum", "betaInitializer", "gammaInitializer", "betaRegularizer", "gammaRegularizer");
    config.ignore("movingMeanInitializer", "movingVarianceInitializer", "synchronized", "fused");
    config.neutral("renorm", false);
    config.neutral("virtualBatchSize");

    return (inputs, call) => {
      const held = only(inputs, call);
      const rank = rankOf(held);
      if (rank < 2 || rank > 4) call.fail(`got an input of rank ${rank}, tfjs normalizes ranks 2 to 4`);
      const tfjsAxis = axis < 0 ? axis + rank : axis;
      if (tfjsAxis < 1 || tfjsAxis >= rank)
        call.failModel(`axis: got ${axis}, expected an axis of rank ${rank} but the batch`);
      // Over the channels: hold them on axis 1. Over another axis: leave the layout, bring the axis there.
      const layout = tfjsAxis === rank - 1 ? "channels-first" : held.layout;
      const x = call.inLayout(held, layout);
      const at = rank === 2 ? 1 : heldAxis({ value: x, layout }, tfjsAxis);
      const count = knownDim(x.shape[at], `axis ${axis}`, call);
      const ones = (): ReturnType<typeof float32> => float32([count], new Float32Array(count).fill(1));
      const zeros = (): ReturnType<typeof float32> => float32([count], new Float32Array(count));
      const gamma = scale ? call.weight("gamma", [count], gammaConstraint) : null;
      const beta = center ? call.weight("beta", [count], betaConstraint) : null;
      const mean = call.weight("moving_mean", [count]);
      const variance = call.weight("moving_variance", [count]);
      const parameters = [
        call.constant("gamma", () => gamma ?? ones()),
        call.constant("beta", () => beta ?? zeros()),
        call.constant("moving_mean", () => mean),
        call.constant("moving_variance", () => variance),
      ];
      const attributes = { epsilon: { float: epsilon } };
      if (at === 1) {
        return {
          value: call.node("BatchNormalization", [x, ...parameters], "", x.shape, attributes),
          layout,
        };
      }
      const swap = x.shape.map((_, i) => (i === 1 ? at : i === at ? 1 : i));
      const shape = permute(x.shape, swap);
      const before = call.node("Transpose", [x], "axis_first", shape, { perm: swap });
      const normal = call.node(
        "BatchNormalization",
        [before, ...parameters],
        "normalized",
        shape,
        attributes,
      );
      return { value: call.node("Transpose", [normal], "", x.shape, { perm: swap }), layout };
    };
  },
};
