// Maximum and average over windows, in one, two and three dimensions.

import type { LayerConfig } from "../config.js";
import {
  channelLayout,
  readDataFormat,
  slide,
  spaceOf,
  spatialInput,
  type DataFormat,
} from "../convolution.js";
import { only, type Emit, type LayerDefinition } from "../layer.js";

type PoolOp = "MaxPool" | "AveragePool";

export const maxPooling1D: LayerDefinition = pooling("MaxPooling1D", "MaxPool", 1);
export const maxPooling2D: LayerDefinition = pooling("MaxPooling2D", "MaxPool", 2);
export const maxPooling3D: LayerDefinition = pooling("MaxPooling3D", "MaxPool", 3);
export const averagePooling1D: LayerDefinition = pooling("AveragePooling1D", "AveragePool", 1);
export const averagePooling2D: LayerDefinition = pooling("AveragePooling2D", "AveragePool", 2);
export const averagePooling3D: LayerDefinition = pooling("AveragePooling3D", "AveragePool", 3);

function pooling(className: string, op: PoolOp, rank: number): LayerDefinition {
  return { className, prepare: (config) => prepare(config, op, rank) };
}

/** Elements of the padding count in neither; an average is over the elements that are there. */
function prepare(config: LayerConfig, op: PoolOp, rank: number): Emit {
  const poolSize = config.ints("poolSize", rank, 1, 2);
  const strides = config.ints("strides", rank, 1, poolSize);
  const padding = config.choice("padding", ["valid", "same"], "valid");
  const format = readPoolingFormat(config, rank);

  return (inputs, call) => {
    const x = spatialInput(only(inputs, call), rank, format, call);
    const window = { kernel: poolSize, strides, dilations: poolSize.map(() => 1), padding };
    const { space, attributes } = slide(spaceOf(x), window, call);
    if (
      op === "MaxPool" &&
      attributes["auto_pad"] !== undefined &&
      poolSize.some((size, i) => size < (strides[i] ?? 1))
    ) {
      // ONNX Runtime computes a negative padding for some sizes there, and stops.
      call.fail('padding "same" with strides above pool_size needs a fixed input size');
    }
    const shape = [...x.shape.slice(0, 2), ...space];
    return { value: call.node(op, [x], "", shape, attributes), layout: channelLayout(format) };
  };
}

/** tfjs's one-dimensional layers are channelsLast and do not read the key that Keras writes. */
export function readPoolingFormat(config: LayerConfig, rank: number): DataFormat {
  if (rank > 1) return readDataFormat(config);
  config.neutral("dataFormat", "channels_last", "channelsLast");
  return "channelsLast";
}
