// The basic block of residual networks, which resnet8 and resnet18 are made of.

import type { LayersWriter, Output } from "./layers-writer.js";

/**
 * `relu(bn(conv(relu(bn(conv(x))))) + shortcut(x))`, both convolutions 3x3, the first with the stride. The
 * shortcut is x itself, or a 1x1 convolution with the stride and batch normalization where the shape changes
 * (option B). Source: He, Zhang, Ren, Sun, "Deep residual learning for image recognition", 2016, section 3.3.
 *
 * Padding is TensorFlow's 'same', which at stride 2 pads the far side only; the number of weights is the same.
 */
export function residualBlock(
  net: LayersWriter,
  name: string,
  x: Output,
  filters: number,
  stride: number,
): Output {
  const first = net.conv(`${name}_conv1`, x, filters, 3, stride);
  const middle = net.relu(`${name}_relu1`, net.batchNorm(`${name}_bn1`, first));
  const second = net.conv(`${name}_conv2`, middle, filters, 3, 1);
  const branch = net.batchNorm(`${name}_bn2`, second);
  const sum = net.add(`${name}_add`, branch, shortcut(net, name, x, filters, stride));
  return net.relu(`${name}_relu2`, sum);
}

function shortcut(net: LayersWriter, name: string, x: Output, filters: number, stride: number): Output {
  if (stride === 1 && x.channels === filters) return x;
  return net.batchNorm(`${name}_shortcut_bn`, net.conv(`${name}_shortcut`, x, filters, 1, stride));
}
