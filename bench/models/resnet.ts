// Synthetic residual networks with random weights: the shapes of ResNet-18 and ResNet-50, and small ones for
// tests. What they say about images is noise, but it depends on the image, layer by layer: no channel-wide
// constant takes over, so parity checks on them mean something.

import type { LayersModel } from "./layers-model.js";
import { saveLayersModel } from "./layers-model.js";
import { RandomLayers, type Signal } from "./random-layers.js";

export interface ResnetOptions {
  /** Residual blocks a stage; each stage but the first halves H and W and doubles the channels. */
  readonly blocks: readonly number[];
  /** Channels of the first stage. */
  readonly width: number;
  /** H and W of the input; null leaves them open. */
  readonly size: number | null;
  readonly classes: number;
  /** Blocks of 1x1, 3x3, 1x1 to four times the width, as ResNet-50, instead of two 3x3. */
  readonly bottleneck?: boolean;
  /** "imagenet": 7x7 with stride 2, then 3x3 max pooling with stride 2; "small" (default): 3x3. */
  readonly stem?: "imagenet" | "small";
  readonly seed?: number;
}

/**
 * A residual network for inputs in [-1, 1], channels last, without softmax.
 *
 * Kernels are He-initialized, standard deviation `sqrt(2 / (R S C))`, and from the second on sum to 0 for each
 * output channel: inputs after a ReLU have means > 0, which would otherwise grow into constants that drown the
 * image. A kernel then gives variance `2 var(x)`, so that is what its batch norm holds as moving variance,
 * give or take a quarter; gamma is about 1 (0.5 on the last of a block), beta about 0.
 */
export function resnet(options: ResnetOptions): LayersModel {
  const { blocks, width, size, classes, bottleneck = false, stem = "small" } = options;
  const net = new RandomLayers(options.seed ?? 1);
  const input = net.builder.input("input_1", [size, size, 3]);
  let x: Signal = { name: input, channels: 3, variance: 1 / 3, mean: 0 };
  if (stem === "imagenet") {
    x = net.relu("relu1", net.convNorm("conv1", x, width, 7, 2, 1));
    const pool = { pool_size: [3, 3], strides: [2, 2], padding: "same", data_format: "channels_last" };
    x = { ...x, name: net.builder.add("MaxPooling2D", "pool1", [x.name], pool) };
  } else {
    x = net.relu("relu1", net.convNorm("conv1", x, width, 3, 1, 1));
  }
  blocks.forEach((count, stage) => {
    for (let block = 0; block < count; block++) {
      const stride = stage > 0 && block === 0 ? 2 : 1;
      x = residual(net, `stage${stage + 1}_block${block + 1}`, x, width * 2 ** stage, stride, bottleneck);
    }
  });
  return net.builder.build("resnet", input, net.head(x, classes));
}

/** The layers of ResNet-18: 11.7 million weights. @returns number of weights */
export function resnet18(path: string, options: { readonly size?: number } = {}): Promise<number> {
  const size = options.size ?? 224;
  return saveLayersModel(
    path,
    resnet({ blocks: [2, 2, 2, 2], width: 64, size, classes: 1000, stem: "imagenet" }),
  );
}

/** The layers of ResNet-18, narrower: 1.0 million weights. @returns number of weights */
export function resnetSmall(path: string): Promise<number> {
  return saveLayersModel(
    path,
    resnet({ blocks: [2, 2, 2, 2], width: 19, size: 224, classes: 100, stem: "imagenet" }),
  );
}

/** The layers of MLPerf Tiny's ResNet8, without its softmax: 32x32 images, 78 thousand weights. @returns number of weights */
export function resnet8(path: string): Promise<number> {
  return saveLayersModel(path, resnet({ blocks: [1, 1, 1], width: 16, size: 32, classes: 10 }));
}

/** The layers of ResNet-50: 25.6 million weights. @returns number of weights */
export function resnet50Shaped(path: string, options: { readonly size?: number } = {}): Promise<number> {
  const size = options.size ?? 224;
  return saveLayersModel(
    path,
    resnet({ blocks: [3, 4, 6, 3], width: 64, size, classes: 1000, bottleneck: true, stem: "imagenet" }),
  );
}

function residual(
  net: RandomLayers,
  name: string,
  x: Signal,
  width: number,
  stride: number,
  bottleneck: boolean,
): Signal {
  const channels = bottleneck ? 4 * width : width;
  let y: Signal;
  if (bottleneck) {
    y = net.relu(`${name}_relu1`, net.convNorm(`${name}_conv1`, x, width, 1, 1, 1));
    y = net.relu(`${name}_relu2`, net.convNorm(`${name}_conv2`, y, width, 3, stride, 1));
    y = net.convNorm(`${name}_conv3`, y, channels, 1, 1, 0.5);
  } else {
    y = net.relu(`${name}_relu1`, net.convNorm(`${name}_conv1`, x, width, 3, stride, 1));
    y = net.convNorm(`${name}_conv2`, y, channels, 3, 1, 0.5);
  }
  const straight = stride === 1 && x.channels === channels;
  const shortcut = straight ? x : net.convNorm(`${name}_shortcut`, x, channels, 1, stride, 1);
  const sum: Signal = {
    name: net.builder.add("Add", `${name}_add`, [y.name, shortcut.name]),
    channels,
    mean: y.mean + shortcut.mean,
    variance: y.variance + shortcut.variance,
  };
  return net.relu(`${name}_relu`, sum);
}
