// resnet8: the smallest residual network for images of about 32 px.

import type { LayersModel } from "../layers-model-file.js";
import { LayersWriter } from "./layers-writer.js";
import { residualBlock } from "./residual-block.js";

/**
 * A 3x3 convolution to 16 channels, one basic block each of 16, 32 (stride 2) and 64 channels (stride 2), global
 * average pooling, Dense: the CIFAR network of He et al. 2016, section 4.2, with n = 1 and projections.
 */
export function resnet8(imageSize: number, classes: number, seed: number): LayersModel {
  const net = new LayersWriter(seed);
  const input = net.input("image", imageSize);
  let x = net.relu("relu1", net.batchNorm("bn1", net.conv("conv1", input, 16, 3, 1)));
  x = residualBlock(net, "block1", x, 16, 1);
  x = residualBlock(net, "block2", x, 32, 2);
  x = residualBlock(net, "block3", x, 64, 2);
  return net.finish("resnet8", input, x, classes);
}
