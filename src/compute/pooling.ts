// Pools. MaxPool and GlobalMaxPool work on integers as on floats; averages are float32 here, those between
// quantized values are in fused-kernels.ts.

import type { Tensor } from "../base/tensor.js";
import { intAttribute } from "../graph/graph.js";
import { RANGE_BY_DTYPE } from "./quantize.js";
import type { Kernel } from "./kernel.js";
import { float32At, inputAt, newTensor, numbersAt, unsupported } from "./kernel.js";
import { type PoolGeometry, poolGeometry } from "./geometry.js";
import { elementsInside, type Window } from "./window.js";

/**
 * Calls `visit(to, window)` for each output with the indices in x that its window covers, row by row;
 * `cells` is the number of positions of the window that lie in the image or its padding.
 */
export function forEachWindow(
  geometry: PoolGeometry,
  visit: (to: number, covered: readonly number[], cells: number) => void,
): void {
  const { depth, rows, columns, outputShape } = geometry;
  const planes = (outputShape[0] as number) * (outputShape[1] as number);
  let to = 0;
  for (let p = 0; p < planes; p++) {
    for (let d = 0; d < depth.outputSize; d++) {
      const ds = positions(depth, d);
      for (let i = 0; i < rows.outputSize; i++) {
        const hs = positions(rows, i);
        for (let j = 0; j < columns.outputSize; j++) {
          const vs = positions(columns, j);
          const places: number[] = [];
          for (const image of ds.inside) {
            for (const h of hs.inside) {
              const row = ((p * depth.size + image) * rows.size + h) * columns.size;
              for (const v of vs.inside) places.push(row + v);
            }
          }
          visit(to++, places, ds.cells * hs.cells * vs.cells);
        }
      }
    }
  }
}

function positions(
  window: Window,
  output: number,
): { readonly inside: readonly number[]; readonly cells: number } {
  const { inside, cells } = elementsInside(window, output);
  const first = output * window.stride - window.padBegin;
  return { inside: inside.map((element) => first + element * window.dilation), cells };
}

/** Padding never wins (ONNX MaxPool, one output). */
export const maxPool: Kernel = (call) => {
  if (call.node.outputs.length > 1) throw unsupported(call, "the Indices output");
  if (intAttribute(call.node, "storage_order", 0) !== 0) throw unsupported(call, "storage_order 1");
  const value = inputAt(call, 0);
  const x = numbersAt(call, 0);
  const geometry = poolGeometry(call, value.shape);
  const y = newTensor(call, value.dtype, geometry.outputShape) as Tensor;
  const lowest = RANGE_BY_DTYPE[value.dtype]?.[0] ?? Number.NEGATIVE_INFINITY;
  forEachWindow(geometry, (to, covered) => {
    let highest = lowest;
    for (const at of covered) highest = Math.max(highest, x[at] as number);
    y.data[to] = highest as never;
  });
  return [y];
};

/** `fl(sum / count)`, the sum in float32 in the order of the window; padding counts with count_include_pad. */
export const averagePool: Kernel = (call) => {
  const x = float32At(call, 0);
  const geometry = poolGeometry(call, inputAt(call, 0).shape);
  const y = newTensor(call, "float32", geometry.outputShape);
  const includePad = intAttribute(call.node, "count_include_pad", 0) !== 0;
  forEachWindow(geometry, (to, covered, cells) => {
    let sum = 0;
    for (const at of covered) sum = Math.fround(sum + (x[at] as number));
    y.data[to] = sum / (includePad ? cells : covered.length);
  });
  return [y];
};

/** `fl(sum / count)` over all spatial axes, the sum in double. */
export const globalAveragePool: Kernel = (call) => {
  const x = float32At(call, 0);
  const { shape } = inputAt(call, 0);
  const y = newTensor(call, "float32", globalShape(shape));
  const count = x.length / y.data.length;
  for (let i = 0; i < y.data.length; i++) {
    let sum = 0;
    for (let at = i * count; at < (i + 1) * count; at++) sum += x[at] as number;
    y.data[i] = sum / count;
  }
  return [y];
};

export const globalMaxPool: Kernel = (call) => {
  const value = inputAt(call, 0);
  const x = numbersAt(call, 0);
  const y = newTensor(call, value.dtype, globalShape(value.shape)) as Tensor;
  const count = x.length / y.data.length;
  for (let i = 0; i < y.data.length; i++) {
    let highest = Number.NEGATIVE_INFINITY;
    for (let at = i * count; at < (i + 1) * count; at++) highest = Math.max(highest, x[at] as number);
    y.data[i] = highest as never;
  }
  return [y];
};

export function globalShape(shape: readonly number[]): number[] {
  return shape.map((dim, axis) => (axis < 2 ? dim : 1));
}
