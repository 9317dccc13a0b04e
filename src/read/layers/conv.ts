// Conv1D, Conv2D and Conv3D: one ONNX Conv.

import { readActivation } from "../activation.js";
import type { LayerConfig } from "../config.js";
import { readConstraint } from "../constraints.js";
import {
  checkDilations,
  finishSpatial,
  kernelFirst,
  readDataFormat,
  readPadding,
  slide,
  spaceOf,
  spatialInput,
} from "../convolution.js";
import { knownDim, only, type Emit, type LayerDefinition } from "../layer.js";

export const conv1D: LayerDefinition = { className: "Conv1D", prepare: (config) => prepare(config, 1) };
export const conv2D: LayerDefinition = { className: "Conv2D", prepare: (config) => prepare(config, 2) };
export const conv3D: LayerDefinition = { className: "Conv3D", prepare: (config) => prepare(config, 3) };

/** `y[n, k, p] = bias[k] + sum over c, r of kernel[r, c, k] * x[n, c, p * stride + r * dilation - pad]` */
function prepare(config: LayerConfig, rank: number): Emit {
  const format = readDataFormat(config);
  if (rank === 1 && format === "channelsFirst") {
    config.fail("dataFormat: tfjs returns a channelsFirst Conv1D with its axes swapped; use channelsLast");
  }
  const filters = config.positiveInt("filters");
  const kernelSize = config.ints("kernelSize", rank, 1);
  const strides = config.ints("strides", rank, 1, 1);
  const dilations = config.ints("dilationRate", rank, 1, 1);
  const padding = readPadding(config);
  const activation = readActivation(config);
  const useBias = config.boolean("useBias", true);
  const kernelConstraint = readConstraint(config, "kernelConstraint");
  const biasConstraint = readConstraint(config, "biasConstraint");
  config.ignore("kernelInitializer", "kernelRegularizer", "biasInitializer", "biasRegularizer");
  config.neutral("groups", 1);
  config.neutral("rank", rank);
  checkDilations(config, strides, dilations);

  return (inputs, call) => {
    const x = spatialInput(only(inputs, call), rank, format, call);
    const channels = knownDim(x.shape[1], "channels", call);
    const window = { kernel: kernelSize, strides, dilations, padding };
    const { space, attributes } = slide(spaceOf(x), window, call);
    const kernel = call.weight("kernel", [...kernelSize, channels, filters], kernelConstraint);
    const operands = [x, call.constant("kernel", () => kernelFirst(kernel))];
    if (useBias) {
      const bias = call.weight("bias", [filters], biasConstraint);
      operands.push(call.constant("bias", () => bias));
    }
    const shape = [x.shape[0] ?? 1, filters, ...space];
    return finishSpatial(
      call,
      (what) => call.node("Conv", operands, what, shape, attributes),
      activation,
      format,
    );
  };
}
