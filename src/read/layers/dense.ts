// Dense: Gemm with the kernel as [K, C]. On inputs of more axes the same over their last one.

import { transpose } from "../../base/tensor.js";
import type { Value } from "../../graph/graph.js";
import { activate, readActivation } from "../activation.js";
import { readConstraint } from "../constraints.js";
import { productDim } from "../dims.js";
import { knownDim, only, type LayerDefinition } from "../layer.js";

export const dense: LayerDefinition = {
  className: "Dense",

  /** `y[..., k] = activation(sum over c of x[..., c] * kernel[c, k] + bias[k])` */
  prepare(config) {
    const units = config.positiveInt("units");
    const useBias = config.boolean("useBias", true);
    const activation = readActivation(config);
    const kernelConstraint = readConstraint(config, "kernelConstraint");
    const biasConstraint = readConstraint(config, "biasConstraint");
    config.ignore("kernelInitializer", "kernelRegularizer", "biasInitializer", "biasRegularizer", "inputDim");
    config.neutral("loraRank");

    return (inputs, call) => {
      const x = call.asIs(only(inputs, call));
      const rank = x.shape.length;
      if (rank < 2) call.failModel(`got an input of rank ${rank}, expected at least 2`);
      const channels = knownDim(x.shape[rank - 1], "last axis of the input", call);
      const kernel = call.weight("kernel", [channels, units], kernelConstraint);
      const bias = useBias ? call.weight("bias", [units], biasConstraint) : null;
      const biasValues = (): Value[] => (bias ? [call.constant("bias", () => bias)] : []);
      const inner = activation === "linear" ? "" : "pre_activation";
      const leading = x.shape.slice(0, -1);
      if (rank > 2 && leading.filter((dim) => typeof dim === "string").length > 1) {
        // Two open sizes cannot be put back by a Reshape.
        const shape = [...leading, units];
        const weights = call.constant("kernel_last", () => kernel, "kernel");
        const sum = call.node("MatMul", [x, weights], bias ? "product" : inner, shape);
        const biased = bias ? call.node("Add", [sum, ...biasValues()], inner, shape) : sum;
        return { value: activate(call, biased, activation, rank - 1), layout: "as-is" };
      }
      const rows = productDim(leading);
      const flat = rank === 2 ? x : call.reshape(x, "rows", [rows, channels]);
      const weights = call.constant("kernel", () => transpose(kernel, [1, 0]));
      const name = (what: string): string => (rank === 2 || what !== "" ? what : "flat");
      const sum = call.node("Gemm", [flat, weights, ...biasValues()], name(inner), [rows, units], {
        transB: 1,
      });
      const y = activate(call, sum, activation, 1, name(""));
      return { value: rank === 2 ? y : call.reshape(y, "", [...leading, units]), layout: "as-is" };
    };
  },
};
