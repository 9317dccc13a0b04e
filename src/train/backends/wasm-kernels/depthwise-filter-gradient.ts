// The gradient of a depthwise convolution by its filter. tfjs's WebAssembly backend has none.

import type * as tf from "@tensorflow/tfjs";
import { addProducts, type Tile } from "./filter-gradient.js";
import { allocate, floatsOf, type WasmKernel } from "./heap.js";
import { convolutionWindow } from "./window.js";

/**
 * `dw[r,s,c,m] = sum_{n,i,j} x[n, i stride + r dilation - top, j stride + s dilation - left, c] dy[n,i,j,c*M+m]`.
 * x [N,H,W,C], dy [N,Ho,Wo,C*M] -> dw [R,S,C,M]
 */
export const depthwiseFilterGradient: WasmKernel = {
  name: "DepthwiseConv2dNativeBackpropFilter",
  compute({ inputs, attrs, backend }) {
    const x = inputs["x"] as tf.Tensor4D;
    const dy = inputs["dy"] as tf.Tensor4D;
    const filterShape = attrs["filterShape"] as [number, number, number, number];
    const [, , c, multiplier] = filterShape;
    const window = convolutionWindow(x.shape, filterShape, attrs, true);
    const dw = allocate(backend, filterShape);
    floatsOf(backend, dw).fill(0);
    addProducts(backend, x, dy, dw, window, tilesOf(c, multiplier), c * multiplier, 0);
    return dw;
  },
};

/** Every channel of dy with its channel of x; side by side they lie only where the multiplier is 1. */
function tilesOf(inputs: number, multiplier: number): Tile[] {
  const channels = inputs * multiplier;
  const tiles: Tile[] = [];
  for (let dy = 0; dy < channels;) {
    const left = multiplier === 1 ? channels - dy : 1;
    const width = left >= 16 ? 16 : left >= 4 ? 4 : 1;
    tiles.push({ loop: `inner${width}`, x: Math.floor(dy / multiplier), dy, out: dy });
    dy += width;
  }
  return tiles;
}
