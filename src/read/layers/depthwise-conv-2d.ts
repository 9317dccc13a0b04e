// DepthwiseConv2D: an ONNX Conv with one group a channel.

import { float32, transpose, type Tensor } from "../../base/tensor.js";
import { readActivation } from "../activation.js";
import { readConstraint } from "../constraints.js";
import {
  checkDilations,
  finishSpatial,
  readDataFormat,
  readPadding,
  slide,
  spaceOf,
  spatialInput,
} from "../convolution.js";
import { knownDim, only, type LayerDefinition } from "../layer.js";

export const depthwiseConv2D: LayerDefinition = {
  className: "DepthwiseConv2D",

  /**
   * `y[n, c * M + m] = bias[c * M + m] + x[n, c] correlated with kernel[:, :, c, m]`, dilated as Keras defines the layer.
   * tfjs-layers 4.22 itself leaves the dilation out, so it computes another function for a model that has one.
   */
  prepare(config) {
    const format = readDataFormat(config);
    const kernelSize = config.ints("kernelSize", 2, 1);
    const strides = config.ints("strides", 2, 1, 1);
    const dilations = config.ints("dilationRate", 2, 1, 1);
    const padding = readPadding(config);
    const multiplier = config.positiveInt("depthMultiplier", 1);
    const activation = readActivation(config);
    const useBias = config.boolean("useBias", true);
    const kernelConstraint = readConstraint(config, "depthwiseConstraint");
    const biasConstraint = readConstraint(config, "biasConstraint");
    config.ignore("depthwiseInitializer", "depthwiseRegularizer", "biasInitializer", "biasRegularizer");
    config.ignore("kernelInitializer", "kernelRegularizer", "kernelConstraint");
    config.neutral("groups", 1);
    config.neutral("rank", 2);
    checkDilations(config, strides, dilations);

    return (inputs, call) => {
      const x = spatialInput(only(inputs, call), 2, format, call);
      const channels = knownDim(x.shape[1], "channels", call);
      const filters = channels * multiplier;
      const window = { kernel: kernelSize, strides, dilations, padding };
      const { space, attributes } = slide(spaceOf(x), window, call);
      const kernel = call.weight("depthwise_kernel", [...kernelSize, channels, multiplier], kernelConstraint);
      const operands = [x, call.constant("depthwise_kernel", () => depthwiseKernel(kernel))];
      if (useBias) {
        const bias = call.weight("bias", [filters], biasConstraint);
        operands.push(call.constant("bias", () => bias));
      }
      const shape = [x.shape[0] ?? 1, filters, ...space];
      const grouped = { ...attributes, group: channels };
      return finishSpatial(
        call,
        (what) => call.node("Conv", operands, what, shape, grouped),
        activation,
        format,
      );
    };
  },
};

/** [R, S, C, M] as [C * M, 1, R, S]: groups in order, the multiplier within them. */
export function depthwiseKernel(kernel: Tensor<"float32">): Tensor<"float32"> {
  const [r, s, c, m] = kernel.shape as [number, number, number, number];
  return float32([c * m, 1, r, s], transpose(kernel, [2, 3, 0, 1]).data);
}
