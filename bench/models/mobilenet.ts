// Synthetic networks of MobileNetV1's layers with random weights: a depthwise and a pointwise convolution in turn.

import { type LayersModel, saveLayersModel } from "./layers-model.js";
import { RandomLayers, type Signal } from "./random-layers.js";

export interface MobilenetOptions {
  /** Of the channels of the network of width 1. */
  readonly width: number;
  /** H and W of the input. */
  readonly size: number;
  readonly classes: number;
  readonly seed?: number;
}

const STEM_CHANNELS = 32;
/** Channels at width 1, and the stride of the depthwise convolution. */
const BLOCKS: readonly (readonly [channels: number, stride: number])[] = [
  [64, 1],
  [128, 2],
  [128, 1],
  [256, 2],
  [256, 1],
  [512, 2],
  ...Array.from({ length: 5 }, () => [512, 1] as const),
  [1024, 2],
  [1024, 1],
];

/** MobileNetV1 for inputs in [-1, 1], channels last, without softmax. */
export function mobilenetV1({ width, size, classes, seed = 1 }: MobilenetOptions): LayersModel {
  const net = new RandomLayers(seed);
  const input = net.builder.input("input_1", [size, size, 3]);
  const image: Signal = { name: input, channels: 3, variance: 1 / 3, mean: 0 };
  let x = net.relu("relu1", net.convNorm("conv1", image, STEM_CHANNELS * width, 3, 2, 1));
  BLOCKS.forEach(([channels, stride], i) => {
    const name = `block${i + 1}`;
    x = net.relu(`${name}_depthwise_relu`, net.depthwiseNorm(`${name}_depthwise`, x, stride));
    x = net.relu(`${name}_pointwise_relu`, net.convNorm(`${name}_pointwise`, x, channels * width, 1, 1, 1));
  });
  return net.builder.build("mobilenet", input, net.head(x, classes));
}

/** The layers of MLPerf Tiny's MobileNetV1, without its softmax: 96x96 images, 0.2 million weights. @returns number of weights */
export function mobilenetV1Tiny(path: string): Promise<number> {
  return saveLayersModel(path, mobilenetV1({ width: 0.25, size: 96, classes: 2 }));
}
