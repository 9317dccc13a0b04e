// Conv2DTranspose and Conv3DTranspose: one ONNX ConvTranspose.

import { readActivation } from "../activation.js";
import type { LayerConfig } from "../config.js";
import { readConstraint } from "../constraints.js";
import {
  finishSpatial,
  kernelFirst,
  readDataFormat,
  readPadding,
  spaceOf,
  spatialInput,
} from "../convolution.js";
import { plus, times } from "../dims.js";
import { knownDim, only, type Emit, type LayerDefinition } from "../layer.js";

export const conv2DTranspose: LayerDefinition = {
  className: "Conv2DTranspose",
  prepare: (config) => prepare(config, 2),
};
export const conv3DTranspose: LayerDefinition = {
  className: "Conv3DTranspose",
  prepare: (config) => prepare(config, 3),
};

/**
 * The gradient of a convolution, as TensorFlow defines it. Output size `x * s` for 'same' and
 * `x * s + max(k - s, 0)` for 'valid'. ONNX has `(x - 1) * s + k - pads + output_padding`: 'same' cuts
 * `max(k - s, 0)`, the smaller half first, and both add `max(s - k, 0)` at the end.
 */
function prepare(config: LayerConfig, rank: number): Emit {
  const format = readDataFormat(config);
  const filters = config.positiveInt("filters");
  const kernelSize = config.ints("kernelSize", rank, 1);
  const strides = config.ints("strides", rank, 1, 1);
  const padding = readPadding(config);
  const activation = readActivation(config);
  const useBias = config.boolean("useBias", true);
  const kernelConstraint = readConstraint(config, "kernelConstraint");
  const biasConstraint = readConstraint(config, "biasConstraint");
  // tfjs has no dilation here and does not read the key.
  const dilations = config.ints("dilationRate", rank, 1, 1);
  if (dilations.some((rate) => rate !== 1)) {
    config.wrong(
      "dilationRate",
      "1, as tfjs has no dilated transposed convolution; use UpSampling2D and a Conv2D",
    );
  }
  config.neutral("outputPadding");
  config.neutral("groups", 1);
  config.neutral("rank", rank);
  config.ignore("kernelInitializer", "kernelRegularizer", "biasInitializer", "biasRegularizer");

  return (inputs, call) => {
    const x = spatialInput(only(inputs, call), rank, format, call);
    const channels = knownDim(x.shape[1], "channels", call);
    const surplus = kernelSize.map((k, i) => k - (strides[i] as number));
    const cut = surplus.map((n) => (padding === "same" ? Math.max(n, 0) : 0));
    const before = cut.map((n) => Math.floor(n / 2));
    const after = cut.map((n, i) => n - (before[i] as number));
    const added = surplus.map((n) => Math.max(-n, 0));
    const space = spaceOf(x).map((size, i) => {
      const grown = times(size, strides[i] as number);
      return padding === "same" ? grown : plus(grown, Math.max(surplus[i] as number, 0));
    });
    const kernel = call.weight("kernel", [...kernelSize, filters, channels], kernelConstraint);
    const operands = [x, call.constant("kernel", () => kernelFirst(kernel))];
    if (useBias) {
      const bias = call.weight("bias", [filters], biasConstraint);
      operands.push(call.constant("bias", () => bias));
    }
    const attributes = {
      kernel_shape: kernelSize,
      strides,
      pads: [...before, ...after],
      ...(added.some((n) => n > 0) ? { output_padding: added } : {}),
    };
    const shape = [x.shape[0] ?? 1, filters, ...space];
    const sum = (what: string): ReturnType<typeof call.node> =>
      call.node("ConvTranspose", operands, what, shape, attributes);
    return finishSpatial(call, sum, activation, format);
  };
}
