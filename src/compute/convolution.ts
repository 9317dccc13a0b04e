// Convolution sums, in double: exact for integers (every sum is far below 2^53), and more accurate than any
// runtime for real numbers, which round once at the end. The integer path uses the same sums.

import { intAttribute, intsAttribute } from "../graph/graph.js";
import type { Call, Kernel } from "./kernel.js";
import { float32At, inputAt, invalid, newTensor, optionalInput, unsupported } from "./kernel.js";
import type { Volume, Window } from "./window.js";
import { volumeOf, windowAttributes, windowsOver } from "./window.js";

/** Shapes: x [N, C, D, H, W], w [K, C/group, T, R, S], y [N, K, depth, rows, columns]; D and H may be absent. */
export interface ConvGeometry extends Volume {
  readonly N: number;
  readonly C: number;
  readonly K: number;
  readonly group: number;
  readonly outputShape: readonly number[];
}

/** @throws QdgError `invalid-graph` for shapes that do not fit together */
export function convGeometry(call: Call, x: readonly number[], w: readonly number[]): ConvGeometry {
  const [N = 0, C = 0] = x;
  const [K = 0, perGroup = 0] = w;
  const group = intAttribute(call.node, "group", 1);
  const kernel = w.slice(2);
  const listed = intsAttribute(call.node, "kernel_shape");
  const kernelDiffers = listed && listed.some((size, axis) => size !== kernel[axis]);
  if (x.length !== w.length || group < 1 || C !== perGroup * group || K % group !== 0 || kernelDiffers) {
    throw invalid(call, `input [${x.join(", ")}], weights [${w.join(", ")}], group ${group}`);
  }
  const windows = windowsOver(call, x.slice(2), windowAttributes(call, kernel));
  const outputShape = [N, K, ...windows.map((window) => window.outputSize)];
  return { N, C, K, group, ...volumeOf(windows), outputShape };
}

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

/**
 * The windows of a ConvTranspose: input position i adds to output i * stride + r * dilation - padBegin.
 *
 * @param sizes of the input's spatial axes
 */
export function transposedWindows(call: Call, sizes: readonly number[], kernel: readonly number[]): Window[] {
  const attributes = windowAttributes(call, kernel);
  const extra = intsAttribute(call.node, "output_padding");
  const outputShape = intsAttribute(call.node, "output_shape");
  const rank = kernel.length;
  return sizes.map((size, axis) => {
    const stride = attributes.strides[axis] as number;
    const dilation = attributes.dilations[axis] as number;
    const extent = dilation * ((kernel[axis] as number) - 1) + 1;
    const full = stride * (size - 1) + (extra?.[axis] ?? 0) + extent;
    let padBegin = attributes.pads?.[axis] ?? 0;
    let padEnd = attributes.pads?.[axis + rank] ?? 0;
    let wanted = outputShape?.[axis - rank + outputShape.length];
    if (wanted === undefined && attributes.autoPad.startsWith("SAME")) wanted = size * stride;
    if (wanted !== undefined) {
      const total = Math.max(0, full - wanted);
      const small = Math.floor(total / 2);
      [padBegin, padEnd] =
        attributes.autoPad === "SAME_UPPER" ? [small, total - small] : [total - small, small];
    } else if (attributes.autoPad === "VALID") {
      [padBegin, padEnd] = [0, 0];
    } else if (attributes.autoPad !== "NOTSET") {
      throw unsupported(call, `auto_pad "${attributes.autoPad}"`);
    }
    const outputSize = wanted ?? full - padBegin - padEnd;
    return { size, kernel: kernel[axis] as number, stride, dilation, padBegin, padEnd, outputSize };
  });
}

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
