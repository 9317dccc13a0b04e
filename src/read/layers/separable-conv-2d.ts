// SeparableConv2D: two ONNX Convs, one for space and one for channels, with a value between them that has a
// name (`layer/depthwise`), since a quantizer stands there.

import { activate, readActivation } from "../activation.js";
import { readConstraint } from "../constraints.js";
import {
  channelLayout,
  checkDilations,
  kernelFirst,
  readDataFormat,
  readPadding,
  slide,
  spaceOf,
  spatialInput,
} from "../convolution.js";
import { knownDim, only, type LayerDefinition } from "../layer.js";
import { depthwiseKernel } from "./depthwise-conv-2d.js";

export const separableConv2D: LayerDefinition = {
  className: "SeparableConv2D",

  /** `y = bias + pointwise kernel (1x1) of the depthwise convolution of x`; no bias in between. */
  prepare(config) {
    const format = readDataFormat(config);
    const filters = config.positiveInt("filters");
    const kernelSize = config.ints("kernelSize", 2, 1);
    const strides = config.ints("strides", 2, 1, 1);
    const dilations = config.ints("dilationRate", 2, 1, 1);
    const padding = readPadding(config);
    const multiplier = config.positiveInt("depthMultiplier", 1);
    const activation = readActivation(config);
    const useBias = config.boolean("useBias", true);
    const depthwiseConstraint = readConstraint(config, "depthwiseConstraint");
    const pointwiseConstraint = readConstraint(config, "pointwiseConstraint");
    const biasConstraint = readConstraint(config, "biasConstraint");
    config.ignore(
      "depthwiseInitializer",
      "depthwiseRegularizer",
      "pointwiseInitializer",
      "pointwiseRegularizer",
    );
    config.ignore("biasInitializer", "biasRegularizer");
    // tfjs refuses these three when they say anything.
    for (const key of ["kernelInitializer", "kernelRegularizer", "kernelConstraint"]) config.neutral(key);
    config.neutral("groups", 1);
    config.neutral("rank", 2);
    checkDilations(config, strides, dilations);
    if (format === "channelsFirst" && useBias && filters > 1) {
      config.fail(
        "tfjs adds the bias of a channelsFirst SeparableConv2D along the wrong axis; use channelsLast",
      );
    }

    return (inputs, call) => {
      const x = spatialInput(only(inputs, call), 2, format, call);
      const batch = x.shape[0] ?? 1;
      const channels = knownDim(x.shape[1], "channels", call);
      const middle = channels * multiplier;
      const window = { kernel: kernelSize, strides, dilations, padding };
      const { space, attributes } = slide(spaceOf(x), window, call);
      const depthwise = call.weight(
        "depthwise_kernel",
        [...kernelSize, channels, multiplier],
        depthwiseConstraint,
      );
      const pointwise = call.weight("pointwise_kernel", [1, 1, middle, filters], pointwiseConstraint);
      const between = call.node(
        "Conv",
        [x, call.constant("depthwise_kernel", () => depthwiseKernel(depthwise))],
        "depthwise",
        [batch, middle, ...space],
        { ...attributes, group: channels },
      );
      const operands = [between, call.constant("pointwise_kernel", () => kernelFirst(pointwise))];
      if (useBias) {
        const bias = call.weight("bias", [filters], biasConstraint);
        operands.push(call.constant("bias", () => bias));
      }
      const sum = call.node(
        "Conv",
        operands,
        activation === "linear" ? "" : "pre_activation",
        [batch, filters, ...space],
        { kernel_shape: [1, 1], strides: [1, 1], pads: [0, 0, 0, 0] },
      );
      // tfjs applies the activation while channels are last, in either format: a softmax runs over them.
      return { value: activate(call, sum, activation, 1), layout: channelLayout(format) };
    };
  },
};
