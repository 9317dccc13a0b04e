// resnet18, with one of two stems.

import type { LayersModel } from "../layers-model-file.js";
import { LayersWriter, type Output } from "./layers-writer.js";
import { residualBlock } from "./residual-block.js";

export type ResnetStem = "cifar" | "imagenet";

/**
 * He et al. 2016, table 1: two basic blocks each of 64, 128, 256 and 512 channels, the last three stages with
 * stride 2, global average pooling, Dense.
 *
 * @param stem "imagenet": 7x7 with stride 2, then 3x3 max pooling with stride 2, 1/32 of the image in all;
 * "cifar": 3x3 with stride 1 and no pooling, 1/8
 */
export function resnet18(imageSize: number, classes: number, stem: ResnetStem, seed: number): LayersModel {
  const net = new LayersWriter(seed);
  const input = net.input("image", imageSize);
  let x = stemOf(net, input, stem);
  for (const [stage, filters] of [64, 128, 256, 512].entries()) {
    x = residualBlock(net, `stage${stage + 1}_block1`, x, filters, stage === 0 ? 1 : 2);
    x = residualBlock(net, `stage${stage + 1}_block2`, x, filters, 1);
  }
  return net.finish("resnet18", input, x, classes);
}

function stemOf(net: LayersWriter, input: Output, stem: ResnetStem): Output {
  const [kernel, stride] = stem === "imagenet" ? [7, 2] : [3, 1];
  const x = net.relu("relu1", net.batchNorm("bn1", net.conv("conv1", input, 64, kernel, stride)));
  return stem === "imagenet" ? net.maxPool("maxpool", x) : x;
}
