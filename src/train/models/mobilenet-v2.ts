// mobilenet-v2 by width: inverted residuals with linear bottlenecks.

import type { LayersModel } from "../layers-model-file.js";
import { LayersWriter, type Output } from "./layers-writer.js";

/** Table 2: expansion, channels, blocks, stride of the first block. */
const STAGES: readonly (readonly [expansion: number, channels: number, blocks: number, stride: 1 | 2])[] = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
];

/** A last feature map of less would leave 3x3 kernels nothing but padding to look at. */
const LEAST_FEATURE_MAP = 3;

/**
 * Sandler, Howard, Zhu, Zhmoginov, Chen, "MobileNetV2", 2018, table 2: a 3x3 convolution with stride 2, the
 * inverted residuals, a 1x1 convolution to 1280 channels, global average pooling, Dense. ReLU6 throughout;
 * channels times `width`, rounded by {@link divisibleChannels}; the last 1280 only grow with it.
 *
 * The paper's five strides of 2 make 1/32 of the image. Where that is a map of less than 3x3, below 65 px, the
 * first strides become 1, one after the other, until it is 3x3 or more: at 64 px the map is 4x4 (1/16), at 32 px
 * 4x4 (1/8). Weights are the same in number and shape, so those of another size fit.
 *
 * @param width 0.25..1.4
 */
export function mobilenetV2(imageSize: number, classes: number, width: number, seed: number): LayersModel {
  const net = new LayersWriter(seed);
  const input = net.input("image", imageSize);
  const [stemStride, ...strides] = stridesFor(imageSize);
  const stem = net.conv("conv1", input, divisibleChannels(32 * width), 3, stemStride as number);
  let x = net.relu("relu1", net.batchNorm("bn1", stem), 6);
  let number = 1;
  for (const [stage, [expansion, channels, blocks]] of STAGES.entries()) {
    for (let block = 0; block < blocks; block++) {
      const stride = block === 0 ? (strides[stage] as number) : 1;
      x = invertedResidual(
        net,
        `block${number++}`,
        x,
        expansion,
        divisibleChannels(channels * width),
        stride,
      );
    }
  }
  const last = net.conv("conv2", x, divisibleChannels(1280 * Math.max(1, width)), 1, 1);
  return net.finish("mobilenet_v2", input, net.relu("relu2", net.batchNorm("bn2", last), 6), classes);
}

/** Expand 1x1, ReLU6, depthwise 3x3, ReLU6, project 1x1 and no activation; x is added where shapes agree. */
function invertedResidual(
  net: LayersWriter,
  name: string,
  x: Output,
  expansion: number,
  filters: number,
  stride: number,
): Output {
  let y = x;
  if (expansion !== 1) {
    const expanded = net.conv(`${name}_expand`, x, x.channels * expansion, 1, 1);
    y = net.relu(`${name}_relu1`, net.batchNorm(`${name}_expand_bn`, expanded), 6);
  }
  const depthwise = net.depthwise(`${name}_depthwise`, y, stride);
  y = net.relu(`${name}_relu2`, net.batchNorm(`${name}_depthwise_bn`, depthwise), 6);
  y = net.batchNorm(`${name}_project_bn`, net.conv(`${name}_project`, y, filters, 1, 1));
  return stride === 1 && x.channels === filters ? net.add(`${name}_add`, x, y) : y;
}

/**
 * The multiple of 8 nearest to `channels` (half up), at least 8, and the next one where that would take away more
 * than a tenth. The rule of the authors' code.
 */
export function divisibleChannels(channels: number): number {
  const nearest = Math.max(8, Math.floor((channels + 4) / 8) * 8);
  return nearest < 0.9 * channels ? nearest + 8 : nearest;
}

/** Strides of the first convolution and of the stages, for an image of this size. */
function stridesFor(imageSize: number): number[] {
  const strides = [2, ...STAGES.map(([, , , stride]) => stride as number)];
  const map = (): number => strides.reduce((size, stride) => Math.ceil(size / stride), imageSize);
  for (let i = 0; i < strides.length && map() < LEAST_FEATURE_MAP; i++) strides[i] = 1;
  return strides;
}
