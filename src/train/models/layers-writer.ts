// Writes the topology and the initial weights of a built-in model, layer by layer, with the config keys that
// tfjs-layers 4.22 saves. Plain JSON: no tfjs, so that a model can be made where no backend is.

import type { Tensor } from "../../base/tensor.js";
import type { JsonObject, PlainJson } from "../../read/model-json.js";
import type { LayersModel } from "../layers-model-file.js";
import { constantWeight, headNormal, heNormal } from "./initial-weights.js";

/** The output of a layer. */
export interface Output {
  readonly layer: string;
  readonly channels: number;
}

/** As Keras has it. */
const EPSILON = 1e-3;
/** Of the moving statistics: 0.9 as in PyTorch, since runs of some hundred steps would not move 0.99. */
const MOMENTUM = 0.9;

export class LayersWriter {
  readonly #seed: number;
  readonly #layers: JsonObject[] = [];
  readonly #weights = new Map<string, Tensor<"float32">>();

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** Square images of three channels. */
  input(name: string, imageSize: number): Output {
    const shape = [null, imageSize, imageSize, 3];
    this.#add("InputLayer", name, [], { batch_input_shape: shape, dtype: "float32", sparse: false });
    return { layer: name, channels: 3 };
  }

  /** Conv2D without bias, 'same' padding; `kernel` on each side. */
  conv(name: string, x: Output, filters: number, kernel: number, stride: number): Output {
    this.#add("Conv2D", name, [x], {
      filters,
      kernel_size: [kernel, kernel],
      ...sliding(stride),
      dilation_rate: [1, 1],
      activation: "linear",
      use_bias: false,
    });
    const fanIn = kernel * kernel * x.channels;
    this.#he(`${name}/kernel`, [kernel, kernel, x.channels, filters], fanIn);
    return { layer: name, channels: filters };
  }

  /** DepthwiseConv2D of 3x3 without bias, 'same' padding. */
  depthwise(name: string, x: Output, stride: number): Output {
    this.#add("DepthwiseConv2D", name, [x], {
      kernel_size: [3, 3],
      ...sliding(stride),
      depth_multiplier: 1,
      activation: "linear",
      use_bias: false,
    });
    this.#he(`${name}/depthwise_kernel`, [3, 3, x.channels, 1], 9);
    return { layer: name, channels: x.channels };
  }

  batchNorm(name: string, x: Output): Output {
    const config = { axis: -1, momentum: MOMENTUM, epsilon: EPSILON, center: true, scale: true };
    this.#add("BatchNormalization", name, [x], config);
    this.#weights.set(`${name}/gamma`, constantWeight(x.channels, 1));
    this.#weights.set(`${name}/beta`, constantWeight(x.channels, 0));
    this.#weights.set(`${name}/moving_mean`, constantWeight(x.channels, 0));
    this.#weights.set(`${name}/moving_variance`, constantWeight(x.channels, 1));
    return { layer: name, channels: x.channels };
  }

  /** @param max 6 for ReLU6 */
  relu(name: string, x: Output, max?: number): Output {
    this.#add("ReLU", name, [x], max === undefined ? {} : { max_value: max });
    return { layer: name, channels: x.channels };
  }

  /** 3x3 with stride 2, 'same' padding. */
  maxPool(name: string, x: Output): Output {
    this.#add("MaxPooling2D", name, [x], { pool_size: [3, 3], ...sliding(2) });
    return { layer: name, channels: x.channels };
  }

  add(name: string, x: Output, y: Output): Output {
    this.#add("Add", name, [x, y], {});
    return { layer: name, channels: x.channels };
  }

  /** Global average pooling, then a Dense layer named "classes" with a softmax. */
  finish(model: string, input: Output, x: Output, classes: number): LayersModel {
    this.#add("GlobalAveragePooling2D", "pool", [x], { data_format: "channels_last" });
    this.#add("Dense", "classes", [{ layer: "pool", channels: x.channels }], {
      units: classes,
      activation: "softmax",
      use_bias: true,
    });
    const kernel = "classes/kernel";
    this.#weights.set(kernel, headNormal(this.#seed, kernel, [x.channels, classes], x.channels));
    this.#weights.set("classes/bias", constantWeight(classes, 0));
    return {
      topology: {
        class_name: "Model",
        config: {
          name: model,
          layers: this.#layers,
          input_layers: [[input.layer, 0, 0]],
          output_layers: [["classes", 0, 0]],
        },
      },
      weights: this.#weights,
      userDefinedMetadata: null,
    };
  }

  #he(name: string, shape: readonly number[], fanIn: number): void {
    this.#weights.set(name, heNormal(this.#seed, name, shape, fanIn));
  }

  #add(className: string, name: string, inputs: readonly Output[], config: JsonObject): void {
    const calls: PlainJson = inputs.length === 0 ? [] : [inputs.map(({ layer }) => [layer, 0, 0, {}])];
    this.#layers.push({
      name,
      class_name: className,
      config: { name, trainable: true, ...config },
      inbound_nodes: calls,
    });
  }
}

function sliding(stride: number): JsonObject {
  return { strides: [stride, stride], padding: "same", data_format: "channels_last" };
}
