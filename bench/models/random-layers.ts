// Layers with random weights that keep a network alive, out of which synthetic ones are built: what leaves a layer depends
// on the image and neither fades nor grows.

import { LayersModelBuilder } from "./layers-model.js";
import { gaussian, seeded } from "./random.js";

const EPSILON = 1e-3;

/** A value of the network: the layer that gives it, and what a channel of it is expected to look like. */
export interface Signal {
  readonly name: string;
  readonly channels: number;
  readonly mean: number;
  readonly variance: number;
}

export class RandomLayers {
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
    return this.#norm(name, conv, filters, 2 * (first ? x.variance + x.mean ** 2 : x.variance), gamma);
  }

  /** DepthwiseConv2D of 3x3 without bias, then BatchNormalization. */
  depthwiseNorm(name: string, x: Signal, stride: number): Signal {
    const fanIn = 9;
    const conv = this.builder.add(
      "DepthwiseConv2D",
      name,
      [x.name],
      {
        kernel_size: [3, 3],
        strides: [stride, stride],
        padding: "same",
        data_format: "channels_last",
        dilation_rate: [1, 1],
        depth_multiplier: 1,
        activation: "linear",
        use_bias: false,
      },
      {
        depthwise_kernel: {
          shape: [3, 3, x.channels, 1],
          data: this.zeroSum(fanIn, x.channels, Math.sqrt(2 / fanIn)),
        },
      },
    );
    return this.#norm(name, conv, x.channels, 2 * x.variance, 1);
  }

  #norm(name: string, input: string, channels: number, variance: number, gamma: number): Signal {
    const vector = (values: Float32Array<ArrayBuffer>) => ({ shape: [channels], data: values });
    const norm = this.builder.add(
      "BatchNormalization",
      `${name}_bn`,
      [input],
      { axis: 3, momentum: 0.99, epsilon: EPSILON, center: true, scale: true },
      {
        gamma: vector(this.normal(channels, gamma, 0.1 * gamma)),
        beta: vector(this.normal(channels, 0, 0.1)),
        moving_mean: vector(this.normal(channels, 0, 0.1 * Math.sqrt(variance))),
        moving_variance: vector(this.normal(channels, 0, 0.25).map((spread) => variance * Math.exp(spread))),
      },
    );
    return { name: norm, channels, mean: 0, variance: gamma ** 2 };
  }

  relu(name: string, x: Signal): Signal {
    return {
      name: this.builder.add("Activation", name, [x.name], { activation: "relu" }),
      channels: x.channels,
      ...rectified(x.mean, x.variance),
    };
  }

  /** The mean of each channel, then a dense layer `logits`: its name. */
  head(x: Signal, classes: number): string {
    const pooled = this.builder.add("GlobalAveragePooling2D", "pool", [x.name], {
      data_format: "channels_last",
    });
    return this.builder.add(
      "Dense",
      "logits",
      [pooled],
      { units: classes, activation: "linear", use_bias: true },
      {
        kernel: {
          shape: [x.channels, classes],
          data: this.zeroSum(x.channels, classes, Math.sqrt(4 / x.channels)),
        },
        bias: { shape: [classes], data: this.normal(classes, 0, 0.05) },
      },
    );
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
