// Convolution sums, in double: exact for integers (every sum is far below 2^53), and more accurate than any
// runtime for real numbers, which round once at the end. The integer path uses the same sums.

import { intAttribute } from "../graph/graph.js";
import type { Call, Kernel } from "./kernel.js";
import { float32At, inputAt, invalid, newTensor, optionalInput } from "./kernel.js";
import { type ConvGeometry, convGeometry, transposedWindows } from "./geometry.js";
import type { Window } from "./window.js";
import { volumeOf } from "./window.js";

/** `y[n, k, i, j] = sum over c, r, s of x[n, c, i*stride + r*dilation - pad, ...] * w[k, c, r, s]`. */
export function convolve(x: Float32Array, w: Float32Array, geometry: ConvGeometry): Float64Array {
  const { N, C, K, group } = geometry;
  let { depth, rows, columns } = geometry;
  if (isPointwise(depth) && isPointwise(rows) && isPointwise(columns)) {
    // One long row: the same sums in the same order.
    const size = depth.size * rows.size * columns.size;
    [depth, rows, columns] = [
      { ...depth, size: 1, outputSize: 1 },
      { ...rows, size: 1, outputSize: 1 },
      { ...columns, size, outputSize: size },
    ];
  }
  const plane = rows.size * columns.size;
  const outputPlane = rows.outputSize * columns.outputSize;
  const kernelPlane = rows.kernel * columns.kernel;
  const channels = C / group;
  const perGroup = K / group;
  const y = new Float64Array(N * K * depth.outputSize * outputPlane);
  for (let n = 0; n < N; n++) {
    for (let k = 0; k < K; k++) {
      const to = (n * K + k) * depth.outputSize * outputPlane;
      const firstChannel = Math.floor(k / perGroup) * channels;
      for (let c = 0; c < channels; c++) {
        const from = (n * C + firstChannel + c) * depth.size * plane;
        const kernel = (k * channels + c) * depth.kernel * kernelPlane;
        for (let t = 0; t < depth.kernel; t++) {
          for (let d = 0; d < depth.outputSize; d++) {
            const image = d * depth.stride + t * depth.dilation - depth.padBegin;
            if (image < 0 || image >= depth.size) continue;
            const weights = kernel + t * kernelPlane;
            addPlane(x, from + image * plane, w, weights, y, to + d * outputPlane, rows, columns);
          }
        }
      }
    }
  }
  return y;
}

function isPointwise(window: Window): boolean {
  return window.kernel === 1 && window.stride === 1 && window.padBegin === 0 && window.padEnd === 0;
}

/** Adds an image of one input channel to one of an output channel. */
function addPlane(
  x: Float32Array,
  from: number,
  w: Float32Array,
  kernel: number,
  y: Float64Array,
  to: number,
  rows: Window,
  columns: Window,
): void {
  const step = columns.stride;
  for (let r = 0; r < rows.kernel; r++) {
    for (let s = 0; s < columns.kernel; s++) {
      const weight = w[kernel + r * columns.kernel + s] as number;
      // Column j reads x at j * stride + offset: from the first to the last that lies in the image.
      const offset = s * columns.dilation - columns.padBegin;
      const first = Math.max(0, Math.ceil(-offset / step));
      const last = Math.min(columns.outputSize - 1, Math.floor((columns.size - 1 - offset) / step));
      for (let i = 0; i < rows.outputSize; i++) {
        const h = i * rows.stride + r * rows.dilation - rows.padBegin;
        if (h < 0 || h >= rows.size) continue;
        const at = from + h * columns.size + first * step + offset;
        addRow(y, to + i * columns.outputSize + first, x, at, step, weight, last - first + 1);
      }
    }
  }
}

/** `y[to + j] += weight * x[from + j * step]`: nearly all the time goes here. */
function addRow(
  y: Float64Array,
  to: number,
  x: Float32Array,
  from: number,
  step: number,
  weight: number,
  count: number,
): void {
  for (let j = 0; j < count; j++) {
    y[to + j] = (y[to + j] as number) + weight * (x[from + j * step] as number);
  }
}

/** `fl(sum + bias[k])` (ONNX Conv, float32). */
export const conv: Kernel = (call) => {
  const x = float32At(call, 0);
  const w = float32At(call, 1);
  const geometry = convGeometry(call, inputAt(call, 0).shape, inputAt(call, 1).shape);
  const y = newTensor(call, "float32", geometry.outputShape);
  addBias(call, convolve(x, w, geometry), geometry.K, y.data);
  return [y];
};

function addBias(call: Call, sums: Float64Array, K: number, y: Float32Array): void {
  const bias = optionalInput(call, 2) ? float32At(call, 2) : null;
  if (bias && bias.length !== K) throw invalid(call, `got ${bias.length} biases, expected ${K}`);
  const plane = planeOf(sums.length, K, call);
  for (let i = 0; i < sums.length; i++) {
    y[i] = (sums[i] as number) + (bias ? (bias[Math.floor(i / plane) % K] as number) : 0);
  }
}

function planeOf(size: number, K: number, call: Call): number {
  const [N = 1] = inputAt(call, 0).shape;
  return size / (N * K);
}

/** x [N, C, D, H, W], w [C, K/group, T, R, S]: each input element adds a scaled kernel (ONNX ConvTranspose). */
export const convTranspose: Kernel = (call) => {
  const x = float32At(call, 0);
  const w = float32At(call, 1);
  const [N = 0, C = 0, ...sizes] = inputAt(call, 0).shape;
  const [weightC = 0, perGroup = 0, ...kernel] = inputAt(call, 1).shape;
  const group = intAttribute(call.node, "group", 1);
  if (C !== weightC || C % group !== 0 || kernel.length !== sizes.length) {
    throw invalid(call, `input [${N}, ${C}, ${sizes.join(", ")}], weights for ${weightC}, group ${group}`);
  }
  const windows = transposedWindows(call, sizes, kernel);
  const { depth, rows, columns } = volumeOf(windows);
  const K = perGroup * group;
  const y = newTensor(call, "float32", [N, K, ...windows.map((window) => window.outputSize)]);
  const sums = new Float64Array(y.data.length);
  const plane = rows.size * columns.size;
  const outputPlane = rows.outputSize * columns.outputSize;
  const kernelPlane = rows.kernel * columns.kernel;
  for (let n = 0; n < N; n++) {
    for (let c = 0; c < C; c++) {
      const firstOutput = Math.floor(c / (C / group)) * perGroup;
      for (let k = 0; k < perGroup; k++) {
        const from = (n * C + c) * depth.size * plane;
        const kernelAt = (c * perGroup + k) * depth.kernel * kernelPlane;
        const to = (n * K + firstOutput + k) * depth.outputSize * outputPlane;
        for (let image = 0; image < depth.size; image++) {
          for (let t = 0; t < depth.kernel; t++) {
            const d = image * depth.stride + t * depth.dilation - depth.padBegin;
            if (d < 0 || d >= depth.outputSize) continue;
            const weights = kernelAt + t * kernelPlane;
            scatterPlane(x, from + image * plane, w, weights, sums, to + d * outputPlane, rows, columns);
          }
        }
      }
    }
  }
  addBias(call, sums, K, y.data);
  return [y];
};

function scatterPlane(
  x: Float32Array,
  from: number,
  w: Float32Array,
  weights: number,
  y: Float64Array,
  to: number,
  rows: Window,
  columns: Window,
): void {
  for (let h = 0; h < rows.size; h++) {
    for (let v = 0; v < columns.size; v++) {
      const value = x[from + h * columns.size + v] as number;
      for (let r = 0; r < rows.kernel; r++) {
        const i = h * rows.stride + r * rows.dilation - rows.padBegin;
        if (i < 0 || i >= rows.outputSize) continue;
        for (let s = 0; s < columns.kernel; s++) {
          const j = v * columns.stride + s * columns.dilation - columns.padBegin;
          if (j < 0 || j >= columns.outputSize) continue;
          const at = to + i * columns.outputSize + j;
          y[at] = (y[at] as number) + value * (w[weights + r * columns.kernel + s] as number);
        }
      }
    }
  }
}
