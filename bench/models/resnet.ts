// Synthetic residual networks with random weights: the shapes of ResNet-18 and ResNet-50, and small ones for
// tests. What they say about images is noise, but it depends on the image, layer by layer: no channel-wide
// constant takes over, so parity checks on them mean something.

import type { LayersModel } from "./layers-model.js";
import { LayersModelBuilder, saveLayersModel } from "./layers-model.js";
import { gaussian, seeded } from "./random.js";

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

const EPSILON = 1e-3;

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
  const net = new Layers(options.seed ?? 1);
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
  const pooled = net.builder.add("GlobalAveragePooling2D", "pool", [x.name], {
    data_format: "channels_last",
  });
  const output = net.builder.add(
    "Dense",
    "logits",
    [pooled],
    { units: classes, activation: "linear", use_bias: true },
    {
      kernel: {
        shape: [x.channels, classes],
        data: net.zeroSum(x.channels, classes, Math.sqrt(4 / x.channels)),
      },
      bias: { shape: [classes], data: net.normal(classes, 0, 0.05) },
    },
  );
  return net.builder.build("resnet", input, output);
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

/** The layers of ResNet-50: 25.6 million weights. @returns number of weights */
export function resnet50Shaped(path: string, options: { readonly size?: number } = {}): Promise<number> {
  const size = options.size ?? 224;
  return saveLayersModel(
    path,
    resnet({ blocks: [3, 4, 6, 3], width: 64, size, classes: 1000, bottleneck: true, stem: "imagenet" }),
  );
}

/** A value of the network: the layer that gives it, and what a channel of it is expected to look like. */
interface Signal {
  readonly name: string;
  readonly channels: number;
  readonly mean: number;
  readonly variance: number;
}

function residual(
  net: Layers,
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

class Layers {
  readonly builder: LayersModelBuilder = new LayersModelBuilder();
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = seeded(seed);
  }

  /** Conv2D without bias, then BatchNormalization. */
  convNorm(name: string, x: Signal, filters: number, kernel: number, stride: number, gamma: number): Signal {
    const fanIn = kernel * kernel * x.channels;
    const sigma = Math.sqrt(2 / fanIn);
    const first = x.channels === 3;
    const data = first ? gaussian(fanIn * filters, this.#next, sigma) : this.zeroSum(fanIn, filters, sigma);
    const conv = this.builder.add(
      "Conv2D",
      name,
      [x.name],
      {
        filters,
        kernel_size: [kernel, kernel],
        strides: [stride, stride],
        padding: "same",
        data_format: "channels_last",
        dilation_rate: [1, 1],
        activation: "linear",
        use_bias: false,
      },
      { kernel: { shape: [kernel, kernel, x.channels, filters], data } },
    );
    const variance = 2 * (first ? x.variance + x.mean ** 2 : x.variance);
    const vector = (values: Float32Array<ArrayBuffer>) => ({ shape: [filters], data: values });
    const norm = this.builder.add(
      "BatchNormalization",
      `${name}_bn`,
      [conv],
      { axis: 3, momentum: 0.99, epsilon: EPSILON, center: true, scale: true },
      {
        gamma: vector(this.normal(filters, gamma, 0.1 * gamma)),
        beta: vector(this.normal(filters, 0, 0.1)),
        moving_mean: vector(this.normal(filters, 0, 0.1 * Math.sqrt(variance))),
        moving_variance: vector(this.normal(filters, 0, 0.25).map((spread) => variance * Math.exp(spread))),
      },
    );
    return { name: norm, channels: filters, mean: 0, variance: gamma ** 2 };
  }

  relu(name: string, x: Signal): Signal {
    return {
      name: this.builder.add("Activation", name, [x.name], { activation: "relu" }),
      channels: x.channels,
      ...rectified(x.mean, x.variance),
    };
  }

  normal(n: number, mean: number, sigma: number): Float32Array<ArrayBuffer> {
    return gaussian(n, this.#next, sigma).map((x) => x + mean);
  }

  /** Normal numbers [fanIn, filters], the mean of each column taken out. */
  zeroSum(fanIn: number, filters: number, sigma: number): Float32Array<ArrayBuffer> {
    const w = gaussian(fanIn * filters, this.#next, sigma);
    const mean = new Float64Array(filters);
    for (let row = 0; row < w.length; row += filters) {
      for (let k = 0; k < filters; k++) mean[k] = (mean[k] as number) + (w[row + k] as number) / fanIn;
    }
    for (let row = 0; row < w.length; row += filters) {
      for (let k = 0; k < filters; k++) w[row + k] = (w[row + k] as number) - (mean[k] as number);
    }
    return w;
  }
}

/** Mean and variance of max(x, 0) for x normal, by the integral over a grid of 16 standard deviations. */
function rectified(mean: number, variance: number): { mean: number; variance: number } {
  const sigma = Math.sqrt(variance);
  let weight = 0;
  let first = 0;
  let second = 0;
  for (let z = -8; z <= 8; z += 1 / 64) {
    const density = Math.exp((-z * z) / 2);
    const y = Math.max(mean + sigma * z, 0);
    weight += density;
    first += density * y;
    second += density * y * y;
  }
  first /= weight;
  return { mean: first, variance: second / weight - first * first };
}
