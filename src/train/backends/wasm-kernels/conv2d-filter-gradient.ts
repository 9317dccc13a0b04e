// The gradient of a convolution by its filter. tfjs's WebAssembly backend has none.

import type * as tf from "@tensorflow/tfjs";
import { addProducts, type Tile } from "./filter-gradient.js";
import { allocate, floatsOf, type WasmKernel } from "./heap.js";
import { convolutionWindow, flattened } from "./window.js";

/**
 * `dw[r,s,c,k] = sum_{n,i,j} x[n, i stride + r - top, j stride + s - left, c] dy[n,i,j,k]`, four c by eight k at a
 * time, straight from the two tensors: no matrix of patches (9 times x) is built.
 *
 * x [N,H,W,C], dy [N,Ho,Wo,K] -> dw [R,S,C,K]
 */
export const conv2dFilterGradient: WasmKernel = {
  name: "Conv2DBackpropFilter",
  compute({ inputs, attrs, backend }) {
    const x = inputs["x"] as tf.Tensor4D;
    const dy = inputs["dy"] as tf.Tensor4D;
    const filterShape = attrs["filterShape"] as [number, number, number, number];
    const [, , c, k] = filterShape;
    const flat = flattened(x, dy, convolutionWindow(x.shape, filterShape, attrs, false));
    const dw = allocate(backend, filterShape);
    floatsOf(backend, dw).fill(0);
    addProducts(backend, flat.x, flat.dy, dw, flat.window, tilesOf(c, k), c * k, k);
    return dw;
  },
};

/** All pairs of a channel of x and one of dy, each once. */
function tilesOf(inputs: number, outputs: number): Tile[] {
  const tiles: Tile[] = [];
  for (let x = 0; x < inputs;) {
    const height: 4 | 1 = inputs - x >= 4 ? 4 : 1;
    for (let dy = 0; dy < outputs;) {
      const width = outputs - dy >= 8 ? 8 : outputs - dy >= 4 ? 4 : 1;
      const out = x * outputs + dy;
      if (width !== 1) tiles.push({ loop: `outer${height}x${width}`, x, dy, out });
      else {
        for (let c = 0; c < height; c++) tiles.push({ loop: "inner1", x: x + c, dy, out: out + c * outputs });
      }
      dy += width;
    }
    x += height;
  }
  return tiles;
}
