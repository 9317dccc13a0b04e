// LayerNormalization over any axes but the batch: ONNX LayerNormalization over the last ones.

import { float32, sizeOf } from "../../base/tensor.js";
import { isStatic } from "../dims.js";
import { permute } from "../held.js";
import { only, type LayerDefinition } from "../layer.js";

export const layerNormalization: LayerDefinition = {
  className: "LayerNormalization",

  /** `y = (x - mean) / sqrt(variance + epsilon) * gamma + beta`, mean and variance over `axis` */
  prepare(config) {
    const axes = config.intList("axis") ?? [-1];
    const epsilon = config.number("epsilon", 1e-3);
    const center = config.boolean("center", true);
    const scale = config.boolean("scale", true);
    config.ignore("betaInitializer", "gammaInitializer", "betaRegularizer", "gammaRegularizer");
    // tfjs reads no constraints on this layer.
    config.ignore("betaConstraint", "gammaConstraint");
    config.neutral("rmsScaling", false);

    return (inputs, call) => {
      const x = call.asIs(only(inputs, call));
      const rank = x.shape.length;
      if (rank > 4) call.fail(`got an input of rank ${rank}, tfjs normalizes ranks 2 to 4`);
      const resolved = axes.map((axis) => (axis < 0 ? axis + rank : axis));
      if (resolved.some((axis) => axis < 1 || axis >= rank) || new Set(resolved).size !== resolved.length) {
        call.failModel(
          `axis: got [${axes.join(", ")}], expected axes of rank ${rank} but the batch, each once`,
        );
      }
      const normalized = resolved.toSorted((a, b) => a - b);
      const stored = permute(x.shape, resolved);
      const sizes = permute(x.shape, normalized);
      if (!isStatic(stored) || !isStatic(sizes))
        return call.failModel("the normalized axes need fixed sizes");
      const gamma = scale ? call.weight("gamma", stored) : null;
      const beta = center ? call.weight("beta", stored) : null;
      // tfjs reshapes the parameters to the axes in rising order, whichever order the config lists.
      const operands = [
        call.constant("gamma", () => float32(sizes, gamma?.data ?? new Float32Array(sizeOf(sizes)).fill(1))),
        ...(beta ? [call.constant("beta", () => float32(sizes, beta.data))] : []),
      ];
      const kept = x.shape.flatMap((_, axis) => (normalized.includes(axis) ? [] : [axis]));
      const order = [...kept, ...normalized];
      const inOrder = order.every((axis, i) => axis === i);
      const shape = permute(x.shape, order);
      const source = inOrder ? x : call.node("Transpose", [x], "axes_last", shape, { perm: order });
      const attributes = { axis: kept.length, epsilon: { float: epsilon } };
      const what = inOrder ? "" : "normalized";
      const y = call.node("LayerNormalization", [source, ...operands], what, shape, attributes);
      if (inOrder) return { value: y, layout: "as-is" };
      const back = x.shape.map((_, axis) => order.indexOf(axis));
      return { value: call.node("Transpose", [y], "", x.shape, { perm: back }), layout: "as-is" };
    };
  },
};
